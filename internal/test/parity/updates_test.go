package parity

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// served is a hop that is told of its tasks while it runs: the agent by the
// lab's updates, Envoy by the lab's control plane.
type served struct {
	name string
	// tell replaces the tasks of an endpoint and returns when the hop knows.
	tell func(e agent.Egress, tasks ...*task)
	// at is where callers reach an endpoint.
	at func(e agent.Egress) string
}

// tell returns an update that gives an endpoint these tasks.
func tell(e agent.Egress, tasks []*task) agent.Update {
	hosts := []netip.AddrPort{}
	for _, k := range tasks {
		hosts = append(hosts, k.at)
	}
	return agent.Update{Hosts: map[string][]netip.AddrPort{key(e): hosts}}
}

func servedAgent(t *testing.T, cfg agent.Config, out uint16) served {
	h := startAgent(t, &deployment{cfg: cfg, out: out, hosts: map[string][]netip.AddrPort{}})
	return served{
		name: "agent",
		tell: func(e agent.Egress, tasks ...*task) { h.update(tell(e, tasks).Hosts) },
		at:   func(e agent.Egress) string { return e.At.String() },
	}
}

// asItIs is a network on which every logical address is real, and each alias of
// an Envoy has a listener of its own, as on fabric loopback.
type asItIs struct{ local }

func (asItIs) Listen(uint16) (net.Listener, error) { return net.Listen("tcp4", "127.0.0.1:0") }
func (asItIs) From() netip.Addr                    { return netip.Addr{} }
func (asItIs) Lookup(a netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	return a, fabric.Passed
}

func servedEnvoy(t *testing.T, cfg agent.Config) served {
	cfg.Workers = 1
	p, b, err := envoy.Start(cfg, asItIs{}, labtest.Envoy(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return served{
		name: "Envoy",
		tell: func(e agent.Egress, tasks ...*task) {
			if err := p.Update(tell(e, tasks)); err != nil {
				t.Error(err)
			}
			time.Sleep(50 * time.Millisecond) // its main thread tells its worker
		},
		at: func(e agent.Egress) string { return b.Outbound[e.At].String() },
	}
}

// task is a task of its own address behind an endpoint. It answers with its
// name, /slow after 600 ms, /stream in six parts over as long, and /echo with a
// WebSocket's bytes; without HTTP it sends back what it gets.
type task struct {
	name  string
	at    netip.AddrPort
	open  atomic.Int32 // connections
	asked atomic.Int32 // requests that have begun
}

func newTask(t *testing.T, name string, p agent.Protocol) *task {
	t.Helper()
	k := &task{name: name, at: place(t)}
	l, err := net.Listen("tcp4", k.at.String())
	if err != nil {
		t.Fatal(err)
	}
	if p == agent.TCP {
		go k.echoes(l)
		t.Cleanup(func() { l.Close() })
		return k
	}
	srv := &http.Server{Protocols: &http.Protocols{}, Handler: http.HandlerFunc(k.serve), ConnState: func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			k.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			k.open.Add(-1)
		}
	}}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return k
}

func (k *task) echoes(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		k.open.Add(1)
		go func() {
			defer k.open.Add(-1)
			defer c.Close()
			for r := bufio.NewReader(c); ; {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				k.asked.Add(1)
				io.WriteString(c, k.name+" "+line)
			}
		}()
	}
}

func (k *task) serve(w http.ResponseWriter, r *http.Request) {
	k.asked.Add(1)
	switch r.URL.Path {
	case "/slow":
		time.Sleep(600 * time.Millisecond)
	case "/stream":
		for i := range 6 {
			fmt.Fprintf(w, "%s%d ", k.name, i)
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	case "/echo":
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, k.name+" "+line)
		}
	}
	io.WriteString(w, k.name)
}

// quiet waits until the task has no connection, and says whether it came to that.
func (k *task) quiet(limit time.Duration) string {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if k.open.Load() == 0 {
			return "none"
		}
	}
	return fmt.Sprint(k.open.Load())
}

// get asks an endpoint for a path over a kept connection.
func get(c *http.Client, addr, path string) string {
	resp, err := c.Get("http://" + addr + path)
	if err != nil {
		return kindOf(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return kindOf(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b)
}

// TestEndpointUpdates: tasks are added, removed and replaced while requests
// run. What runs on a task that goes is finished there, what begins afterwards
// goes to those that are left, and nothing is lost, through either hop alike.
func TestEndpointUpdates(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	got := map[string][]string{}
	for range 3 { // a busy machine can make a moment differ
		got = rehearseUpdates(t)
		if slices.Equal(got["agent"], got["Envoy"]) {
			break
		}
	}
	if a, e := join(got["agent"]), join(got["Envoy"]); a != e {
		t.Errorf("agent%s\nEnvoy%s", a, e)
	} else {
		t.Logf("both%s", e)
	}
	for _, line := range got["Envoy"] {
		if strings.Contains(line, "lost") && !strings.Contains(line, "lost none") {
			t.Errorf("Envoy: %s", line)
		}
	}
}

func rehearseUpdates(t *testing.T) map[string][]string {
	t.Helper()
	out := wildcard(t)
	d := &deployment{out: out}
	var cfg agent.Config
	endpoint := func(i int, name string, p agent.Protocol) agent.Egress {
		e := agent.Egress{Name: name, Discovery: name, Protocol: p, At: d.vip(i + 1), Timeouts: agent.DefaultTimeouts(p)}
		cfg.Egress = append(cfg.Egress, e)
		return e
	}
	cfg.Task, cfg.ConnectTimeout = "parity", 400*time.Millisecond
	scenes := []struct {
		e  agent.Egress
		do func(*stage, served, agent.Egress)
	}{
		{endpoint(0, "load", agent.HTTP), underLoad},
		{endpoint(1, "load2", agent.HTTP2), underLoad},
		{endpoint(2, "gone", agent.HTTP), running},
		{endpoint(3, "gone2", agent.HTTP2), running},
		{endpoint(4, "stream", agent.HTTP), tunnelled},
		{endpoint(5, "bytes", agent.TCP), bytesRunning},
		{endpoint(6, "waiting", agent.HTTP), connecting},
	}
	got := map[string][]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, h := range []served{servedAgent(t, cfg, out), servedEnvoy(t, cfg)} {
		stages := make([]*stage, len(scenes))
		var acts sync.WaitGroup
		for i, s := range scenes {
			stages[i] = &stage{t: t, addr: h.at(s.e)}
			acts.Go(func() { s.do(stages[i], h, s.e) })
		}
		wg.Go(func() {
			acts.Wait()
			mu.Lock()
			defer mu.Unlock()
			for i, s := range stages {
				for _, l := range s.lines {
					got[h.name] = append(got[h.name], scenes[i].e.Name+": "+l)
				}
			}
		})
	}
	wg.Wait()
	return got
}

// underLoad changes the tasks every few milliseconds while callers ask.
func underLoad(s *stage, h served, e agent.Egress) {
	var tasks []*task
	for _, name := range []string{"a", "b", "c", "d"} {
		k := newTask(s.t.(*testing.T), name, e.Protocol)
		tasks = append(tasks, k)
	}
	s.note("without a task: %s", get(clientOf(e.Protocol == agent.HTTP2), s.addr, "/"))
	h.tell(e, tasks[0])
	var end atomic.Bool
	var mu sync.Mutex
	var callers sync.WaitGroup
	lost, answered := map[string]int{}, map[string]int{}
	for i := range 6 {
		callers.Go(func() {
			c := clientOf(e.Protocol == agent.HTTP2)
			defer c.CloseIdleConnections()
			for !end.Load() {
				path := "/"
				if i == 0 {
					path = "/stream"
				}
				got := get(c, s.addr, path)
				mu.Lock()
				if strings.HasPrefix(got, "200 ") {
					answered[got[4:5]]++
				} else {
					lost[got]++
				}
				mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	all := slices.Concat(tasks, tasks)
	for i := range 40 { // one to three tasks, never the same ones twice in a row
		h.tell(e, all[i%4:i%4+1+i%3]...)
		time.Sleep(5 * time.Millisecond)
	}
	h.tell(e, tasks[3])
	time.Sleep(700 * time.Millisecond) // what was running is over
	before := [3]int32{tasks[0].asked.Load(), tasks[1].asked.Load(), tasks[2].asked.Load()}
	time.Sleep(200 * time.Millisecond)
	after := [3]int32{tasks[0].asked.Load(), tasks[1].asked.Load(), tasks[2].asked.Load()}
	end.Store(true)
	callers.Wait()
	s.note("%d tasks answered, lost %s", len(answered), orNone(lost))
	s.note("requests to tasks that have gone: %v", before != after)
	for _, k := range tasks[:3] {
		s.note("connections to %s: %s", k.name, k.quiet(3*time.Second))
	}
	h.tell(e)
	s.note("without a task again: %s", get(clientOf(e.Protocol == agent.HTTP2), s.addr, "/"))
	h.tell(e, tasks[0])
	s.note("the first one again: %s", get(clientOf(e.Protocol == agent.HTTP2), s.addr, "/"))
}

func orNone(lost map[string]int) string {
	if len(lost) == 0 {
		return "none"
	}
	return fmt.Sprint(lost)
}

// running has requests on a task when another takes its place.
func running(s *stage, h served, e agent.Egress) {
	a, b := newTask(s.t.(*testing.T), "a", e.Protocol), newTask(s.t.(*testing.T), "b", e.Protocol)
	h.tell(e, a)
	c := clientOf(e.Protocol == agent.HTTP2)
	s.note("before: %s", get(c, s.addr, "/"))
	var slow, stream string
	var wg sync.WaitGroup
	wg.Go(func() { slow = get(clientOf(e.Protocol == agent.HTTP2), s.addr, "/slow") })
	wg.Go(func() { stream = get(clientOf(e.Protocol == agent.HTTP2), s.addr, "/stream") })
	for limit := time.Now().Add(2 * time.Second); a.asked.Load() < 3 && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	h.tell(e, b)
	s.note("another, meanwhile: %s", get(c, s.addr, "/"))
	wg.Wait()
	s.note("slow: %s; stream: %s", slow, stream)
	s.note("connections to a: %s", a.quiet(3*time.Second))
}

// line sends a line and reads the one that comes back.
func line(c net.Conn, r *bufio.Reader, text string) string {
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		return kindOf(err)
	}
	got, err := r.ReadString('\n')
	if err != nil {
		return kindOf(err)
	}
	return strings.TrimSpace(got)
}

// tunnelled has a WebSocket to a task when another takes its place.
func tunnelled(s *stage, h served, e agent.Egress) {
	a, b := newTask(s.t.(*testing.T), "a", e.Protocol), newTask(s.t.(*testing.T), "b", e.Protocol)
	h.tell(e, a)
	open := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp4", s.addr)
		if err != nil {
			s.note("%s", kindOf(err))
			return nil, nil
		}
		c.SetDeadline(time.Now().Add(2 * time.Second))
		io.WriteString(c, "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			s.note("%s", kindOf(err))
			return c, r
		}
		s.note("%s", resp.Status)
		return c, r
	}
	c, r := open()
	if c == nil {
		return
	}
	defer c.Close()
	s.note("%s", line(c, r, "one"))
	h.tell(e, b)
	time.Sleep(200 * time.Millisecond)
	s.note("the task has gone: %s", line(c, r, "two"))
	if c2, r2 := open(); c2 != nil {
		defer c2.Close()
		s.note("another: %s", line(c2, r2, "one"))
	}
	h.tell(e)
	time.Sleep(200 * time.Millisecond)
	s.note("no task: %s", line(c, r, "three"))
}

// bytesRunning has a connection without HTTP to a task when another takes its place.
func bytesRunning(s *stage, h served, e agent.Egress) {
	a, b := newTask(s.t.(*testing.T), "a", e.Protocol), newTask(s.t.(*testing.T), "b", e.Protocol)
	h.tell(e, a)
	open := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp4", s.addr)
		if err != nil {
			s.t.Error(err)
			return nil, nil
		}
		return c, bufio.NewReader(c)
	}
	c, r := open()
	if c == nil {
		return
	}
	defer c.Close()
	s.note("%s", line(c, r, "one"))
	h.tell(e, b)
	time.Sleep(200 * time.Millisecond)
	s.note("the task has gone: %s", line(c, r, "two"))
	if c2, r2 := open(); c2 != nil {
		s.note("another: %s", line(c2, r2, "one"))
		c2.Close()
	}
	h.tell(e)
	time.Sleep(200 * time.Millisecond)
	s.note("no task: %s", line(c, r, "three"))
	c.Close()
	s.note("connections to a: %s, to b: %s", a.quiet(3*time.Second), b.quiet(3*time.Second))
}

// connecting has a request that waits for a connection to a task that does not
// answer, when that one is replaced.
func connecting(s *stage, h served, e agent.Egress) {
	dead := &task{name: "dead", at: swallowing(s.t)}
	b := newTask(s.t.(*testing.T), "b", e.Protocol)
	h.tell(e, dead)
	done := make(chan string)
	go func() { done <- get(clientOf(false), s.addr, "/") }()
	time.Sleep(100 * time.Millisecond)
	h.tell(e, b)
	s.note("meanwhile: %s", get(clientOf(false), s.addr, "/"))
	s.note("the one that waited: %s", <-done)
}
