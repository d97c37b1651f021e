package parity

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// exchange is what a client and an origin say to each other through a hop, to
// the byte. In the texts a line break is CRLF, "¬" a bare LF and "␍" a bare CR.
type exchange struct {
	name string
	// client is sent in order: a string at once, a time.Duration is a pause,
	// waitHead waits until an answer has begun, halfClose ends the sending
	// side, hangUp closes the connection.
	client []any
	// answers are the origin's, one for each request that it receives on any
	// of its connections; the last one again for what follows. Nothing in one
	// means that the connection is closed without a word.
	answers []answer
	// responses is how many final responses the client waits for; 0 means as many
	// as it sends requests.
	responses int
	// early makes the origin answer when it has the request's head, without its body.
	early bool
	// kind groups cases in the table of docs/trials.md.
	kind string
	// secured gives the endpoint TLS; the client then speaks it with an ingress.
	secured bool
}

// answer is what an origin does with one request: parts like exchange.client.
type answer []any

type token string

const (
	waitHead  token = "waitHead"
	halfClose token = "halfClose"
	hangUp    token = "hangUp"
	reset     token = "reset"
)

var notation = strings.NewReplacer("\n", "\r\n", "¬", "\n", "␍", "\r")

// outcome is what an exchange came to, in a form that two hops must agree on.
type outcome struct {
	down   string   // what the client received
	digits int64    // of the service times in it, on which two hops cannot agree
	end    string   // how and when its connection ended
	up     []string // what each of the origin's connections received, and how it ended
}

const (
	// atOnce and late part the moments at which a hop ends a connection: with
	// its answer, or after Envoy's delayed_close_timeout of 1 s.
	atOnce = 500 * time.Millisecond
	late   = 1400 * time.Millisecond
	// silence is how long a client waits for more of an unfinished answer.
	silence = 900 * time.Millisecond
)

// origin serves the answers of one exchange and writes down what it is sent.
type origin struct {
	net.Listener
	x     *exchange
	mu    sync.Mutex
	asked int
	conns []*originConn
}

type originConn struct {
	net.Conn
	got   bytes.Buffer
	ended string
}

func newOrigin(x *exchange) (*origin, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{Listener: l, x: x}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			oc := &originConn{Conn: c, ended: "kept"}
			o.mu.Lock()
			o.conns = append(o.conns, oc)
			o.mu.Unlock()
			go o.serve(oc)
		}
	}()
	return o, nil
}

func (o *origin) port() uint16 { return uint16(o.Addr().(*net.TCPAddr).Port) }

// serve answers each request on a connection once all of it is there.
func (o *origin) serve(c *originConn) {
	buf := make([]byte, 64<<10)
	rest := 0 // of got, not yet answered
	upgraded := false
	for {
		n, err := c.Read(buf)
		o.mu.Lock()
		c.got.Write(buf[:n])
		text := c.got.Bytes()[rest:]
		if err != nil && c.ended == "kept" {
			c.ended = "closed"
			if err != io.EOF && strings.Contains(err.Error(), "reset") {
				c.ended = "reset"
			}
		}
		var due []answer
		for err == nil && !upgraded {
			k := requestLength(text, o.x.early)
			if k == 0 {
				break
			}
			text = text[k:]
			rest += k
			a := o.x.answers[min(o.asked, len(o.x.answers)-1)]
			o.asked++
			due = append(due, a)
			if len(a) > 0 {
				if s, ok := a[0].(string); ok && strings.HasPrefix(s, "HTTP/1.1 101") {
					upgraded = true
				}
			}
			if o.x.early {
				rest = c.got.Len()
				break
			}
		}
		o.mu.Unlock()
		for _, a := range due {
			if !o.say(c, a) {
				return
			}
		}
		if err != nil {
			c.Close()
			return
		}
	}
}

// say sends an answer; it reports whether the connection goes on.
func (o *origin) say(c *originConn, a answer) bool {
	if len(a) == 0 {
		a = answer{hangUp}
	}
	for _, part := range a {
		switch p := part.(type) {
		case string:
			io.WriteString(c, notation.Replace(p))
		case time.Duration:
			time.Sleep(p)
		case token:
			o.mu.Lock()
			c.ended = "closed by the origin"
			o.mu.Unlock()
			switch p {
			case halfClose:
				c.Conn.(*net.TCPConn).CloseWrite()
				continue
			case reset:
				c.Conn.(*net.TCPConn).SetLinger(0)
			}
			c.Close()
			return false
		}
	}
	return true
}

func (o *origin) close() {
	o.Listener.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.conns {
		c.Close()
	}
}

var (
	lengthField  = regexp.MustCompile(`(?i)\ncontent-length:[ \t]*(\d+)`)
	chunkedField = regexp.MustCompile(`(?i)\ntransfer-encoding:[ \t]*chunked`)
)

// requestLength returns the length of the request that text begins with, 0
// when it is not complete.
func requestLength(text []byte, headOnly bool) int {
	i := bytes.Index(text, []byte("\r\n\r\n"))
	if i < 0 {
		return 0
	}
	head, n := text[:i+2], i+4
	if headOnly {
		return n
	}
	if chunkedField.Match(head) {
		j := bytes.Index(text[n:], []byte("0\r\n\r\n"))
		if j < 0 {
			return 0
		}
		return n + j + 5
	}
	if m := lengthField.FindSubmatch(head); m != nil {
		k, _ := strconv.Atoi(string(m[1]))
		n += k
	}
	if n > len(text) {
		return 0
	}
	return n
}

// client runs an exchange's client against a hop.
type client struct {
	net.Conn
	mu    sync.Mutex
	got   bytes.Buffer
	last  time.Time // when the last bytes came
	ended time.Time
	how   string
	more  chan struct{}
}

func (c *client) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		c.mu.Lock()
		c.got.Write(buf[:n])
		if n > 0 {
			c.last = time.Now()
		}
		if err != nil {
			c.ended, c.how = time.Now(), "end"
			switch {
			case err == io.ErrUnexpectedEOF:
				c.how = "end without notice"
			case err != io.EOF:
				c.how = "reset"
			}
		}
		c.mu.Unlock()
		select {
		case c.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// until waits for a condition on what was received; limit bounds the wait
// from the last byte on.
func (c *client) until(limit time.Duration, ok func(got []byte, ended bool) bool) bool {
	begin := time.Now()
	for {
		c.mu.Lock()
		done, ended := ok(c.got.Bytes(), !c.ended.IsZero()), !c.ended.IsZero()
		since := time.Since(c.last)
		if c.last.Before(begin) {
			since = time.Since(begin)
		}
		c.mu.Unlock()
		if done || ended || since >= limit {
			return done
		}
		select {
		case <-c.more:
		case <-time.After(min(limit-since, 20*time.Millisecond)):
		}
	}
}

// run performs an exchange through the hop at addr. After the last response
// it watches the connection's end for as long as watch; the outcome is ready
// when the returned function is called.
func (x *exchange) run(addr netip.AddrPort, o *origin) (outcome, error) {
	return x.perform(addr, o, silence, late)
}

// dial connects the client. What speaks TLS with the hop itself is told so by
// the address: an egress, which takes plain text, has a virtual one.
func (x *exchange) dial(addr netip.AddrPort) (net.Conn, error) {
	nc, err := net.DialTimeout("tcp4", addr.String(), 5*time.Second)
	if err != nil || !x.secured || fabric.VIPs.Contains(addr.Addr()) {
		return nc, err
	}
	return handshake(nc)
}

// perform is run with the patience for an answer and the time to watch given.
func (x *exchange) perform(addr netip.AddrPort, o *origin, silence, late time.Duration) (outcome, error) {
	nc, err := x.dial(addr)
	if err != nil {
		return outcome{}, err
	}
	c := &client{Conn: nc, more: make(chan struct{}, 1), last: time.Now()}
	defer nc.Close()
	go c.read()
	hung := false
	for _, part := range x.client {
		switch p := part.(type) {
		case string:
			io.WriteString(c, notation.Replace(p))
		case time.Duration:
			time.Sleep(p)
		case token:
			switch p {
			case waitHead:
				c.until(silence, func(got []byte, _ bool) bool { return bytes.Contains(got, []byte("\r\n\r\n")) })
			case halfClose:
				nc.(interface{ CloseWrite() error }).CloseWrite()
			case hangUp:
				nc.Close()
				hung = true
			case reset:
				nc.(interface{ SetLinger(int) error }).SetLinger(0)
				nc.Close()
				hung = true
			}
		}
	}
	if hung {
		time.Sleep(300 * time.Millisecond)
	} else {
		heads := x.isHead()
		c.until(silence, func(got []byte, ended bool) bool { return responses(got, heads) >= x.expected() })
	}
	c.mu.Lock()
	done := c.last
	c.mu.Unlock()
	if !hung {
		c.until(late-time.Since(done), func([]byte, bool) bool { return false })
	}
	out := outcome{}
	c.mu.Lock()
	switch {
	case hung:
		out.end = "closed by the client"
	case c.ended.IsZero():
		out.end = "stays open"
	case c.ended.Sub(c.last) < atOnce:
		out.end = c.how + " at once"
	default:
		out.end = c.how + " later"
	}
	got := bytes.Clone(c.got.Bytes())
	c.mu.Unlock()
	out.down = normal(got, x)
	for _, f := range serviceField.FindAll(got, -1) {
		out.digits += int64(len(f) - len("\r\nx-envoy-upstream-service-time: \r\n"))
	}
	if late > 0 {
		time.Sleep(100 * time.Millisecond) // the hop lets go of the origin
	}
	if o != nil {
		o.mu.Lock()
		for _, oc := range o.conns {
			out.up = append(out.up, normal(oc.got.Bytes(), x)+"⟨"+oc.ended+"⟩")
		}
		o.mu.Unlock()
	}
	return out, nil
}

// expected is how many responses there should be.
func (x *exchange) expected() (n int) {
	for _, part := range x.client {
		if s, ok := part.(string); ok {
			n += strings.Count(s, " HTTP/1.")
		}
	}
	if x.responses > 0 {
		return x.responses
	}
	return max(n, 1)
}

// isHead says which of the client's requests are HEAD ones.
func (x *exchange) isHead() bool {
	s, _ := x.client[0].(string)
	return strings.HasPrefix(s, "HEAD ")
}

var statusLine = regexp.MustCompile(`^HTTP/1\.1 (\d{3})`)

// responses counts the complete final responses in what a client received.
// One that ends with the connection is never complete.
func responses(got []byte, head bool) (n int) {
	for {
		i := bytes.Index(got, []byte("\r\n\r\n"))
		if i < 0 {
			return n
		}
		m := statusLine.FindSubmatch(got)
		fields, rest := got[:i+2], got[i+4:]
		if m == nil {
			return n
		}
		status, _ := strconv.Atoi(string(m[1]))
		switch {
		case status == 101:
			return n
		case status < 200:
			got = rest
			continue
		case head, status == 204, status == 304:
		case chunkedField.Match(fields):
			j := bytes.Index(rest, []byte("0\r\n\r\n"))
			if j < 0 {
				return n
			}
			rest = rest[j+5:]
		default:
			k := 0
			if l := lengthField.FindSubmatch(fields); l != nil {
				k, _ = strconv.Atoi(string(l[1]))
			}
			if k > len(rest) {
				return n
			}
			rest = rest[k:]
		}
		n++
		got = rest
	}
}

var (
	dateField    = regexp.MustCompile(`(?i)\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n`)
	serviceField = regexp.MustCompile(`\r\nx-envoy-upstream-service-time: \d{1,4}\r\n`)
	uuid         = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	longRun      = regexp.MustCompile(`x{64,}`)
)

// normal takes out what two hops cannot agree on: times, random identifiers,
// and the length of what is long.
func normal(b []byte, x *exchange) string {
	b = dateField.ReplaceAll(b, []byte("\r\ndate: DATE\r\n"))
	b = serviceField.ReplaceAll(b, []byte("\r\nx-envoy-upstream-service-time: MS\r\n"))
	b = uuid.ReplaceAll(b, []byte("UUID"))
	b = longRun.ReplaceAllFunc(b, func(r []byte) []byte { return fmt.Appendf(nil, "x*%d", len(r)) })
	return string(b)
}
