package parity

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestDraining: what a task's agent does with its connections when it is told
// to drain, as it is when the task stops.
func TestDraining(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	got := map[string][]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, start := range []func(testing.TB, *deployment) *hop{startAgent, startEnvoy} {
		port := app(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(600 * time.Millisecond)
			}
			io.WriteString(w, "hello")
		})(t)
		d := &deployment{out: wildcard(t), hosts: map[string][]netip.AddrPort{}, cfg: agent.Config{Task: "parity"},
			ingress: []netip.AddrPort{place(t), place(t)}}
		d.cfg.Ingress = []agent.Ingress{
			{Discovery: "http", Protocol: agent.HTTP, App: port, Timeouts: agent.DefaultTimeouts(agent.HTTP)},
			{Discovery: "tcp", Protocol: agent.TCP, App: port, Timeouts: agent.DefaultTimeouts(agent.TCP)},
		}
		e := agent.Egress{Name: "out", Discovery: "out", Protocol: agent.HTTP, At: d.vip(1),
			Timeouts: agent.DefaultTimeouts(agent.HTTP)}
		d.cfg.Egress = []agent.Egress{e}
		d.hosts[key(e)] = []netip.AddrPort{named(t, "elsewhere")}
		h := start(t, d)
		wg.Go(func() {
			s := &stage{t: t}
			drained(s, h)
			mu.Lock()
			got[h.name] = s.lines
			mu.Unlock()
		})
	}
	wg.Wait()
	a, e := fmt.Sprint(join(got["agent"])), fmt.Sprint(join(got["Envoy"]))
	if a != e {
		t.Errorf("agent%s\nEnvoy%s", a, e)
	} else {
		t.Logf("both%s", e)
	}
}

func join(lines []string) (out string) {
	for _, l := range lines {
		out += "\n   " + l
	}
	return out
}

// conversation is a connection for one request after another.
type conversation struct {
	net.Conn
	r    *bufio.Reader
	last bool
}

func (s *stage) dial(addr string) *conversation {
	c, err := net.DialTimeout("tcp4", addr, 2*time.Second)
	if err != nil {
		s.note("dial: %s", kindOf(err))
		return nil
	}
	c.SetDeadline(time.Now().Add(15 * time.Second))
	return &conversation{Conn: c, r: bufio.NewReader(c)}
}

func (c *conversation) get(s *stage, what, path string) {
	if c == nil {
		return
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		s.note("%s: %s", what, kindOf(err))
		return
	}
	b, err := io.ReadAll(resp.Body)
	s.note("%s: %d %q %s", what, resp.StatusCode, b, kindOf(err))
	if resp.Close {
		// One of the few that say so: the share grows with time, by chance.
		c.last = true
	}
}

// ends notes whether the connection ends within a second and a half.
func (c *conversation) ends(s *stage, what string) {
	if c == nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
	_, err := c.r.ReadByte()
	if c.last {
		err = os.ErrDeadlineExceeded // as if it had not been told to end
	}
	s.note("%s: %s", what, kindOf(err))
	c.SetReadDeadline(time.Now().Add(15 * time.Second))
}

func drained(s *stage, h *hop) {
	in, tcp, out := h.d.ingress[0].String(), h.d.ingress[1].String(), h.d.cfg.Egress[0].At.String()
	idle, busy, again, stream, client, other := s.dial(in), s.dial(in), s.dial(in), s.dial(tcp), s.dial(out), s.dial(in)
	idle.get(s, "idle", "/")
	again.get(s, "again", "/")
	stream.get(s, "TCP", "/")
	client.get(s, "egress", "/")
	done := make(chan struct{})
	late := &stage{t: s.t}
	go func() { busy.get(late, "busy", "/slow"); busy.ends(late, "busy"); close(done) }()
	time.Sleep(200 * time.Millisecond)
	h.drain()
	time.Sleep(200 * time.Millisecond)
	s.dial(in).get(s, "new", "/")
	s.dial(tcp).get(s, "new TCP", "/")
	again.get(s, "again, draining", "/")
	again.ends(s, "again")
	stream.get(s, "TCP, draining", "/")
	client.get(s, "egress, draining", "/")
	s.dial(out).get(s, "new egress", "/")
	idle.ends(s, "idle")
	other.ends(s, "without a request")
	other.get(s, "the first request", "/")
	<-done
	s.lines = append(s.lines, late.lines...)
}
