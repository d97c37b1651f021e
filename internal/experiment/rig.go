package experiment

import (
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// rig is one start of the lab, seen through the plan's arms.
type rig struct {
	plan   *plan.Plan
	routes map[string]Route
	lab    *lab.Lab
}

// route is where an arm runs: its route, and the lab's twin that is its own.
// The first arm has the deployment itself. Every other arm has processes of its
// own, load balancer included: two arms on one load balancer would keep it
// busier than the A/A twin's is, and that alone is a difference (13 µs of p50
// at 500 requests/s, once). An arm with TLS never has it: what the lab adds, it
// adds to a twin.
func (r *rig) route(a plan.Arm) (to Route, twin string) {
	to = r.routes[original(a)]
	if a.Name != r.plan.Arms[0].Name || to.TLS {
		twin = a.Name
	}
	return to, twin
}

// dialled fills in where each arm is called, and from where, and records the
// former as evidence. It returns what the load generator needs to have open.
func (r *rig) dialled(load *samplefile.Load, ev *run.Evidence) ([]*os.File, error) {
	ev.Addresses = map[string]string{}
	hosts := r.hosts()
	for i, a := range r.plan.Arms {
		d, err := r.dialInfo(a)
		if err != nil {
			return nil, fail.Newf(fail.Usage, "see what hoplab explain says of this template", "arm %s cannot be called: %w", a.Name, err)
		}
		arm := &load.Arms[i]
		arm.URL, arm.Dial = d.URL, d.Dial
		if rt, _ := r.route(a); rt.GroupsOf != "" {
			if arm.From = d.From; d.From == "" {
				at, err := r.lab.Address(r.caller(a))
				if err != nil {
					return nil, err
				}
				arm.From = at.String()
			}
		}
		if len(hosts) > 1 {
			arm.Namespace = k6.FirstFile + slices.Index(hosts, r.host(a))
		}
		ev.Addresses[a.Name] = d.Dial
	}
	if len(hosts) == 1 {
		return nil, nil
	}
	var open []*os.File
	for _, h := range hosts {
		n, err := r.lab.Namespace(h)
		if err != nil {
			return nil, err
		}
		open = append(open, n)
	}
	return open, nil
}

// startLoad starts the load generator in the host that the first arm is called from.
func (r *rig) startLoad(cmd *exec.Cmd) error { return r.lab.Launch(r.hosts()[0], cmd) }

// caller is who calls an arm: the task of a client of Service Connect, a host
// with the load balancer's security groups, or a host that is no part of the
// deployment.
func (r *rig) caller(a plan.Arm) lab.Caller {
	rt, twin := r.route(a)
	return lab.Caller{Service: rt.Client, LoadBalancer: rt.GroupsOf, Twin: twin}
}

// host is caller, with one name for the host that is no part of the deployment
// and has no twins.
func (r *rig) host(a plan.Arm) lab.Caller {
	c := r.caller(a)
	if c.Service == "" && c.LoadBalancer == "" {
		return lab.Caller{}
	}
	return c
}

// hosts are where the connections of the load come from, each once: the arms'
// callers where hosts are apart from this machine, and one for all else. Where
// there are several, the load generator is in the first and goes to an arm's
// own for each connection that it opens, for every arm alike.
func (r *rig) hosts() []lab.Caller {
	if r.plan.Fabric != plan.FabricNetns {
		return []lab.Caller{{}}
	}
	var out []lab.Caller
	for _, a := range r.plan.Arms {
		if h := r.host(a); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

func (r *rig) dialInfo(a plan.Arm) (lab.DialInfo, error) {
	rt, twin := r.route(a)
	caller := r.caller(a)
	switch {
	case rt.LoadBalancer != "":
		url, err := r.lab.LoadBalancerURL(rt.LoadBalancer, rt.Port)
		if err != nil {
			return lab.DialInfo{}, err
		}
		return r.lab.DialInfo(caller, url)
	case rt.Name != "":
		return r.lab.DialInfo(caller, fmt.Sprintf("http://%s:%d/", rt.Name, rt.Port))
	}
	url, err := r.lab.TaskURL(rt.Service, twin, rt.Port)
	if err != nil {
		return lab.DialInfo{}, err
	}
	return r.lab.DialInfo(caller, url)
}

// injections are the lab's injections for a delay in one arm's hop, or in every arm's.
func (r *rig) injections(in Injection) []lab.Injection {
	var out []lab.Injection
	seen := map[lab.Injection]bool{}
	for _, a := range r.plan.Arms {
		if in.Arm != "" && in.Arm != a.Name {
			continue
		}
		rt, twin := r.route(a)
		l := lab.Injection{Hop: in.Hop, Service: rt.Service, Twin: twin, Delay: in.Delay}
		if !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}

// count reads what the agents and apps of each arm counted during the load.
func (r *rig) count(ev *run.Evidence, before, after lab.Status) {
	for _, a := range r.plan.Arms {
		rt, twin := r.route(a)
		from, to := before.Service(rt.Service, twin), after.Service(rt.Service, twin)
		if from == nil || to == nil {
			continue
		}
		if !r.shared(a) {
			if n, ok := ingress(from, to); ok {
				n.Arm = a.Name
				ev.Agents = append(ev.Agents, n)
			}
		}
		for _, t := range to.Tasks {
			for _, app := range t.Apps {
				n := app.Requests - app.HealthChecks - answered(from, t.ID, app.Container, app.Port)
				ev.Apps = append(ev.Apps, run.AppCount{Arm: a.Name, Instance: t.ID, Requests: n})
			}
		}
		if rt.Client != "" {
			ev.Agents = append(ev.Agents, r.egress(a, before, after))
		}
	}
}

// shared reports whether another arm with agent hops ends at the same tasks
// as an arm without: then the agent's counter says nothing about this arm.
func (r *rig) shared(a plan.Arm) bool {
	rt, twin := r.route(a)
	for _, b := range r.plan.Arms {
		if other, twinOf := r.route(b); b.Name != a.Name && other.Service == rt.Service && twinOf == twin && b.Expect.AgentHops > 0 && a.Expect.AgentHops == 0 {
			return true
		}
	}
	return false
}

// ingress adds up what the agents of a service's tasks took in between two pictures.
func ingress(from, to *lab.ServiceStatus) (run.AgentCount, bool) {
	n := run.AgentCount{Role: "ingress", BusyUs: -1}
	found := false
	each := func(s *lab.ServiceStatus, sign int64) {
		for _, t := range s.Tasks {
			if t.Agent == nil {
				continue
			}
			for _, e := range t.Agent.Ingress {
				found = true
				n.Name = e.Discovery
				n.Requests += sign * (e.Requests - e.HealthChecks)
				n.HealthChecks += sign * e.HealthChecks
				if sign > 0 {
					n.Handshakes += e.Handshakes
				}
			}
		}
	}
	each(from, -1)
	each(to, 1)
	return n, found
}

// egress is what the client's agent sent to the arm's endpoint.
func (r *rig) egress(a plan.Arm, before, after lab.Status) run.AgentCount {
	rt, twin := r.route(a)
	name := fmt.Sprintf("%s:%d", rt.Name, rt.Port)
	n := run.AgentCount{Arm: a.Name, Role: "egress", Name: name, BusyUs: -1}
	each := func(st *lab.Status, sign int64) {
		s := st.Service(rt.Client, twin)
		if s == nil {
			return
		}
		for _, t := range s.Tasks {
			if t.Agent == nil {
				continue
			}
			for _, e := range t.Agent.Egress {
				if e.Name == name {
					n.Requests += sign * e.Requests
				}
			}
		}
	}
	each(&before, -1)
	each(&after, 1)
	return n
}

func answered(s *lab.ServiceStatus, task, container string, port uint16) int64 {
	for _, t := range s.Tasks {
		for _, app := range t.Apps {
			if t.ID == task && app.Container == container && app.Port == port {
				return app.Requests - app.HealthChecks
			}
		}
	}
	return 0
}
