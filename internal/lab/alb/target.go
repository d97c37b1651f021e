package alb

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h2"
	"github.com/hoplab/hoplab/internal/lab/inject"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// group is a running target group.
type group struct {
	node *Node
	cfg  Group
	spin *inject.Spinner
	used bool // a listener forwards to it

	mu       sync.Mutex // for register
	targets  atomic.Pointer[[]*target]
	leaving  []*target // draining; under mu
	next     atomic.Uint32
	requests atomic.Int64
}

// target is one registered address.
type target struct {
	group *group
	addr  netip.AddrPort
	name  string
	pool  *relay.Pool
	codec *h2.UpstreamCodec // between pool and target in a group of HTTP2 or GRPC
	stop  chan struct{}     // closed on deregistration

	healthy     atomic.Bool // state == Healthy
	outstanding atomic.Int64
	requests    atomic.Int64
	connErrors  atomic.Int64
	connections atomic.Int64
	probing     atomic.Pointer[net.Conn]

	mu                  sync.Mutex
	state               State
	reason, description string
	successes, failures int
	probes              int64
	healthySince        time.Time
}

func (n *Node) newGroup(cfg Group, used bool) *group {
	g := &group{node: n, cfg: cfg, spin: inject.New(cfg.Inject), used: used}
	g.targets.Store(&[]*target{})
	return g
}

// register makes the given addresses the group's targets. Targets that left
// are drained: they get no new requests, and their open ones are given the
// deregistration delay.
func (g *group) register(addrs []netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := *g.targets.Load()
	var now []*target
	for _, a := range addrs {
		if i := slices.IndexFunc(old, func(t *target) bool { return t.addr == a }); i >= 0 {
			now = append(now, old[i])
			continue
		}
		now = append(now, g.newTarget(a))
	}
	g.targets.Store(&now)
	for _, t := range old {
		if !slices.Contains(now, t) { // no new request can choose it
			g.leaving = append(g.leaving, t)
			t.leave()
			g.node.wg.Add(1)
			go g.drain(t)
		}
	}
}

func (g *group) newTarget(a netip.AddrPort) *target {
	t := &target{group: g, addr: a, name: a.String(), stop: make(chan struct{}), state: Initial, reason: ReasonInitial,
		description: "Initial health checks in progress"}
	dial := func(timeout time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		return g.node.net.Dial(ctx, a)
	}
	switch {
	case g.http2():
		t.codec = h2.NewUpstreamCodec(dial, g.tls())
		dial = t.codec.Dial
	case g.tls() != nil:
		dial = relay.WithTLS(dial, g.tls())
	}
	t.pool = relay.NewPool(dial, g.node.idle)
	switch {
	case !g.used:
		t.state, t.reason, t.description = Unused, ReasonNotInUse, "Target group is not configured to receive traffic from the load balancer"
	case !g.cfg.Health.Enabled:
		t.state, t.reason, t.description = Unavailable, ReasonDisabled, "Health checks are disabled for this target group"
		t.healthy.Store(true)
	default:
		g.node.wg.Add(1)
		go t.watch()
	}
	return t
}

// leave ends the health checks of a target that is deregistered.
func (t *target) leave() {
	close(t.stop)
	if c := t.probing.Load(); c != nil {
		(*c).Close()
	}
	t.mu.Lock()
	t.set(Draining, ReasonDeregistration, "Target deregistration is in progress")
	t.mu.Unlock()
}

// drain waits for the open requests of a target that left.
func (g *group) drain(t *target) {
	defer g.node.wg.Done()
	limit := time.NewTimer(g.node.clock.Real(g.cfg.DeregistrationDelay))
	defer limit.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for t.outstanding.Load() > 0 {
		select {
		case <-limit.C:
		case <-g.node.stop:
		case <-look.C:
			continue
		}
		break
	}
	t.pool.Close()
	if t.codec != nil {
		t.codec.Close()
	}
	t.mu.Lock()
	t.set(Unused, ReasonGone, "Target is not registered to the target group")
	t.mu.Unlock()
	g.mu.Lock()
	g.leaving = slices.DeleteFunc(g.leaving, func(l *target) bool { return l == t })
	g.mu.Unlock()
}

// acquire picks a target and counts a request on it, so that it is not
// drained under it. It returns nil when there is none.
func (g *group) acquire(now time.Time) *target {
	for {
		t := g.pick(now)
		if t == nil {
			return nil
		}
		t.outstanding.Add(1)
		select {
		case <-t.stop: // it left since it was picked
			t.outstanding.Add(-1)
		default:
			return t
		}
	}
}

// pick chooses a target for a request: among the healthy ones, or among all
// when fewer than the minimum are (fail-open), or none when there are none.
func (g *group) pick(now time.Time) *target {
	all := *g.targets.Load()
	if len(all) <= 1 {
		if len(all) == 0 {
			return nil
		}
		return all[0]
	}
	healthy := 0
	for _, t := range all {
		if t.healthy.Load() {
			healthy++
		}
	}
	any := healthy < max(g.cfg.MinimumHealthy, 1)
	start := int(g.next.Add(1) - 1)
	var best *target
	for i := range all {
		t := all[(start+i)%len(all)]
		if !any && (!t.healthy.Load() || t.warming(now)) {
			continue
		}
		if g.cfg.Algorithm != "least_outstanding_requests" {
			return t
		}
		if best == nil || t.outstanding.Load() < best.outstanding.Load() {
			best = t
		}
	}
	if best == nil { // only targets in slow start are healthy
		for i := range all {
			if t := all[(start+i)%len(all)]; t.healthy.Load() {
				return t
			}
		}
	}
	return best
}

// warming reports whether a request is to pass a target by that is in slow
// start: its share grows linearly from nothing to all.
func (t *target) warming(now time.Time) bool {
	ramp := t.group.cfg.SlowStart
	if ramp <= 0 {
		return false
	}
	t.mu.Lock()
	age := t.group.node.clock.Modelled(now.Sub(t.healthySince))
	t.mu.Unlock()
	return age < ramp && rand.Float64() >= float64(age)/float64(ramp)
}

func (g *group) close() {
	g.register(nil)
}
