package diagnose

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// Ask makes a GET request as a caller inside the lab. It should give up after
// a few seconds: a hanging app is one of the things to find.
type Ask func(c lab.Caller, url string) (call.Observation, error)

// FromLab returns the evidence that a running lab shows of every registered
// target: the load balancer's view, the process, where it listens, the probes
// in its log, and what the check's path answers from inside the target's own
// host. t is the source that the lab was started from.
func FromLab(t *topology.Topology, st *lab.Status, ask Ask) ([]Evidence, error) {
	x := topology.NewIndex(t)
	var out []Evidence
	for _, b := range st.LoadBalancers {
		if b.Twin != "" {
			continue // a copy for measurements
		}
		for _, g := range b.Groups {
			group := x.TargetGroup(topology.ID(g.ID))
			if group == nil {
				return nil, fmt.Errorf("the lab has a target group %s that %s does not have; was it started from another source?", g.ID, t.Name)
			}
			for _, target := range g.Targets {
				e := Evidence{TargetGroup: group.ID, From: "the lab", State: string(target.State), Reason: target.Reason,
					Code: mismatch(target.Description)}
				if caller, ok := host(&e, st, target.Address); ok {
					e.Inside, e.InsideError = inside(group, target.Address, caller, ask)
				}
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// host notes what the target's host shows, and says who calls from there.
func host(e *Evidence, st *lab.Status, address string) (lab.Caller, bool) {
	ip, _, err := net.SplitHostPort(address)
	if err != nil {
		return lab.Caller{}, false
	}
	for _, sv := range st.Services {
		for _, task := range sv.Tasks {
			if sv.Twin == "" && task.IP == ip {
				e.Service = sv.ID
				if task.Health != "UNKNOWN" {
					e.ContainerHealth = task.Health
				}
				apps(e, task.Apps)
				return lab.Caller{Service: sv.ID, Task: task.ID}, true
			}
		}
	}
	for _, in := range st.Instances {
		if in.IP == ip {
			apps(e, in.Apps)
			listening(e, in.Apps)
			return lab.Caller{Service: in.ID}, true
		}
	}
	return lab.Caller{}, false
}

// apps notes whether any process runs, and how many probes the logs have.
func apps(e *Evidence, all []lab.AppStatus) {
	running, probes := false, 0
	for _, a := range all {
		running = running || a.Ended == ""
		probes += int(a.HealthChecks)
	}
	e.Running, e.ProbesSeen = &running, &probes
}

// listening notes where an instance listens: on all its addresses, as its
// apps always do. A task's apps may bind one address only, which the status
// does not tell.
func listening(e *Evidence, all []lab.AppStatus) {
	e.Listening = []Listener{}
	for _, a := range all {
		if a.Ended == "" {
			e.Listening = append(e.Listening, Listener{Port: int(a.Port)})
		}
	}
}

// inside asks for the check's path on the host's own loopback, where no
// security group and no agent is in the way.
func inside(g *topology.TargetGroup, address string, c lab.Caller, ask Ask) (status int, problem string) {
	if p := g.Health.Protocol.Or("HTTP"); p != "HTTP" || g.ProtocolVersion.Or("HTTP1") != "HTTP1" {
		return 0, ""
	}
	_, port, _ := net.SplitHostPort(address)
	if p := g.Health.Port.Or("traffic-port"); p != "traffic-port" {
		port = p
	}
	o, err := ask(c, "http://"+net.JoinHostPort("127.0.0.1", port)+g.Health.Path.Or("/"))
	if err != nil {
		return 0, err.Error()
	}
	return o.Status, o.Error
}

// mismatch reads the status out of a description such as "Health checks
// failed with these codes: [404]"; 0 when there is none.
func mismatch(description string) int {
	_, rest, _ := strings.Cut(description, "[")
	digits, _, _ := strings.Cut(rest, "]")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}
