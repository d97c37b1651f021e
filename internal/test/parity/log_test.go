package parity

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// marker is an exchange whose line in the log ends those of the one before it.
// The hop closes its connection, which it does after it has written the line.
func marker() *exchange {
	x := ask("marker", "GET /marker HTTP/1.1\nHost: marker\nConnection: close\n\n")
	return &x
}

// logOf performs exchanges one after another through a route of a fleet whose
// last exchange is the marker, and returns the lines of each. Lines of one
// exchange have no order among them: two agents write them.
func logOf(t *testing.T, f *fleet, xs []*exchange, route string, pause time.Duration) [][]string {
	t.Helper()
	mark := len(f.stations) - 1
	for i, x := range xs {
		s := f.stations[i]
		if _, err := x.perform(s.addr[route], s.origin[route], 400*time.Millisecond, 0); err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		time.Sleep(pause)
		if _, err := marker().perform(f.stations[mark].addr[through], nil, silence, late); err != nil {
			t.Fatal(err)
		}
	}
	var lines [][]string
	for limit := time.Now().Add(5 * time.Second); len(lines) < len(xs); time.Sleep(50 * time.Millisecond) {
		b, err := os.ReadFile(f.log)
		if err != nil {
			t.Fatal(err)
		}
		lines = lines[:0]
		var now []string
		for l := range strings.Lines(string(b)) {
			if strings.Contains(l, "/marker") {
				lines = append(lines, now)
				now = nil
				continue
			}
			now = append(now, strings.TrimSuffix(l, "\n"))
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: %d of %d markers in the log", f.name, len(lines), len(xs))
		}
	}
	return lines
}

var (
	startTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)
	anyPort   = regexp.MustCompile(`127\.\d+\.\d+\.\d+:\d+`)
	// The duration, and the upstream's time, of a line in TEXT.
	textTimes = regexp.MustCompile(`^(\[TIME\] ".* HTTP/[12](?:\.\d)?" \d+ \d+ \d+) (\d+) (\d+|-) `)
	// What only one hop can know of a connection, in TEXT and in JSON.
	textIDs   = regexp.MustCompile(`^(\[TIME\] \S+) \d+ (\d+ \d+) \d+ (.*) \d+$`)
	jsonIDs   = regexp.MustCompile(`("connection_id":|"downstream_remote_port":)"?\d+"?`)
	jsonTimes = regexp.MustCompile(`("duration":|"upstream_service_time":"?)(\d+)`)
)

// logged is a line without what no two hops agree on, and the times in it, in
// milliseconds.
type logged struct {
	text  string
	times []int64
}

// plainConnection is a line about a TCP connection in the same way.
func plainConnection(l string) string {
	l = jsonIDs.ReplaceAllString(plainLine(l).text, "${1}ID")
	return textIDs.ReplaceAllString(l, "$1 PORT $2 MS $3 ID")
}

// slack is how much longer one hop may take than the other on a busy machine.
const slack = 250

func (a logged) same(b logged) bool {
	return a.text == b.text && slices.EqualFunc(a.times, b.times, func(x, y int64) bool { return x-y <= slack && y-x <= slack })
}

func plainLine(l string) (out logged) {
	l = startTime.ReplaceAllString(l, "TIME")
	l = uuid.ReplaceAllString(l, "UUID")
	l = anyPort.ReplaceAllString(l, "HOST")
	l = longRun.ReplaceAllStringFunc(l, func(r string) string { return fmt.Sprintf("x*%d", len(r)) })
	ms := func(text string) string {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return text
		}
		out.times = append(out.times, n)
		return "MS"
	}
	if strings.HasPrefix(l, "{") {
		out.text = jsonTimes.ReplaceAllStringFunc(l, func(m string) string {
			p := jsonTimes.FindStringSubmatch(m)
			return p[1] + ms(p[2])
		})
		return out
	}
	out.text = textTimes.ReplaceAllStringFunc(l, func(m string) string {
		p := textTimes.FindStringSubmatch(m)
		return p[1] + " " + ms(p[2]) + " " + ms(p[3]) + " "
	})
	return out
}

// TestAccessLog: the lines that both hops write about the same exchanges.
func TestAccessLog(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	for _, format := range []string{"TEXT", "JSON"} {
		for _, query := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, query %v", format, query), func(t *testing.T) {
				t.Parallel()
				var xs []*exchange
				for i, x := range table() {
					if only := os.Getenv("PARITY_ONLY"); only != "" && !strings.HasPrefix(x.name, only) {
						continue
					}
					// Each of the four sees its share, and all see every kind.
					if share := i % 4; os.Getenv("PARITY_ALL") != "" || share == map[string]int{"TEXTfalse": 0, "TEXTtrue": 1,
						"JSONfalse": 2, "JSONtrue": 3}[fmt.Sprint(format, query)] {
						xs = append(xs, x)
					}
				}
				log := &agent.AccessLog{Format: format, Query: query}
				differ := map[*exchange]string{}
				todo := xs
				// A line that came too late for its exchange stands with the next one.
				for _, pause := range []time.Duration{10, 150, 400} {
					todo = logDiffers(t, todo, log, pause*time.Millisecond, differ)
				}
				for _, x := range xs {
					if d := differ[x]; d != "" {
						t.Errorf("%s: %s\n%s", x.name, x.short(), d)
					}
				}
				t.Logf("%d exchanges, the lines of %d differ", len(xs), len(todo))
			})
		}
	}
}

// logDiffers returns the exchanges about which the hops write different lines,
// and says how.
func logDiffers(t *testing.T, xs []*exchange, log *agent.AccessLog, pause time.Duration,
	how map[*exchange]string) (differ []*exchange) {
	t.Helper()
	if len(xs) == 0 {
		return nil
	}
	lines := map[string][][]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, start := range []func(testing.TB, *deployment) *hop{startAgent, startEnvoy} {
		f := newFleet(t, append(slices.Clone(xs), marker()), start, log)
		wg.Go(func() {
			got := logOf(t, f, xs, both, pause)
			mu.Lock()
			lines[f.name] = got
			mu.Unlock()
			f.stop()
		})
	}
	wg.Wait()
	for i, x := range xs {
		a, e := plainLines(lines["agent"][i]), plainLines(lines["Envoy"][i])
		delete(how, x)
		if !slices.EqualFunc(a, e, logged.same) {
			differ = append(differ, x)
			how[x] = fmt.Sprintf("   agent\n%s   Envoy\n%s", shown(a), shown(e))
		}
	}
	return differ
}

func plainLines(ls []string) (out []logged) {
	for _, l := range ls {
		out = append(out, plainLine(l))
	}
	slices.SortFunc(out, func(a, b logged) int { return strings.Compare(a.text, b.text) })
	return out
}

func shown(ls []logged) string {
	var b strings.Builder
	for _, l := range ls {
		fmt.Fprintf(&b, "      %s %d\n", l.text, l.times)
	}
	return b.String()
}

// TestAccessLogOfPlays: the lines about endpoints of each protocol, and about
// requests that no host has answered.
func TestAccessLogOfPlays(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	get := func(two bool) func(*stage) {
		return func(s *stage) { s.ask(clientOf(two), s.request("GET", "/a?b=c", nil)) }
	}
	call := func(s *stage) {
		req := s.request("POST", "/grpc.health.v1.Health/Check", strings.NewReader("\x00\x00\x00\x00\x00"), "Content-Type", "application/grpc",
			"Te", "trailers")
		s.ask(clientOf(true), req)
	}
	slow := app(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Second):
		}
	})
	gone := func(s *stage) {
		c := clientOf(false)
		c.Timeout = 150 * time.Millisecond
		s.ask(c, s.request("GET", "/", nil))
	}
	brief := times(300*time.Millisecond, time.Minute)
	var plays []play
	for _, p := range []agent.Protocol{agent.HTTP, agent.HTTP2, agent.GRPC} {
		add := func(name string, p play) {
			p.name, p.logged = string(p.protocol)+", "+name, true
			plays = append(plays, p)
		}
		for _, two := range []bool{false, true} {
			add(fmt.Sprintf("echo, HTTP/2 %v", two), play{protocol: p, origin: app(echo), do: get(two)})
			add(fmt.Sprintf("nobody there, HTTP/2 %v", two), play{protocol: p, do: get(two)})
		}
		add("call", play{protocol: p, origin: grpcOrigin, do: call})
		add("call of nobody", play{protocol: p, do: call})
		add("refuses", play{protocol: p, only: both, hosts: endpoints(refusing), do: get(false)})
		add("refuses then not", play{protocol: p, only: both, mayRetry: true, hosts: endpoints(refusing, behind(app(echo))), do: func(s *stage) {
			for range 2 {
				get(false)(s)
			}
		}})
		add("swallows", play{protocol: p, only: both, hosts: endpoints(swallowing), do: get(false)})
		add("swallows, short limit", play{protocol: p, only: both, timeouts: brief, hosts: endpoints(swallowing), do: get(false)})
		add("swallows, shorter than two tries", play{protocol: p, only: both, timeouts: times(600*time.Millisecond, time.Minute),
			hosts: endpoints(swallowing), do: get(false)})
		add("swallows, client goes", play{protocol: p, only: both, hosts: endpoints(swallowing), do: gone})
		add("no host", play{protocol: p, only: both, hosts: endpoints(), do: get(false)})
		add("late", play{protocol: p, timeouts: brief, origin: slow, do: get(false)})
		add("late, client goes", play{protocol: p, origin: slow, do: gone})
	}
	for _, format := range []string{"TEXT", "JSON"} {
		t.Run(format, func(t *testing.T) {
			perform(t, plays, func(d *deployment) { d.cfg.AccessLog = &agent.AccessLog{Format: format, Query: true} })
		})
	}
}

// TestAccessLogOfTCP: the lines about connections of endpoints without a protocol.
func TestAccessLogOfTCP(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	say := raw(func(c net.Conn) { io.WriteString(c, "hello"); io.Copy(io.Discard, c) })
	for name, p := range map[string]play{
		"hello":   {origin: say, do: func(s *stage) { s.exchangeTimed("abc", 200*time.Millisecond, halfClose) }},
		"nobody":  {only: through, do: func(s *stage) { s.exchangeTimed("abc") }},
		"no host": {only: both, hosts: endpoints(), do: func(s *stage) { s.exchangeTimed("") }},
		"silence": {origin: say, timeouts: times(0, 300*time.Millisecond), do: func(s *stage) { s.exchangeTimed("abc") }},
	} {
		for _, format := range []string{"TEXT", "JSON"} {
			t.Run(name+", "+format, func(t *testing.T) {
				for _, route := range routes {
					p := p
					if p.only != "" && p.only != route {
						continue
					}
					p.name, p.only, p.protocol, p.logged = name, route, agent.TCP, true
					perform(t, []play{p}, func(d *deployment) { d.cfg.AccessLog = &agent.AccessLog{Format: format} })
				}
			})
		}
	}
}
