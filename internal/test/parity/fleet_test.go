package parity

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// The two ways through which every exchange goes: into a task through its
// agent, and from a client through both agents.
const (
	through = "ingress"
	both    = "both agents"
)

var routes = []string{through, both}

// station is the place of an exchange in a fleet: an origin and an endpoint for each route.
type station struct {
	addr   map[string]netip.AddrPort
	origin map[string]*origin
}

// fleet is one hop with endpoints for many exchanges, none of which can meet
// another's connections.
type fleet struct {
	*hop
	stations []station
}

func endpointName(i int, route string) string {
	if route == through {
		return fmt.Sprintf("d%d", i)
	}
	return fmt.Sprintf("b%d", i)
}

// newFleet starts a hop with an endpoint of protocol HTTP for each exchange and
// route. The exchanges are secured all or none.
func newFleet(t testing.TB, xs []*exchange, start func(testing.TB, *deployment) *hop, log *agent.AccessLog) *fleet {
	t.Helper()
	d := &deployment{out: wildcard(t), hosts: map[string][]netip.AddrPort{}, cfg: agent.Config{Task: "parity", AccessLog: log}}
	f := &fleet{}
	times := agent.DefaultTimeouts(agent.HTTP)
	for i, x := range xs {
		s := station{addr: map[string]netip.AddrPort{}, origin: map[string]*origin{}}
		for _, r := range routes {
			o, err := newOrigin(x)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(o.close)
			at := place(t)
			d.cfg.Ingress = append(d.cfg.Ingress, agent.Ingress{Discovery: endpointName(i, r), Protocol: agent.HTTP, App: o.port(),
				Timeouts: times})
			d.ingress = append(d.ingress, at)
			s.addr[r], s.origin[r] = at, o
		}
		e := agent.Egress{Name: fmt.Sprintf("e%d", i), Discovery: fmt.Sprintf("e%d", i), Protocol: agent.HTTP, At: d.vip(i + 1),
			Timeouts: times}
		d.cfg.Egress = append(d.cfg.Egress, e)
		d.hosts[key(e)] = []netip.AddrPort{s.addr[both]}
		s.addr[both] = e.At
		f.stations = append(f.stations, s)
	}
	if len(xs) > 0 && xs[0].secured {
		secure(t, d)
	}
	f.hop = start(t, d)
	return f
}

// trial is an exchange with what came of it, by hop and route.
type trial struct {
	x        *exchange
	outcome  map[string]map[string]outcome // by hop, then by route
	counters map[string]map[string]agent.EndpointStatus
	err      error
}

// compareAll performs the exchanges through fleets of at most perFleet, so
// many at a time.
func compareAll(t testing.TB, xs []*exchange, perFleet, atATime int) []*trial {
	t.Helper()
	var out []*trial
	gate := make(chan struct{}, atATime)
	var wg sync.WaitGroup
	type running struct {
		f      *fleet
		trials []*trial
	}
	var fleets []running
	for len(xs) > 0 {
		n := min(perFleet, len(xs))
		part := xs[:n]
		xs = xs[n:]
		var trials []*trial
		for _, x := range part {
			trials = append(trials, &trial{x: x, outcome: map[string]map[string]outcome{},
				counters: map[string]map[string]agent.EndpointStatus{}})
		}
		out = append(out, trials...)
		for _, start := range []func(testing.TB, *deployment) *hop{startAgent, startEnvoy} {
			fleets = append(fleets, running{newFleet(t, part, start, nil), trials})
		}
	}
	var mu sync.Mutex
	for _, r := range fleets {
		for i, tr := range r.trials {
			mu.Lock()
			if tr.outcome[r.f.name] == nil {
				tr.outcome[r.f.name] = map[string]outcome{}
			}
			mu.Unlock()
			for _, route := range routes {
				gate <- struct{}{}
				wg.Add(1)
				go func() {
					defer func() { <-gate; wg.Done() }()
					s := r.f.stations[i]
					o, err := tr.x.run(s.addr[route], s.origin[route])
					mu.Lock()
					defer mu.Unlock()
					tr.outcome[r.f.name][route] = o
					if err != nil {
						tr.err = fmt.Errorf("%s, %s: %w", r.f.name, route, err)
					}
				}()
			}
		}
	}
	wg.Wait()
	time.Sleep(500 * time.Millisecond) // the hops learn that the clients have gone
	for _, r := range fleets {
		c := r.f.counters()
		for i, tr := range r.trials {
			tr.counters[r.f.name] = map[string]agent.EndpointStatus{
				"ingress": c["ingress "+endpointName(i, through)], "ingress of both": c["ingress "+endpointName(i,
					both)], "egress": c[fmt.Sprintf("egress e%d", i)],
			}
		}
		r.f.stop()
	}
	return out
}
