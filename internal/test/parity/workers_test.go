package parity

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// kept is a client's connection that stays open, with one request at a time.
type kept struct {
	net.Conn
	r *bufio.Reader
}

func keep(t *testing.T, at netip.AddrPort) *kept {
	t.Helper()
	c, err := net.Dial("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &kept{c, bufio.NewReader(c)}
}

// ask returns the number of the task that answered.
func (k *kept) ask(t *testing.T) int {
	t.Helper()
	io.WriteString(k, "GET / HTTP/1.1\r\nHost: app.ns\r\n\r\n")
	resp, err := http.ReadResponse(k.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	n, wrong := strconv.Atoi(string(body))
	if err != nil || wrong != nil {
		t.Fatalf("the answer %d %q (%v) names no task", resp.StatusCode, body, err)
	}
	return n
}

// numbered starts an app that answers with its number.
func numbered(t *testing.T, n int) uint16 {
	return app(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, n) })(t)
}

// turns groups connections by whose requests take turns with each other. While
// a connection asks twice, one request of another moves the turn on by one if
// they share it; next is the order in which the tasks take turns.
func turns(t *testing.T, conns []*kept, next []int) (groups [][]*kept) {
	t.Helper()
	for _, c := range conns {
		found := false
		for i, g := range groups {
			before := g[0].ask(t)
			c.ask(t)
			switch g[0].ask(t) {
			case next[next[before]]:
				groups[i], found = append(g, c), true
			case next[before]:
			default:
				t.Fatalf("after task %d and a request of another connection the order %v is broken", before, next)
			}
		}
		if !found {
			groups = append(groups, []*kept{c})
		}
	}
	return groups
}

// TestWorkers: connections fall to the agent's workers by chance, and stay with
// them. Each worker lets the tasks take turns on its own, and has connections to
// them of its own, as Envoy's workers do.
func TestWorkers(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	const (
		tasks = 3
		many  = 24 // connections; all fall to one of two workers once in 8 million times
	)
	for _, workers := range []int{1, 2} {
		for _, start := range []func(testing.TB, *deployment) *hop{startAgent, startEnvoy} {
			d := &deployment{out: wildcard(t), hosts: map[string][]netip.AddrPort{}, cfg: agent.Config{Task: "parity", Workers: workers}}
			times := agent.DefaultTimeouts(agent.HTTP)
			in := agent.Ingress{Discovery: "in", Protocol: agent.HTTP, App: numbered(t, 0), Timeouts: times}
			d.cfg.Ingress, d.ingress = []agent.Ingress{in}, []netip.AddrPort{place(t)}
			e := agent.Egress{Name: "out", Discovery: "out", Protocol: agent.HTTP, At: d.vip(1), Timeouts: times}
			d.cfg.Egress = []agent.Egress{e}
			for i := range tasks {
				at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), numbered(t, i))
				d.hosts[key(e)] = append(d.hosts[key(e)], at)
			}
			h := start(t, d)
			t.Run(fmt.Sprintf("%s with %d", h.name, workers), func(t *testing.T) {
				first := keep(t, e.At)
				next := make([]int, tasks)
				for before, i := first.ask(t), 0; i < tasks; i++ {
					next[before] = first.ask(t)
					before = next[before]
				}
				conns := []*kept{first}
				for range many - 1 {
					conns = append(conns, keep(t, e.At))
				}
				if got := len(turns(t, conns, next)); got != workers {
					t.Errorf("the connections take turns in %d groups, want one for each of %d workers", got, workers)
				}
				for range many {
					keep(t, d.ingress[0]).ask(t)
				}
				c := h.counters()
				if got, want := c["egress out"].UpstreamConnections, int64(tasks*workers); got != want {
					t.Errorf("%d connections to %d tasks, want %d: one of each worker to each task", got, tasks, want)
				}
				if got := c["ingress in"].UpstreamConnections; got != int64(workers) {
					t.Errorf("%d connections to the app for %d clients, want one for each of %d workers", got, many, workers)
				}
			})
			h.stop()
		}
	}
}
