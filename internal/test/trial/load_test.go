package trial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
)

// outcome is what became of one request.
type outcome struct {
	id    int
	at    time.Duration // when it was due, since the load's start
	took  time.Duration
	class string // a status such as "200", or "reset", "closed", "refused", "timeout", "mixed up"
	body  string // of a response that is not 200
	app   string // the instance that answered
}

// load sends requests at a fixed rate over kept connections, each with an id
// of its own, whatever becomes of the earlier ones (an open loop). It never
// tries again: what it sees is what the hop does.
type load struct {
	rate int // requests per second
	dial func() (lab.DialInfo, error)
	ids  *counter

	mu   sync.Mutex
	idle []*caller
	all  map[*caller]bool // open connections
	most int              // of them at one time
	out  []outcome
	keep bool // keep outcomes; otherwise only their number by class
	by   map[string]int
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// caller is one connection.
type caller struct {
	net.Conn
	r     *bufio.Reader
	host  string
	since time.Time // idle
}

const (
	// patience is how long a request may take; real time.
	patience = 10 * time.Second
	// idleLimit is when a caller gives an idle connection up. Callers that keep
	// them for longer than the load balancer does (60 s) see them closed.
	idleLimit = 2 * time.Second
)

// run sends until ctx ends, waits for what is open, and closes its connections.
func (l *load) run(ctx context.Context) {
	l.mu.Lock()
	l.all, l.by = map[*caller]bool{}, map[string]int{}
	l.mu.Unlock()
	begin := time.Now()
	var wg sync.WaitGroup
	for n := 0; ; n++ {
		due := time.Duration(n) * time.Second / time.Duration(l.rate)
		if wait := due - time.Since(begin); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
		if ctx.Err() != nil {
			break
		}
		id := l.ids.next()
		wg.Go(func() {
			o := l.one(id)
			o.id, o.at, o.took = id, due, time.Since(begin)-due
			l.mu.Lock()
			defer l.mu.Unlock()
			l.by[o.class]++
			if l.keep {
				l.out = append(l.out, o)
			}
		})
	}
	wg.Wait()
}

// sent waits until n more requests have their outcome.
func (l *load) sent(t testing.TB, n int) {
	t.Helper()
	have := func() (sum int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, k := range l.by {
			sum += k
		}
		return sum
	}
	want := have() + n
	for limit := time.Now().Add(patience); have() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d of %d requests/s have no outcome within %s: %d are missing", n, l.rate, patience, want-have())
		}
	}
}

// one makes one request.
func (l *load) one(id int) (o outcome) {
	c, err := l.connection()
	if err != nil {
		return outcome{class: classOf(err)}
	}
	resp, body, err := c.exchange(id)
	if err != nil {
		l.drop(c)
		return outcome{class: classOf(err)}
	}
	o = outcome{class: resp.Status[:3], app: resp.Header.Get("X-Hoplab-App")}
	switch {
	case resp.StatusCode != http.StatusOK:
		o.body = body
	case body != fmt.Sprint(id):
		o.class, o.body = "mixed up", body
	}
	if resp.Close || o.class == "mixed up" {
		l.drop(c)
		return o
	}
	c.since = time.Now()
	l.mu.Lock()
	l.idle = append(l.idle, c)
	l.mu.Unlock()
	return o
}

func (c *caller) exchange(id int) (*http.Response, string, error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(c, "GET /?id=%d HTTP/1.1\r\nHost: %s\r\n\r\n", id, c.host); err != nil {
		return nil, "", err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// connection takes an idle connection or makes one.
func (l *load) connection() (*caller, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		if time.Since(c.since) < idleLimit {
			l.idle = l.idle[:n-1]
			l.mu.Unlock()
			return c, nil
		}
		for _, old := range l.idle { // the others have been idle for longer
			old.Close()
			delete(l.all, old)
		}
		l.idle = nil
	}
	l.mu.Unlock()
	d, err := l.dial()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: patience}
	if d.From != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(d.From)}
	}
	conn, err := dialer.Dial("tcp", d.Dial)
	if err != nil {
		return nil, err
	}
	_, host, _ := strings.Cut(d.URL, "://")
	host, _, _ = strings.Cut(host, "/")
	c := &caller{Conn: conn, r: bufio.NewReader(conn), host: host}
	l.mu.Lock()
	l.all[c] = true
	l.most = max(l.most, len(l.all))
	l.mu.Unlock()
	return c, nil
}

func (l *load) drop(c *caller) {
	c.Close()
	l.mu.Lock()
	delete(l.all, c)
	l.mu.Unlock()
}

// end closes the connections and reports bytes that came without being asked
// for: a request that was answered twice.
func (l *load) end(t testing.TB) {
	for c := range l.all {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if b, err := c.r.ReadByte(); err == nil {
			t.Errorf("an idle connection holds an answer nobody asked for, beginning with %q", b)
		}
		c.Close()
	}
	l.idle, l.all = nil, nil
}

// classOf puts a failed call into a word.
func classOf(err error) string {
	var none *lab.DialError
	switch {
	case errors.As(err, &none):
		return string(none.Reason)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case strings.HasPrefix(err.Error(), "no task of service "):
		return "no task" // its caller's own is being replaced
	}
	return err.Error()
}
