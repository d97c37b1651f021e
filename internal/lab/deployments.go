package lab

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/topology"
)

// DeploymentStatus is a deployment of a service, as DescribeServices shows it.
type DeploymentStatus struct {
	ID     string `json:"id"`     // "ecs-svc/" and a number
	Status string `json:"status"` // "PRIMARY", or "ACTIVE" while it has tasks left
	// Revision counts the service's deployments from 1.
	Revision int `json:"revision"`
	Desired  int `json:"desired"`
	Running  int `json:"running"`
	Pending  int `json:"pending"`
	Failed   int `json:"failed"` // tasks in a row that were not healthy
	// RolloutState is "IN_PROGRESS", "COMPLETED" or "FAILED".
	RolloutState string `json:"rollout_state"`
	Reason       string `json:"reason,omitempty"`
}

// The states of a rollout.
const (
	InProgress = "IN_PROGRESS"
	Completed  = "COMPLETED"
	Failed     = "FAILED"
)

// deploymentStatus lists the current deployment and those with tasks left, the
// newest first.
func (s *service) deploymentStatus() []DeploymentStatus {
	if s.deployments == 0 {
		return nil
	}
	running := map[int]int{s.current.number: 0}
	for _, t := range s.tasks {
		running[t.rollout]++
	}
	var out []DeploymentStatus
	for _, n := range slices.SortedFunc(maps.Keys(running), func(a, b int) int { return cmp.Compare(b, a) }) {
		d := DeploymentStatus{ID: s.deploymentName(n), Status: "ACTIVE", Revision: n, Running: running[n], RolloutState: Completed}
		if n == s.current.number {
			d.Status, d.Desired, d.Pending, d.Failed, d.Reason = "PRIMARY", s.desired, s.starting, s.failures, s.fault
			switch {
			case s.broken:
				d.RolloutState = Failed
			case s.deploying:
				d.RolloutState = InProgress
			}
			out = slices.Insert(out, 0, d)
			continue
		}
		out = append(out, d)
	}
	return out
}

// StoppedTask is a task that has ended.
type StoppedTask struct {
	ID         string        `json:"id"`
	Deployment string        `json:"deployment"`
	Why        string        `json:"why"`
	At         time.Duration `json:"at"`  // since the lab's start, modelled time
	Dir        string        `json:"dir"` // its logs
}

// maxStopped bounds the list. ECS keeps stopped tasks for an hour.
const maxStopped = 100

// keep notes a task that has ended.
func (s *service) keep(t *task) {
	if len(s.stopped) >= maxStopped {
		s.stopped = slices.Delete(s.stopped, 0, 1)
	}
	l := s.copy.lab
	s.stopped = append(s.stopped, StoppedTask{ID: t.id, Deployment: s.deploymentName(t.rollout), Why: t.why,
		At: l.clock.Modelled(time.Since(l.begun)), Dir: t.dir})
}

// Rollout is how far a service's current deployment is.
type Rollout struct {
	DeploymentStatus
	// Stable is what ServiceStatus has: as many tasks as desired, and no
	// deployment under way.
	Stable bool
	Faults int // deployments of the service that have failed so far
}

// Rollout tells how far a service's deployment is, without asking any process;
// ok is false for a service that is not there, and for one that was removed once
// its last task has ended. A deployment that failed has a Reason, also after the
// service has returned to the one before.
func (l *Lab) Rollout(id topology.ID) (r Rollout, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, dc := range l.copies {
		s := dc.service(id)
		if s == nil || dc.name != "" {
			continue
		}
		r.Stable, r.Faults = s.def.Task == nil || s.stable(), s.faults
		if list := s.deploymentStatus(); len(list) > 0 {
			r.DeploymentStatus = list[0]
		}
		return r, true
	}
	return r, false
}
