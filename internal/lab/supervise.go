package lab

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/node"
)

// TaskState is a task's lastStatus, as Amazon ECS names it.
type TaskState string

// The states that a lab's task can be seen in.
const (
	Running      TaskState = "RUNNING"
	Deactivating TaskState = "DEACTIVATING" // deregistered, finishing its open requests
	Stopped      TaskState = "STOPPED"
)

// later runs f under the lab's lock after d of modelled time, unless the lab
// has been closed by then.
func (l *Lab) later(d time.Duration, f func()) {
	l.wg.Go(func() {
		timer := time.NewTimer(l.clock.Real(d))
		defer timer.Stop()
		select {
		case <-l.ctx.Done():
			return
		case <-timer.C:
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.closed {
			f()
		}
	})
}

// pause waits for d of modelled time, or until the lab closes.
func (l *Lab) pause(d time.Duration) {
	if d > 0 {
		sleep(l.ctx, l.clock.Real(d))
	}
}

// onEnd calls f under the lab's lock when the process has ended, unless the
// lab has been closed by then.
func (l *Lab) onEnd(p running, f func()) {
	l.wg.Go(func() {
		select {
		case <-l.ctx.Done():
			return
		case <-p.Done():
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.closed {
			f()
		}
	})
}

// supervise watches the task's processes and its container health checks.
func (t *task) supervise() {
	l, s := t.service.copy.lab, t.service
	if t.agent != nil {
		p := t.agent.proc
		l.onEnd(p, func() { s.lost(t, "the Service Connect agent ended: "+p.Why()) })
	}
	for _, a := range t.apps {
		l.onEnd(a.proc, func() {
			why := "container " + a.container + " ended: " + a.proc.Why()
			c := t.def.Task.Container(a.container)
			if c != nil && !c.Essential.Or(true) {
				if slices.Contains(s.tasks, t) {
					s.event("(task %s) %s; it is not essential.", t.id, why)
					t.host.Unbound(a.port)
				}
				return
			}
			s.lost(t, "Essential container in task exited: "+why)
		})
	}
	t.watchContainers()
}

// healthEvents applies the load balancers' events in order.
func (l *Lab) healthEvents() {
	for {
		select {
		case <-l.ctx.Done():
			return
		case e := <-l.health:
			l.mu.Lock()
			if !l.closed {
				e.apply()
			}
			l.mu.Unlock()
		}
	}
}

// healthEvent is a change of a target's health, as a load balancer reports it.
type healthEvent struct {
	balancer *balancer
	change   alb.HealthChange
}

func (e healthEvent) apply() {
	addr, err := netip.ParseAddrPort(e.change.Address)
	if err != nil {
		return
	}
	for _, s := range e.balancer.copy.services {
		for _, t := range slices.Concat(s.tasks, s.leaving) {
			if t.iface.IP != addr.Addr() {
				continue
			}
			if e.change.State == alb.Unused && e.change.Reason == alb.ReasonGone {
				t.drained(e.change.Group)
				return
			}
			if t.state == Running {
				s.targetChanged(t, e.change)
			}
			return
		}
	}
}

// expectDrain notes which target groups the task leaves and returns what
// closes when it has left all of them.
func (t *task) expectDrain() <-chan struct{} {
	t.draining = map[string]bool{}
	for _, b := range t.service.copy.balancers {
		if b.nodeProcess == nil || !b.proc.Alive() {
			continue
		}
		for group, addrs := range b.targets() {
			for _, a := range addrs {
				if a.Addr() == t.iface.IP {
					t.draining[group] = true
				}
			}
		}
	}
	all := make(chan struct{})
	t.allDrained = all
	t.drained("")
	return all
}

// drained notes that the task has left a target group.
func (t *task) drained(group string) {
	if t.allDrained == nil {
		return
	}
	delete(t.draining, group)
	if len(t.draining) == 0 {
		close(t.allDrained)
		t.allDrained = nil
	}
}

// waitDrained waits for the load balancers to finish with the task, as long
// as the longest deregistration delay allows.
func (t *task) waitDrained(done <-chan struct{}) {
	l := t.service.copy.lab
	timer := time.NewTimer(l.clock.Real(maxDeregistration))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-l.ctx.Done():
	}
}

// maxDeregistration is the longest deregistration delay, with some slack.
const maxDeregistration = 3600*time.Second + 10*time.Second

// stop ends the task's processes in the order of Amazon ECS: the agent drains
// its inbound side, the containers get SIGTERM and then SIGKILL, the agent
// goes last.
func (t *task) stop() {
	if t.agent != nil && t.agent.proc.Alive() {
		t.agent.Call(node.OpDrain, nil, nil)
	}
	t.stopApps()
	if t.agent != nil {
		t.agent.close()
	}
}

// end ends the task with the lab: nobody waits for open requests.
func (t *task) end() {
	for _, a := range t.apps {
		a.proc.Stop(closeGrace)
	}
	if t.agent != nil {
		t.agent.close()
	}
}

// closeGrace is how long an app may take to end when the lab closes.
const closeGrace = 500 * time.Millisecond

func cutPort(addr string) (host, port string, ok bool) {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return addr, "", false
	}
	return addr[:i], addr[i+1:], true
}
