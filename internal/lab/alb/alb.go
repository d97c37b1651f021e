package alb

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// Node is a running node.
type Node struct {
	net   fabric.Net
	clock clock.Clock
	idle  time.Duration // real

	notify func(HealthChange)
	tap    relay.Tap

	mu    sync.Mutex // for Configure, Update and Close
	setup atomic.Pointer[setup]

	wg   sync.WaitGroup
	stop chan struct{}
	once sync.Once
}

// setup is what a node does at present. A request sees one of them from its
// beginning to its end; none is changed once it is a node's.
type setup struct {
	cfg       Config
	groups    map[string]*group
	listeners []*listener
	routes    map[uint16]*Listener // the configuration by port
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
	a := &Node{net: n, clock: clock.New(cfg.Scale), notify: notify, stop: make(chan struct{})}
	a.idle = a.clock.Real(cfg.Idle)
	a.setup.Store(&setup{})
	b, err := a.Configure(cfg)
	if err != nil {
		a.Close()
		return nil, Bound{}, err
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
	a.mu.Lock()
	defer a.mu.Unlock()
	groups := a.setup.Load().groups
	for id, targets := range u.Targets {
		if g := groups[id]; g != nil {
			g.register(targets)
		}
	}
}

// Watch keeps the heads of requests with that X-Request-Id from now on.
func (a *Node) Watch(id string) { a.tap.Watch(id) }

// Heads returns what was kept since Watch, and ends that.
func (a *Node) Heads(id string) []relay.Heads { return a.tap.Take(id) }

func (a *Node) sweep() {
	defer a.wg.Done()
	t := time.NewTicker(max(min(a.idle/4, time.Second), 10*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-a.stop:
			return
		case now := <-t.C:
			for _, g := range a.setup.Load().groups {
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
		a.mu.Lock()
		defer a.mu.Unlock()
		close(a.stop)
		now := a.setup.Load()
		for _, l := range now.listeners {
			l.ln.Close()
		}
		for _, g := range now.groups {
			g.close()
		}
		for _, l := range now.listeners {
			l.close()
		}
		a.wg.Wait()
	})
}
