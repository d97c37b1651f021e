package parity

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// storm is many requests at once, or one every gap.
type storm struct {
	n    int
	gap  time.Duration
	two  bool // over HTTP/2
	grpc bool // as gRPC calls
	// kinds notes which ends there were, and not how many came to each: where hosts
	// refuse at once, that is up to who is faster.
	kinds bool
	// untimed leaves out when an end came.
	untimed bool
}

// let sends a storm and notes how many requests came to each end: what the client
// was told, and about when.
func (s *stage) let(st storm) {
	c := clientOf(st.two)
	c.Transport.(*http.Transport).MaxIdleConnsPerHost = st.n
	c.Timeout = 20 * time.Second
	defer c.CloseIdleConnections()
	ends := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range st.n {
		if st.gap > 0 && i > 0 {
			time.Sleep(st.gap)
		}
		wg.Go(func() {
			end, took := s.end(c, st)
			if !st.untimed {
				end += ", " + step(took)
			}
			mu.Lock()
			ends[end]++
			mu.Unlock()
		})
	}
	wg.Wait()
	for _, end := range slices.Sorted(maps.Keys(ends)) {
		if st.kinds {
			s.note("%s", end)
		} else {
			s.note("%d × %s", ends[end], end)
		}
	}
}

// end sends one request of a storm and says what became of it, and how soon.
func (s *stage) end(c *http.Client, st storm) (what string, took time.Duration) {
	start := time.Now()
	defer func() { took = time.Since(start) }()
	req := s.request("GET", "/", nil)
	if st.grpc {
		req = s.request("POST", "/a.B/C", strings.NewReader("\x00\x00\x00\x00\x00"), "Content-Type", "application/grpc", "Te", "trailers")
	}
	resp, err := c.Do(req)
	if err != nil {
		return kindOf(err), 0
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %q %s [%s] [%s]", resp.StatusCode, b, kindOf(err), list(resp.Header), list(resp.Trailer)), 0
}

// step says whether a connect timeout has passed, of which the tests' hops have 400
// ms. How much more has is up to the machine.
func step(d time.Duration) string {
	if d < 380*time.Millisecond {
		return "at once"
	}
	return "late"
}

func kinds(st storm) storm { st.kinds, st.untimed = true, true; return st }

// bare is an origin that answers each request of a connection after a while,
// and does with the connection what then says.
func bare(late time.Duration, answer string, then func(net.Conn) (goOn bool)) func(testing.TB) uint16 {
	return raw(func(c net.Conn) {
		for r := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			time.Sleep(late)
			io.WriteString(c, answer)
			if then != nil && !then(c) {
				return
			}
		}
	})
}

const (
	sayOK  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	lastOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
)

func hang(net.Conn) bool { return false }

func endpoints(of ...func(testing.TB) netip.AddrPort) func(testing.TB, netip.AddrPort) []netip.AddrPort {
	return func(t testing.TB, _ netip.AddrPort) (out []netip.AddrPort) {
		for _, h := range of {
			out = append(out, h(t))
		}
		return out
	}
}

// behind is an origin as an endpoint of its own.
func behind(origin func(testing.TB) uint16) func(testing.TB) netip.AddrPort {
	return func(t testing.TB) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), origin(t))
	}
}

// TestStorms: many requests at once to endpoints that refuse, swallow, close,
// answer late or take no more.
func TestStorms(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	minute := time.Minute
	at := func(st ...storm) func(*stage) {
		return func(s *stage) {
			for _, st := range st {
				s.let(st)
			}
		}
	}
	ok := behind(app(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	}))
	var plays []play
	add := func(p play) {
		p.counted = !strings.Contains(p.name, "refuses") && !strings.Contains(p.name, "nobody") || strings.Contains(p.name, "one by one")
		if p.only == "" {
			p.only = both
		}
		plays = append(plays, p)
	}
	add(play{name: "time limits count as failures", protocol: agent.HTTP, timeouts: times(250*time.Millisecond, minute),
		hosts: endpoints(swallowing, ok, ok), do: at(storm{n: 30, gap: 100 * time.Millisecond})})
	for _, p := range []agent.Protocol{agent.HTTP, agent.HTTP2, agent.GRPC} {
		st := func(n int, gap time.Duration) storm {
			return storm{n: n, gap: gap, untimed: gap > 0, two: p != agent.HTTP, grpc: p == agent.GRPC}
		}
		add(play{name: string(p) + ", nobody there", protocol: p, only: through, do: at(kinds(st(40, 0)))})
		add(play{name: string(p) + ", refuses", protocol: p, hosts: endpoints(refusing), do: at(kinds(st(40, 0)))})
		add(play{name: string(p) + ", refuses one by one", protocol: p, hosts: endpoints(refusing), do: at(st(20, 130*time.Millisecond))})
		add(play{name: string(p) + ", swallows", protocol: p, hosts: endpoints(swallowing), do: at(st(40, 0))})
		add(play{name: string(p) + ", swallows what comes one by one", protocol: p, hosts: endpoints(swallowing),
			do: at(st(30, 10*time.Millisecond))})
		add(play{name: string(p) + ", swallows, few", protocol: p, hosts: endpoints(swallowing), do: at(st(3, 0))})
		add(play{name: string(p) + ", swallows, short limit", protocol: p, timeouts: times(200*time.Millisecond, minute),
			hosts: endpoints(swallowing), do: at(st(40, 0))})
		add(play{name: string(p) + ", swallows, idle limit", protocol: p, timeouts: times(0, 200*time.Millisecond),
			hosts: endpoints(swallowing), do: at(st(40, 0))})
		add(play{name: string(p) + ", one of two swallows", protocol: p, hosts: endpoints(swallowing, ok), do: at(st(40, 0), st(20, 0))})
		add(play{name: string(p) + ", one of three refuses", protocol: p, hosts: endpoints(refusing, ok, ok),
			do: at(kinds(st(40, 0)), st(20, 0))})
		add(play{name: string(p) + ", fails again after a while", protocol: p, hosts: endpoints(swallowing),
			do: at(st(10, 0), st(10, 0))})
		add(play{name: string(p) + ", no host", protocol: p, hosts: endpoints(), do: at(st(20, 0))})
	}
	one := func(n int, gap time.Duration) storm { return storm{n: n, gap: gap, untimed: true} }
	closing := func(name, answer string, then func(net.Conn) bool) {
		add(play{name: name, protocol: agent.HTTP, hosts: endpoints(behind(bare(100*time.Millisecond, answer, then))),
			do: at(one(40, 0), one(40, 0), one(20, 30*time.Millisecond))})
	}
	closing("keeps connections", sayOK, nil)
	closing("closes after each answer and says so", lastOK, hang)
	closing("closes after each answer", sayOK, hang)
	closing("says that it closes, and does not", lastOK, nil)
	closing("hangs up without an answer", "", hang)
	closing("resets without an answer", "", func(c net.Conn) bool { c.(*net.TCPConn).SetLinger(0); return false })
	add(play{name: "answers late", protocol: agent.HTTP, timeouts: times(200*time.Millisecond, minute),
		hosts: endpoints(behind(bare(time.Second, sayOK, nil))), do: at(one(40, 0), one(20, 0))})
	add(play{name: "answers late, idle limit", protocol: agent.HTTP, timeouts: times(0, 200*time.Millisecond),
		hosts: endpoints(behind(bare(time.Second, sayOK, nil))), do: at(one(40, 0), one(20, 0))})
	performBy(t, plays, nil, 3, 1, 1, 1)
}

// TestLimits: more requests than connections, and more than may wait for one.
func TestLimits(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	const limit = 1024 // of connections, of what waits for one, and of requests
	at := func(st storm) func(*stage) { return func(s *stage) { s.let(st) } }
	slow := app(func(w http.ResponseWriter, _ *http.Request) { time.Sleep(3 * time.Second); io.WriteString(w, "ok") })
	few := func(t testing.TB) uint16 {
		return serving(t, func(srv *http.Server) {
			srv.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 5}
			srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(200 * time.Millisecond)
				io.WriteString(w, "ok")
			})
		})
	}
	performBy(t, []play{
		// With a gap, in which connections come to be: all at once may be more than may wait.
		{name: "some wait", protocol: agent.HTTP, only: both, counted: true, hosts: endpoints(behind(slow)),
			do: at(storm{n: limit + 100, gap: time.Millisecond})},
		{name: "some are refused", protocol: agent.HTTP, only: both, hosts: endpoints(behind(slow)), do: at(kinds(storm{n: 2*limit + 200}))},
		{name: "HTTP/2, more than the app takes", protocol: agent.HTTP2, only: both, hosts: endpoints(behind(few)),
			do: at(kinds(storm{n: 40, two: true}))},
	}, func(d *deployment) { d.cfg.ConnectTimeout = 5 * time.Second }, 1, 1, 1)
}
