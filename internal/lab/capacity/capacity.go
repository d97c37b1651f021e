// Package capacity says whether a lab fits this machine: what a task takes of
// what the kernel counts, and how much of it there is.
package capacity

import (
	"math"

	"github.com/hoplab/hoplab/internal/fail"
)

// Use is what a lab is made of, as far as it matters here.
type Use struct {
	Tasks      int
	Envoy      bool // the agents are Envoys, each with a process beside it
	Shared     bool // the lab's own agents share processes
	Namespaces bool // each task has a network namespace
}

// Resource is something of which a machine has only so much.
type Resource struct {
	What string // "open files of one process (ulimit -n)"
	// Fixed is what a lab takes without any task, PerTask what each task takes.
	Fixed, PerTask int64
	// Free is how much there is for labs. A limit that the system does not tell
	// is not listed.
	Free int64
	// Raise is how to have more.
	Raise string
}

// room is for how many tasks the resource lasts.
func (r Resource) room() int64 {
	if r.PerTask <= 0 {
		return math.MaxInt64
	}
	return max(0, (r.Free-r.Fixed)/r.PerTask)
}

// Check returns an error that names the scarcest resource, for how many tasks
// it lasts and how to raise it, when that is fewer than there are.
func Check(u Use, have []Resource) error {
	var least *Resource
	for i := range have {
		if least == nil || have[i].room() < least.room() {
			least = &have[i]
		}
	}
	if least == nil || least.room() >= int64(u.Tasks) {
		return nil
	}
	fewer := "start fewer tasks"
	if u.Tasks > 1 {
		fewer += ", with --only SERVICE or --tasks-per-service 1"
	}
	return fail.Newf(fail.Environment, least.Raise+", or "+fewer,
		"the deployment has %d tasks, and this machine has room for %d: each takes %d of its %s, of which %d are free",
		u.Tasks, least.room(), least.PerTask, least.What, least.Free)
}

// What a task takes. Measured on Linux with Go 1.26 (docs/trials.md has the
// memory); rounded up.
const (
	appThreads   = 8
	agentThreads = 10
	envoyThreads = 10

	// Descriptors of the lab's own process: of an app its standard error and a
	// handle of the process, of an agent two pipes more.
	appFiles, agentFiles, namespaceFiles = 2, 4, 1

	appMB, sharedAgentMB, agentMB, envoyMB = 5, 2, 11, 45
)

// files is how many descriptors of the lab's process a task takes.
func (u Use) files() int64 {
	n := appFiles
	if u.Envoy || !u.Shared {
		n += agentFiles
	}
	if u.Namespaces {
		n += namespaceFiles
	}
	return int64(n)
}

// threads is how many threads of all processes a task takes; the kernel's limits
// of processes count those.
func (u Use) threads() int64 {
	n := appThreads
	switch {
	case u.Envoy:
		n += agentThreads + envoyThreads
	case !u.Shared:
		n += agentThreads
	}
	if u.Namespaces {
		n++
	}
	return int64(n)
}

// megabytes is how much memory a task takes.
func (u Use) megabytes() int64 {
	switch {
	case u.Envoy:
		return appMB + agentMB + envoyMB
	case u.Shared:
		return appMB + sharedAgentMB
	}
	return appMB + agentMB
}
