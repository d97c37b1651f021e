package lab

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

// How many tasks a lab runs. A task is at least two processes, so that more
// would be a slip of the finger, or a source that wants to busy the machine.
const (
	// MaxTasks is the most of one service.
	MaxTasks = 50
	// maxAllTasks is the most of all services and twins together, at the start.
	maxAllTasks = 400
)

// checkCounts refuses a source that wants more tasks than a lab runs, and one
// that wants fewer than none.
func (o *Options) checkCounts() error {
	all := 0
	for _, s := range o.Topology.Services {
		n := s.DesiredCount.Or(1)
		if n < 0 || n > MaxTasks {
			return fail.Newf(fail.Usage, "give the service fewer tasks, or the count as a parameter for the lab",
				"%s: a desired count of %d; a lab runs 0 to %d tasks of a service", place(s.Origin), n, MaxTasks)
		}
		if all += n; all > maxAllTasks {
			return fail.Newf(fail.Usage, "give the services fewer tasks",
				"%s: with this service the source wants %d tasks; a lab runs up to %d", place(s.Origin), all, maxAllTasks)
		}
	}
	return nil
}

// port is a port number of the source: which one, and where it stands.
type port struct {
	at   topology.Origin
	what string
	n    topology.Opt[int]
}

// checkPorts refuses a source with a port number that is none: TCP's are 1 to
// 65535, and a process that is given another one listens elsewhere, or anywhere.
func (o *Options) checkPorts() error {
	for _, p := range portsOf(o.Topology) {
		if n, ok := p.n.Get(); ok && (n < 1 || n > 65535) {
			return fail.Newf(fail.Usage, "choose a port from 1 to 65535", "%s: %s %d is no TCP port", place(p.at), p.what, n)
		}
	}
	return nil
}

// portsOf lists the port numbers that load balancers, agents and apps listen on
// or call.
func portsOf(t *topology.Topology) []port {
	var out []port
	for _, b := range t.LoadBalancers {
		for _, l := range b.Listeners {
			out = append(out, port{l.Origin, "the listener's port", l.Port})
		}
	}
	for _, g := range t.TargetGroups {
		out = append(out, port{g.Origin, "the target group's port", g.Port})
		if n, err := strconv.Atoi(g.Health.Port.Or("")); err == nil {
			out = append(out, port{g.Origin, "the health check's port", topology.Known(n)})
		}
		for _, target := range g.Targets {
			out = append(out, port{g.Origin, "a target's port", target.Port})
		}
	}
	for _, s := range t.Services {
		for _, target := range s.LoadBalancers {
			out = append(out, port{s.Origin, "the port of its targets", target.Port})
		}
		if s.Connect != nil {
			for _, e := range s.Connect.Endpoints {
				out = append(out, port{s.Origin, "the ingress port override", e.IngressPortOverride})
				for _, a := range e.Aliases {
					out = append(out, port{s.Origin, "the port of a client alias", a.Port})
				}
			}
		}
		if s.Task == nil {
			continue
		}
		for _, c := range s.Task.Containers {
			for _, m := range c.Ports {
				out = append(out, port{s.Task.Origin, fmt.Sprintf("the port of container %q", c.Name), m.Port})
			}
		}
	}
	return out
}

// place says where in the source a thing stands: "file:line: type id".
func place(o topology.Origin) string {
	what := cmp.Or(o.Type, "resource") + " " + string(o.ID)
	switch {
	case o.File == "":
		return what
	case o.Line == 0:
		return o.File + ": " + what
	}
	return fmt.Sprintf("%s:%d: %s", o.File, o.Line, what)
}
