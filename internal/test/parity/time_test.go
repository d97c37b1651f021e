package parity

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// refusing is an address that nobody listens on.
func refusing(t testing.TB) netip.AddrPort { return place(t) }

// swallowing is an address that answers no SYN: a listener whose queue is full.
func swallowing(t testing.TB) netip.AddrPort {
	t.Helper()
	at := place(t)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 8 { // until one is not answered
		c, err := net.DialTimeout("tcp4", at.String(), 200*time.Millisecond)
		if err != nil {
			return at
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue of a listener does not fill")
	return at
}

// named is an HTTP origin at an address of its own that answers with its name.
func named(t testing.TB, name string) netip.AddrPort {
	t.Helper()
	at := place(t)
	l, err := net.Listen("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return at
}

func times(perRequest, idle time.Duration) agent.Timeouts {
	return agent.Timeouts{PerRequest: perRequest, Idle: idle}
}

// exchangeTimed sends text over a connection of its own and notes what comes
// and when the connection ends, to a tenth of a second.
func (s *stage) exchangeTimed(text string, then ...any) {
	c, err := net.DialTimeout("tcp4", s.addr, 2*time.Second)
	if err != nil {
		s.note("dial: %s", kindOf(err))
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(9 * time.Second))
	start := time.Now()
	io.WriteString(c, text)
	go func() {
		for _, part := range then {
			switch p := part.(type) {
			case time.Duration:
				time.Sleep(p)
			case string:
				io.WriteString(c, p)
			case token:
				switch p {
				case halfClose:
					c.(*net.TCPConn).CloseWrite()
				case reset:
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
			}
		}
	}()
	var got strings.Builder
	var last time.Duration
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if n > 0 {
			last = time.Since(start)
		}
		if err != nil {
			s.note("%q last bytes %s end %s %s", normal([]byte(got.String()), nil), about(last), strings.TrimPrefix(kindOf(err),
				"error "), about(time.Since(start)))
			return
		}
	}
}

// about is a moment as two hops on a busy machine may agree on it.
func about(d time.Duration) string {
	for _, at := range []time.Duration{0, 300, 600, 900, 1300, 1600, 2000, 3000, 6300} {
		if d < (at+200)*time.Millisecond {
			return fmt.Sprintf("~%d ms", at)
		}
	}
	return "late"
}

const plainGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestFailures: hosts that cannot be reached, where the tries go, and time limits.
func TestFailures(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	get := func(s *stage) { s.ask(clientOf(false), s.request("GET", "/", nil)) }
	slow := func(parts ...any) func(testing.TB) uint16 {
		return raw(func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			for _, p := range parts {
				switch p := p.(type) {
				case time.Duration:
					time.Sleep(p)
				case string:
					io.WriteString(c, p)
				}
			}
			io.Copy(io.Discard, c)
		})
	}
	hosts := func(of ...func(testing.TB) netip.AddrPort) func(testing.TB, netip.AddrPort) []netip.AddrPort {
		return func(t testing.TB, _ netip.AddrPort) (out []netip.AddrPort) {
			for _, h := range of {
				out = append(out, h(t))
			}
			return out
		}
	}
	good := func(name string) func(testing.TB) netip.AddrPort {
		return func(t testing.TB) netip.AddrPort { return named(t, name) }
	}
	// who answers a number of requests; the first is anybody's.
	who := func(n int) func(s *stage) {
		return func(s *stage) {
			c := clientOf(false)
			var order []string
			for range n {
				resp, err := c.Do(s.request("GET", "/", nil))
				if err != nil {
					order = append(order, kindOf(err))
					continue
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				order = append(order, fmt.Sprintf("%d %s", resp.StatusCode, b))
			}
			count := map[string]int{}
			for _, o := range order {
				count[o]++
			}
			s.note("%v", count)
		}
	}
	const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	minute := time.Minute
	plays := []play{
		{name: "no app", protocol: agent.HTTP, do: get},
		{name: "no host", protocol: agent.HTTP, hosts: hosts(), only: both, do: get},
		{name: "one host refuses", protocol: agent.HTTP, hosts: hosts(refusing), only: both, do: get},
		{name: "one host swallows", protocol: agent.HTTP, hosts: hosts(swallowing), only: both, do: get},
		{name: "one host swallows, short limit", protocol: agent.HTTP, timeouts: times(300*time.Millisecond, minute),
			hosts: hosts(swallowing), only: both, do: get},
		{name: "one host swallows, no limit", protocol: agent.HTTP, timeouts: times(0, minute), hosts: hosts(swallowing),
			only: both, do: get},
		{name: "all hosts refuse", protocol: agent.HTTP, hosts: hosts(refusing, refusing, refusing), only: both, do: get},
		{name: "in turn", protocol: agent.HTTP, hosts: hosts(good("a"), good("b"), good("c")), only: both, do: who(9)},
		{name: "one of two refuses", protocol: agent.HTTP, hosts: hosts(refusing, good("a")), only: both, do: who(8)},
		{name: "one of three refuses", protocol: agent.HTTP, hosts: hosts(refusing, good("a"), good("b")), only: both, do: who(4)},
		{name: "two of three refuse", protocol: agent.HTTP, hosts: hosts(refusing, good("a"), refusing), only: both, do: who(30)},
		{name: "one of two swallows", protocol: agent.HTTP, hosts: hosts(swallowing, good("a")), only: both, do: who(4)},
		{name: "http2, no host", protocol: agent.HTTP2, hosts: hosts(), only: both, do: get},
		{name: "http2, one host refuses", protocol: agent.HTTP2, hosts: hosts(refusing), only: both, do: get},
		{name: "http2, one host swallows", protocol: agent.HTTP2, hosts: hosts(swallowing), only: both, do: get},
		{name: "grpc, no host", protocol: agent.GRPC, hosts: hosts(), only: both, do: func(s *stage) { s.call("x", 5*time.Second) }},
		{name: "grpc, one host refuses", protocol: agent.GRPC, hosts: hosts(refusing), only: both,
			do: func(s *stage) { s.call("x", 5*time.Second) }},

		{name: "request timeout", protocol: agent.HTTP, timeouts: times(300*time.Millisecond, minute),
			origin: slow(2*time.Second, hello), do: func(s *stage) {
				s.exchangeTimed(plainGet, 900*time.Millisecond, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			}},
		{name: "request timeout with the head there", protocol: agent.HTTP, timeouts: times(300*time.Millisecond, minute),
			origin: slow("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 2*time.Second,
				"llo"), do: func(s *stage) { s.exchangeTimed(plainGet) }},
		{name: "request timeout in chunks", protocol: agent.HTTP, timeouts: times(300*time.Millisecond, minute),
			origin: slow("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", 2*time.Second,
				"0\r\n\r\n"), do: func(s *stage) { s.exchangeTimed(plainGet) }},
		{name: "request timeout while the request is sent", protocol: agent.HTTP, timeouts: times(300*time.Millisecond, minute),
			origin: slow(2*time.Second, hello), do: func(s *stage) {
				s.exchangeTimed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nab", 900*time.Millisecond,
					"cd")
			}},
		{name: "idle before the answer", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond),
			origin: slow(2*time.Second, hello), do: func(s *stage) {
				s.exchangeTimed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			}},
		{name: "idle in the answer", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond),
			origin: slow("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 2*time.Second,
				"llo"), do: func(s *stage) { s.exchangeTimed(plainGet) }},
		{name: "idle in the request", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond), origin: slow(hello),
			do: func(s *stage) {
				s.exchangeTimed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
			}},
		{name: "idle in the request's head", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond),
			origin: slow(hello), do: func(s *stage) {
				s.exchangeTimed("POST / HTTP/1.1\r\nHost: a\r\nCont")
			}},
		{name: "idle without a request", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond), origin: slow(hello),
			do: func(s *stage) { s.exchangeTimed("") }},
		{name: "idle after an answer", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond), origin: slow(hello),
			do: func(s *stage) { s.exchangeTimed(plainGet) }},
		{name: "idle with a request limit", protocol: agent.HTTP, timeouts: times(900*time.Millisecond, 300*time.Millisecond),
			origin: slow(2*time.Second, hello), do: func(s *stage) {
				s.exchangeTimed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			}},
		{name: "slow but not idle", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond),
			origin: slow("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh", 200*time.Millisecond, "e", 200*time.Millisecond, "l",
				200*time.Millisecond, "l", 200*time.Millisecond, "o"), do: func(s *stage) {
				s.exchangeTimed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			}},
		{name: "idle WebSocket", protocol: agent.HTTP, timeouts: times(0, 300*time.Millisecond),
			origin: slow("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), do: func(s *stage) {
				s.exchangeTimed("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
			}},
		{name: "WebSocket beyond the request limit", protocol: agent.HTTP, timeouts: times(300*time.Millisecond, minute),
			origin: slow("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
				900*time.Millisecond, "later"), do: func(s *stage) {
				s.exchangeTimed("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
					1200*time.Millisecond, halfClose)
			}},
		{name: "WebSocket, slow agreement", protocol: agent.HTTP, timeouts: times(300*time.Millisecond, minute),
			origin: slow(900 * time.Millisecond), do: func(s *stage) {
				s.exchangeTimed("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
			}},
		{name: "http2, idle", protocol: agent.HTTP2, timeouts: times(0, 300*time.Millisecond),
			origin: app(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), do: func(s *stage) {
				s.ask(clientOf(true), s.request("GET", "/", nil))
			}},
	}
	perform(t, plays, nil)
}

// TestTCP: endpoints without a protocol.
func TestTCP(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	echo := raw(func(c net.Conn) { io.Copy(c, c); c.(*net.TCPConn).CloseWrite() })
	plays := []play{
		{name: "echo, then the client ends", protocol: agent.TCP, origin: echo, do: func(s *stage) {
			s.exchangeTimed("hello",
				200*time.Millisecond, "again", halfClose)
		}},
		{name: "the client ends first", protocol: agent.TCP, origin: raw(func(c net.Conn) {
			b, err := io.ReadAll(c)
			time.Sleep(300 * time.Millisecond)
			fmt.Fprintf(c, "got %q %v", b, err)
		}), do: func(s *stage) { s.exchangeTimed("hello", halfClose) }},
		{name: "the app ends first", protocol: agent.TCP, origin: raw(func(c net.Conn) {
			io.WriteString(c, "bye")
			c.(*net.TCPConn).CloseWrite()
			b, err := io.ReadAll(c)
			_, _ = b, err
		}), do: func(s *stage) { s.exchangeTimed("", 400*time.Millisecond, "more", 300*time.Millisecond, halfClose) }},
		{name: "the app closes", protocol: agent.TCP, origin: raw(func(c net.Conn) { io.WriteString(c, "bye") }),
			do: func(s *stage) { s.exchangeTimed("", 900*time.Millisecond, halfClose) }},
		{name: "the app resets", protocol: agent.TCP, origin: raw(func(c net.Conn) {
			c.Read(make([]byte, 100))
			c.(*net.TCPConn).SetLinger(0)
		}), do: func(s *stage) { s.exchangeTimed("hello") }},
		{name: "server first", protocol: agent.TCP, origin: raw(func(c net.Conn) {
			io.WriteString(c,
				"220 ready\r\n")
			io.Copy(io.Discard, c)
		}), do: func(s *stage) { s.exchangeTimed("", 300*time.Millisecond, halfClose) }},
		{name: "no app, silent client", protocol: agent.TCP, do: func(s *stage) { s.exchangeTimed("") }},
		{name: "no host", protocol: agent.TCP, only: both, hosts: func(testing.TB,
			netip.AddrPort) []netip.AddrPort {
			return nil
		}, do: func(s *stage) { s.exchangeTimed("") }},
		{name: "one host swallows", protocol: agent.TCP, only: both, hosts: func(t testing.TB,
			_ netip.AddrPort) []netip.AddrPort {
			return []netip.AddrPort{swallowing(t)}
		}, do: func(s *stage) { s.exchangeTimed("hello") }},
		{name: "one of two refuses", protocol: agent.TCP, only: both, hosts: func(t testing.TB, _ netip.AddrPort) []netip.AddrPort {
			return []netip.AddrPort{refusing(t), named(t, "a")}
		}, do: func(s *stage) {
			count := map[string]int{}
			for range 4 {
				resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true},
					Timeout: 3 * time.Second}).Get("http://" + s.addr)
				if err != nil {
					count["fails"]++ // by an end or a reset, whichever comes before the request
					continue
				}
				resp.Body.Close()
				count[resp.Status]++
			}
			s.note("%v", count)
		}},
		{name: "idle", protocol: agent.TCP, timeouts: times(0, 300*time.Millisecond), origin: echo,
			do: func(s *stage) { s.exchangeTimed("hello") }},
		{name: "idle after each part", protocol: agent.TCP, timeouts: times(0, 300*time.Millisecond), origin: echo,
			do: func(s *stage) {
				s.exchangeTimed("a", 200*time.Millisecond, "b", 200*time.Millisecond, "c", 200*time.Millisecond, "d")
			}},
		{name: "idle, half closed", protocol: agent.TCP, timeouts: times(0, 300*time.Millisecond),
			origin: raw(func(c net.Conn) {
				io.Copy(io.Discard,
					c)
				time.Sleep(2 * time.Second)
			}), do: func(s *stage) { s.exchangeTimed("hello", halfClose) }},
		{name: "1 MiB and back", protocol: agent.TCP, origin: echo, do: func(s *stage) {
			c, err := net.Dial("tcp4", s.addr)
			if err != nil {
				s.note("%v", err)
				return
			}
			defer c.Close()
			go func() { c.Write(make([]byte, 1<<20)); c.(*net.TCPConn).CloseWrite() }()
			b, err := io.ReadAll(c)
			s.note("%d bytes, %s", len(b), kindOf(err))
		}},
		{name: "the client resets", protocol: agent.TCP, origin: echo, do: func(s *stage) {
			c, err := net.Dial("tcp4", s.addr)
			if err != nil {
				s.note("%v", err)
				return
			}
			io.WriteString(c, "hello")
			time.Sleep(100 * time.Millisecond)
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}},
	}
	perform(t, plays, nil)
}

// backAfter asks until a request fails, and says whether that is in time.
func (s *stage) backAfter(round func(*stage, int) string, from, to time.Duration) string {
	start := time.Now()
	for {
		if strings.Contains(round(s, 3), "-") {
			if d := time.Since(start); d < from-400*time.Millisecond || d > to+700*time.Millisecond {
				return fmt.Sprintf("after %s", d)
			}
			return fmt.Sprintf("between %s and %s", from, to)
		}
		if time.Since(start) > 2*to {
			return "never"
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// faster makes the bootstrap's clock run n times as fast, as the agent's can.
func faster(n int64) func(*bootstrapv3.Bootstrap) {
	return func(b *bootstrapv3.Bootstrap) {
		for _, c := range b.StaticResources.Clusters {
			if o := c.OutlierDetection; o != nil {
				for _, d := range []**durationpb.Duration{&o.Interval, &o.BaseEjectionTime, &o.MaxEjectionTime} {
					*d = durationpb.New((*d).AsDuration() / time.Duration(n))
				}
				// Its default, which is not written.
				c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{UpdateMergeWindow: durationpb.New(time.Second / time.Duration(n))}
			}
		}
	}
}

// TestOutliers: who is left out after failures, for how long, and when nobody is.
func TestOutliers(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	const scale = 20
	// The hosts come one after another; what fails is seen in who answers.
	var plays []play
	add := func(name string, hosts func(t testing.TB) []netip.AddrPort, do func(s *stage)) {
		plays = append(plays, play{name: name, protocol: agent.TCP, only: both, hosts: func(t testing.TB,
			_ netip.AddrPort) []netip.AddrPort {
			return hosts(t)
		}, do: do})
	}
	round := func(s *stage, n int) string {
		var order []string
		for range n {
			time.Sleep(15 * time.Millisecond) // Envoy's main thread tells its workers
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true},
				Timeout: 3 * time.Second}).Get("http://" + s.addr)
			if err != nil {
				order = append(order, "-")
				continue
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			order = append(order, string(b))
		}
		return strings.Join(order, "")
	}
	// failures says how many of n requests fail: as many as there should, or one
	// or two more, which come while Envoy's threads tell each other.
	failures := func(s *stage, n, should int) string {
		if got := strings.Count(round(s, n), "-"); got < should || got > should+2 {
			return fmt.Sprintf("%d of %d fail", got, n)
		}
		return fmt.Sprintf("%d of %d fail, or a few more", should, n)
	}
	add("fifth failure", func(t testing.TB) []netip.AddrPort {
		return []netip.AddrPort{refusing(t), named(t, "a"), named(t, "b")}
	}, func(s *stage) {
		s.note("first %s", failures(s, 30, 5)) // every third, five times
		s.note("then %s", failures(s, 9, 0))
		// It is back when 30 s have passed, as soon as that is looked at: every 30 s.
		s.note("back %s", s.backAfter(round, 1500*time.Millisecond, 3000*time.Millisecond))
		s.note("again %s", failures(s, 28, 4))
		s.note("then %s", failures(s, 9, 0))
		s.note("back %s", s.backAfter(round, 3000*time.Millisecond, 4500*time.Millisecond))
	})
	add("panic", func(t testing.TB) []netip.AddrPort {
		return []netip.AddrPort{refusing(t), refusing(t), named(t, "a")}
	}, func(s *stage) {
		// Which host is next changes with the hosts: one answer more or less.
		if got := strings.Count(round(s, 45), "-"); got < 29 || got > 32 {
			s.note("%d of 45 fail", got)
			return
		}
		s.note("about 30 of 45 fail")
	})
	add("half are out", func(t testing.TB) []netip.AddrPort {
		return []netip.AddrPort{refusing(t), named(t, "a")}
	}, func(s *stage) {
		s.note("%s", failures(s, 24, 5))
	})
	add("the only host", func(t testing.TB) []netip.AddrPort { return []netip.AddrPort{refusing(t)} }, func(s *stage) {
		s.note("%s", failures(s, 12, 12))
	})
	perform(t, plays, func(d *deployment) { d.scale, d.edit = scale, faster(scale) })
}
