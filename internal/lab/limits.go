package lab

import (
	"cmp"
	"fmt"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/capacity"
	"github.com/hoplab/hoplab/internal/lab/netns"
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
		if !o.wants(s.ID) {
			continue
		}
		n := o.desired(s)
		if n < 0 || n > MaxTasks {
			return fail.Newf(fail.Usage, "give the service fewer tasks, or the count as a parameter for the lab",
				"%s: a desired count of %d; a lab runs 0 to %d tasks of a service", place(s.Origin), n, MaxTasks)
		}
		if all += n; all > maxAllTasks {
			return fail.Newf(fail.Usage, "give the services fewer tasks; hoplab lab up has --only SERVICE and --tasks-per-service 1 for that",
				"%s: with this service the source wants %d tasks; a lab runs up to %d", place(s.Origin), all, maxAllTasks)
		}
	}
	return nil
}

// checkMachine refuses what this machine has no room for. Nobody then waits for a
// start that fails at the hundredth task, with an error of the kernel's.
func (o *Options) checkMachine() error {
	use := capacity.Use{Envoy: o.Agent == AgentEnvoy, Shared: o.ShareAgents, Namespaces: o.Fabric == netns.Name}
	for _, s := range o.Topology.Services {
		if o.wants(s.ID) && s.Task != nil {
			use.Tasks += o.desired(s) * (1 + o.twinsOf(s))
		}
	}
	return capacity.Check(use, capacity.Machine(use))
}

// twinsOf counts the twins that have tasks of the service too.
func (o *Options) twinsOf(s *topology.Service) (n int) {
	for _, t := range o.Twins {
		if s.ID == t.Of || clientOf(s, t.Of) {
			n++
		}
	}
	return n
}

// checkPorts refuses a source with a port number that is none: a process that
// is given one would listen elsewhere, or anywhere.
func (o *Options) checkPorts() error {
	for _, p := range o.Topology.PortNumbers() {
		if p.OutOfRange() {
			return fail.Newf(fail.Usage, "choose a port from 1 to 65535", "%s: %s %d is no TCP port", place(p.At), p.What, p.N.Or(0))
		}
	}
	return nil
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
