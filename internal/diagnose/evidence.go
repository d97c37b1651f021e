package diagnose

import (
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// Evidence is what somebody observed of one running target. Whatever is nil,
// empty or zero was not observed; nothing is concluded from it.
type Evidence struct {
	// TargetGroup and Service name the target. An empty Service means every
	// target of the group.
	TargetGroup topology.ID
	Service     topology.ID
	// From says where the evidence comes from, for people: "lab", "describe-target-health".
	From string
	// State, Reason and Code are what the load balancer says: "unhealthy",
	// "Target.Timeout", and the status of a mismatch.
	State, Reason string
	Code          int
	// Running says whether the app's process runs.
	Running *bool
	// Listening lists where the target's processes listen; nil means not
	// observed, empty means nowhere.
	Listening []Listener
	// ProbesSeen counts the probes in the app's own log; nil means not observed.
	ProbesSeen *int
	// Inside is what a request from inside the task got on the check's path: a
	// status, or 0 with InsideError.
	Inside      int
	InsideError string
	// ContainerHealth is the container health check's result: "HEALTHY", "UNHEALTHY".
	ContainerHealth string
}

// Listener is an address on which a process listens; "" and "0.0.0.0" mean all.
type Listener struct {
	Address string
	Port    int
}

// reachable reports whether somebody listens on port for connections from
// outside (outside) or from inside the task.
func (e *Evidence) reachable(port int, outside bool) bool {
	for _, l := range e.Listening {
		if l.Port != port {
			continue
		}
		switch l.Address {
		case "", "0.0.0.0", "::", "*":
			return true
		case "127.0.0.1", "::1", "localhost":
			if !outside {
				return true
			}
		default:
			if outside {
				return true
			}
		}
	}
	return false
}

// find returns the evidence for a probe's target, or nil.
func find(all []Evidence, f reach.Probe) *Evidence {
	for i := range all {
		e := &all[i]
		if e.TargetGroup != f.Group.ID {
			continue
		}
		if e.Service == "" || f.Service != nil && e.Service == f.Service.ID {
			return e
		}
	}
	return nil
}
