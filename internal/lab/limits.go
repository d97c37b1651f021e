package lab

import (
	"cmp"
	"fmt"

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
