package cli

import (
	"strings"

	"github.com/hoplab/hoplab/internal/diagnose"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/topology"
)

// labEvidence asks the running lab of that name what a checklist wants to know
// about its targets.
func labEvidence(name string) ([]diagnose.Evidence, error) {
	var st lab.Status
	f := labFlags{name: name}
	if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		return nil, err
	}
	var out []diagnose.Evidence
	for _, b := range st.LoadBalancers {
		for _, g := range b.Groups {
			for _, t := range g.Targets {
				out = append(out, targetEvidence(&st, g.ID, t))
			}
		}
	}
	return out, nil
}

// targetEvidence puts together what the load balancer says of a target and
// what is known of the host behind it.
func targetEvidence(st *lab.Status, group string, t alb.TargetStatus) diagnose.Evidence {
	e := diagnose.Evidence{TargetGroup: topology.ID(group), From: "the lab", State: string(t.State), Reason: t.Reason, Code: mismatch(t.Description)}
	ip, _ := cutAddress(t.Address)
	for _, sv := range st.Services {
		for _, task := range sv.Tasks {
			if task.IP == ip {
				e.Service = sv.ID
				if task.Health != "UNKNOWN" {
					e.ContainerHealth = task.Health
				}
				observeApps(&e, task.Apps)
			}
		}
	}
	for _, in := range st.Instances {
		if in.IP != ip {
			continue
		}
		observeApps(&e, in.Apps)
		e.Listening = []diagnose.Listener{}
		for _, a := range in.Apps {
			if a.Ended == "" {
				e.Listening = append(e.Listening, diagnose.Listener{Port: int(a.Port)})
			}
		}
	}
	return e
}

// observeApps adds what the apps of the target's host show.
func observeApps(e *diagnose.Evidence, apps []lab.AppStatus) {
	running, probes := false, 0
	e.Running, e.ProbesSeen = &running, &probes
	for _, a := range apps {
		running = running || a.Ended == ""
		probes += int(a.HealthChecks)
	}
}

// mismatch reads the status out of the description of a code mismatch.
func mismatch(description string) int {
	_, rest, ok := strings.Cut(description, "[")
	n := 0
	for i := 0; ok && i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
		n = n*10 + int(rest[i]-'0')
	}
	return n
}
