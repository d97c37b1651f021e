package parity

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// play is something that is done through a hop, with its origins, and written
// down. The two hops must give the same transcript.
type play struct {
	name     string
	protocol agent.Protocol
	timeouts agent.Timeouts // zero: the defaults of the protocol
	// origin starts what is behind the hop and returns its port; nil means that
	// nothing listens there.
	origin func(t testing.TB) uint16
	// hosts are the egress endpoint's tasks, given the hop's own ingress; nil
	// means that ingress alone.
	hosts func(t testing.TB, ingress netip.AddrPort) []netip.AddrPort
	// do uses the endpoint at addr, which is the ingress or the virtual address.
	do func(s *stage)
	// only restricts the play to one of the routes.
	only string
	// counted adds what the endpoint's cluster has counted of requests to the
	// transcript, and connected of connections. Such a play has one route.
	counted, connected bool
	// mayRetry says that chance decides which of its requests are tried again: each
	// hop begins with any of its hosts. What is left of a limit then says nothing.
	mayRetry bool
	// logged adds the lines of its requests in the hop's access log, which the
	// deployment must have. Such a play tells its requests by stage.host; one without
	// is alone in its deployment.
	logged bool
}

// stage is where a play is done.
type stage struct {
	t        testing.TB
	addr     string
	route    string
	host     string // the requests' Host
	mayRetry bool   // as its play
	mu       sync.Mutex
	lines    []string
}

// lessTime is what a retry has left of 15 s, anyTime what it or a first try has.
var (
	lessTime = regexp.MustCompile(`rq-timeout-ms=14\d{3}`)
	anyTime  = regexp.MustCompile(`rq-timeout-ms=1(?:4\d{3}|5000)`)
)

func (s *stage) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	line = uuid.ReplaceAllString(line, "UUID")
	line = anyPort.ReplaceAllString(line, "HOST")
	if s.mayRetry {
		line = anyTime.ReplaceAllString(line, "rq-timeout-ms=LEFT")
	}
	line = lessTime.ReplaceAllString(line, "rq-timeout-ms=LESS")
	s.lines = append(s.lines, line)
}

// took rounds a duration to what two hops on a busy machine may agree on.
func took(d time.Duration) string {
	for _, limit := range []time.Duration{1000, 5000} {
		if d < limit*time.Millisecond {
			return fmt.Sprintf("within %d ms", limit)
		}
	}
	return "long"
}

// perform plays through both hops. What differs is played again between hops
// of its own, with less at a time: a busy machine can make a moment differ.
// edit, if set, changes a deployment before its hop starts.
func perform(t *testing.T, plays []play, edit func(*deployment)) {
	t.Helper()
	performBy(t, plays, edit, 12, 3, 1, 1)
}

// performBy is perform with so many at a time, in one round after another.
func performBy(t *testing.T, plays []play, edit func(*deployment), rounds ...int) {
	t.Helper()
	last := map[string][2]*stage{}
	todo := slices.DeleteFunc(slices.Clone(plays), func(p play) bool { return !strings.HasPrefix(p.name, os.Getenv("PARITY_ONLY")) })
	for _, atATime := range rounds {
		var again []play
		for i, pair := range rehearse(t, todo, edit, atATime) {
			p := &todo[i/len(routes)]
			if pair[0] == nil {
				continue // not on this route
			}
			last[p.name+", "+pair[0].route] = pair
			if !slices.Equal(pair[0].lines, pair[1].lines) && (len(again) == 0 || again[len(again)-1].name != p.name) {
				again = append(again, *p)
			}
		}
		if todo = again; len(todo) == 0 || os.Getenv("PARITY_ONCE") != "" {
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		t.Run(name, func(t *testing.T) {
			a, e := last[name][0].lines, last[name][1].lines
			if !slices.Equal(a, e) {
				t.Errorf("agent%s\nEnvoy%s", join(a), join(e))
			} else {
				t.Logf("both%s", join(e))
			}
		})
	}
}

// rehearse starts both hops with an endpoint for each play and route, plays,
// and returns the two stages of each.
func rehearse(t *testing.T, plays []play, edit func(*deployment), atATime int) [][2]*stage {
	t.Helper()
	pairs := make([][2]*stage, len(plays)*len(routes))
	gate := make(chan struct{}, atATime)
	var wg sync.WaitGroup
	var hops [2]*hop
	for h, start := range []func(testing.TB, *deployment) *hop{startAgent, startEnvoy} {
		d := &deployment{out: wildcard(t), hosts: map[string][]netip.AddrPort{}}
		d.cfg = agent.Config{Task: "parity", ConnectTimeout: 400 * time.Millisecond}
		for i, p := range plays {
			times := p.timeouts
			if times == (agent.Timeouts{}) {
				times = agent.DefaultTimeouts(p.protocol)
			}
			port := uint16(1) // nobody's
			if p.origin != nil {
				port = p.origin(t)
			}
			name, at := fmt.Sprintf("p%d", i), place(t)
			in := agent.Ingress{Discovery: name, Protocol: p.protocol, App: port, Timeouts: times}
			d.cfg.Ingress, d.ingress = append(d.cfg.Ingress, in), append(d.ingress, at)
			e := agent.Egress{Name: name, Discovery: name, Protocol: p.protocol, At: d.vip(i + 1), Timeouts: times}
			d.cfg.Egress = append(d.cfg.Egress, e)
			d.hosts[key(e)] = []netip.AddrPort{at}
			if p.hosts != nil {
				d.hosts[key(e)] = p.hosts(t, at)
			}
			for r, addr := range []netip.AddrPort{at, e.At} {
				if p.only == "" || p.only == routes[r] {
					pairs[i*len(routes)+r][h] = &stage{t: t, addr: addr.String(), route: routes[r], host: "app.ns", mayRetry: p.mayRetry}
					if p.logged {
						pairs[i*len(routes)+r][h].host = fmt.Sprintf("app%d-%d.ns", i, r)
					}
				}
			}
		}
		if edit != nil {
			edit(d)
		}
		hops[h] = start(t, d)
		defer hops[h].stop()
	}
	for i, pair := range pairs {
		if pair[0] == nil {
			continue
		}
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			var both sync.WaitGroup
			for _, s := range pair {
				both.Go(func() { plays[i/len(routes)].do(s) })
			}
			both.Wait()
		})
	}
	wg.Wait()
	if slices.ContainsFunc(plays, func(p play) bool { return p.logged }) {
		time.Sleep(flushed)
	}
	for i, pair := range pairs {
		p := plays[i/len(routes)]
		for h, s := range pair {
			if s != nil && p.counted {
				s.count(hops[h].counters(), fmt.Sprintf("p%d", i/len(routes)), p.connected)
			}
			if s != nil && p.logged {
				s.readLog(hops[h].log, p.protocol)
			}
		}
	}
	return pairs
}

// flushed is how long lines may take to reach the access log: both hops write them
// every second.
const flushed = 2500 * time.Millisecond

// readLog notes the lines of the stage's requests.
func (s *stage) readLog(file string, p agent.Protocol) {
	b, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(b)) {
		switch l = strings.TrimSuffix(l, "\n"); {
		case p == agent.TCP:
			lines = append(lines, plainConnection(l))
		case strings.Contains(l, s.host):
			lines = append(lines, plainLine(l).text)
		}
	}
	slices.Sort(lines)
	for _, l := range lines {
		s.note("%s", strings.ReplaceAll(l, s.host, "app.ns"))
	}
}

// count notes what the cluster of an endpoint has counted.
func (s *stage) count(of map[string]agent.EndpointStatus, endpoint string, connections bool) {
	side := map[string]string{through: "ingress ", both: "egress "}[s.route]
	e := of[side+endpoint]
	for _, name := range slices.Sorted(maps.Keys(e.Upstream)) {
		if connections || strings.HasPrefix(name, "rq_") {
			s.note("%s %d", name, e.Upstream[name])
		}
	}
	if connections {
		s.note("cx_total %d", e.UpstreamConnections)
	}
}

// app is an origin that speaks HTTP/1.1 and HTTP/2 and says what it was sent.
func app(h http.HandlerFunc) func(testing.TB) uint16 {
	return func(t testing.TB) uint16 { return serving(t, func(srv *http.Server) { srv.Handler = h }) }
}

// serving starts an origin as app does, set up by set.
func serving(t testing.TB, set func(*http.Server)) uint16 {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Protocols: &http.Protocols{}}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	set(srv)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// raw is an origin that lets f speak on each connection.
func raw(f func(net.Conn)) func(testing.TB) uint16 {
	return func(t testing.TB) uint16 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { defer c.Close(); f(c) }()
			}
		}()
		return uint16(l.Addr().(*net.TCPAddr).Port)
	}
}

// list shows fields in order of their names.
func list(h http.Header) string {
	var out []string
	for k, vs := range h {
		for _, v := range vs {
			switch k {
			case "Date":
				v = "DATE"
			case "X-Envoy-Upstream-Service-Time":
				v = "MS"
			}
			if len(v) > 100 {
				v = fmt.Sprintf("%d bytes", len(v))
			}
			out = append(out, fmt.Sprintf("%s=%s", strings.ToLower(k), v))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// echo answers with what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s host=%s fields [%s] body %d %v trailers [%s]", r.Method, r.RequestURI, r.Proto, r.Host,
		list(r.Header), len(b), err, list(r.Trailer))
}

// clientOf speaks HTTP/2 with prior knowledge, or HTTP/1.1.
func clientOf(two bool) *http.Client {
	tr := &http.Transport{Protocols: &http.Protocols{}, DisableCompression: true}
	tr.Protocols.SetUnencryptedHTTP2(two)
	tr.Protocols.SetHTTP1(!two)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}, Timeout: 10 * time.Second}
}

// ask sends a request and notes what comes of it.
func (s *stage) ask(c *http.Client, req *http.Request) {
	start := time.Now()
	resp, err := c.Do(req)
	if err != nil {
		s.note("%s: %s, %s", req.Method, kindOf(err), took(time.Since(start)))
		return
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	body := string(b)
	if len(body) > 2000 {
		body = fmt.Sprintf("%d bytes", len(b))
	}
	s.note("%s: %s %d fields [%s] length %d trailers [%s] %s, %s", req.Method, resp.Proto, resp.StatusCode,
		list(resp.Header), resp.ContentLength, list(resp.Trailer), kindOf(err), took(time.Since(start)))
	s.note("  %s", body)
}

// kindOf is what an error tells that does not depend on the moment.
func kindOf(err error) string {
	if err == nil {
		return "ok"
	}
	text := err.Error()
	for _, k := range []string{"PROTOCOL_ERROR", "INTERNAL_ERROR", "CANCEL", "REFUSED_STREAM", "NO_ERROR", "STREAM_CLOSED",
		"ENHANCE_YOUR_CALM", "FRAME_SIZE", "connection reset", "refused", "unexpected EOF", "EOF", "closed", "imeout",
		"deadline", "canceled", "malformed"} {
		if strings.Contains(text, k) {
			return "error " + k
		}
	}
	return "error " + text
}

func (s *stage) request(method, path string, body io.Reader, fields ...string) *http.Request {
	req, err := http.NewRequest(method, "http://"+s.addr+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = s.host
	req.Header.Set("User-Agent", "parity")
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	return req
}
