package alb

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// Node is a running node.
type Node struct {
	cfg   Config
	net   fabric.Net
	clock clock.Clock
	idle  time.Duration // real

	notify func(HealthChange)

	groups    map[string]*group
	listeners []*listener
	open      []net.Listener

	wg   sync.WaitGroup
	stop chan struct{}
	once sync.Once
}

// HealthChange is a target's new state.
type HealthChange struct {
	Group   string `json:"group"`
	Address string `json:"address"`
	State   State  `json:"state"`
	Reason  string `json:"reason,omitempty"`
	// Description is the reason in words, as service events have it.
	Description string `json:"description,omitempty"`
}

// Start starts a node and says where it listens. notify, if not nil, is told
// of every change of a target's health, in order; it must not block for long
// and must not call the node.
func Start(cfg Config, n fabric.Net, notify func(HealthChange)) (*Node, Bound, error) {
	a := &Node{cfg: cfg, net: n, clock: clock.New(cfg.Scale), notify: notify, groups: map[string]*group{}, stop: make(chan struct{})}
	a.idle = a.clock.Real(cfg.Idle)
	used := map[string]bool{}
	for _, l := range cfg.Listeners {
		note(used, l.Default)
		for _, r := range l.Rules {
			note(used, r.Actions)
		}
	}
	for _, g := range cfg.Groups {
		a.groups[g.ID] = a.newGroup(g, used[g.ID])
	}
	b := Bound{Listeners: map[uint16]netip.AddrPort{}}
	for _, lc := range cfg.Listeners {
		l, err := a.newListener(lc)
		var ln net.Listener
		if err == nil {
			ln, err = n.Listen(lc.Port)
		}
		if err != nil {
			a.Close()
			return nil, Bound{}, fmt.Errorf("load balancer %s: listener %d: %w", cfg.Name, lc.Port, err)
		}
		a.listeners, a.open = append(a.listeners, l), append(a.open, ln)
		b.Listeners[lc.Port] = ln.Addr().(*net.TCPAddr).AddrPort()
		a.wg.Add(1)
		go func() {
			defer a.wg.Done()
			l.serve(ln)
		}()
	}
	a.wg.Add(1)
	go a.sweep()
	return a, b, nil
}

func note(used map[string]bool, actions []Action) {
	for _, a := range actions {
		for _, f := range a.Forward {
			used[f.Group] = true
		}
	}
}

// Update registers and deregisters targets.
func (a *Node) Update(u Update) {
	for id, targets := range u.Targets {
		if g := a.groups[id]; g != nil {
			g.register(targets)
		}
	}
}

func (a *Node) sweep() {
	defer a.wg.Done()
	t := time.NewTicker(max(min(a.idle/4, time.Second), 10*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-a.stop:
			return
		case now := <-t.C:
			for _, g := range a.groups {
				for _, t := range *g.targets.Load() {
					t.pool.Sweep(now)
				}
			}
		}
	}
}

// Close ends the node and all its connections.
func (a *Node) Close() {
	a.once.Do(func() {
		close(a.stop)
		for _, l := range a.open {
			l.Close()
		}
		for _, g := range a.groups {
			g.close()
		}
		for _, l := range a.listeners {
			l.close()
		}
		a.wg.Wait()
	})
}
