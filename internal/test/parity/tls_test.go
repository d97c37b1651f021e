package parity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/relay"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// authority signs for all hops of the tests.
var authority = sync.OnceValues(certs.NewAuthority)

// secure gives every endpoint of a deployment TLS between the agents.
func secure(t testing.TB, d *deployment) {
	t.Helper()
	ca, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	const name = "app.parity"
	pair, err := ca.IssueAgent(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.cfg.Ingress {
		d.cfg.Ingress[i].Certificate = pair
	}
	for i := range d.cfg.Egress {
		d.cfg.Egress[i].TLS = &agent.Trust{Authority: ca.PEM, Name: name}
	}
}

// handshake speaks TLS with an ingress, as a load balancer does: it verifies
// nothing.
func handshake(c net.Conn) (net.Conn, error) {
	t := tls.Client(c, certs.Unverified("", tls.VersionTLS13))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return relay.Secured{Conn: t}, nil
}

// TestExchangesInTLS: exchanges by hand, one of each kind and every sixth, with
// TLS between the agents: the same bytes, the same ends.
func TestExchangesInTLS(t *testing.T) {
	layer.Full(t, "starts Envoy")
	seen := map[string]bool{}
	var xs []*exchange
	for i, x := range table() {
		if i%6 == 0 || !seen[x.kind] {
			x.secured = true
			xs = append(xs, x)
		}
		seen[x.kind] = true
	}
	report(t, xs)
}

// TestTLS: who does not speak TLS 1.3 with an ingress that wants it,
// and what is said of the protocol in the handshake.
func TestTLS(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	var plays []play
	for _, p := range []agent.Protocol{agent.HTTP, agent.HTTP2, agent.TCP} {
		for name, said := range map[string]string{
			"a request":        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			"a long request":   "POST / HTTP/1.1\r\nHost: a\r\n\r\n" + strings.Repeat("x", 5000),
			"HTTP/2":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
			"another protocol": "SSH-2.0-client\r\n", "five bytes": "hello", "four bytes": "hell",
			"zeros": "\x00\x00\x00\x00\x00\x00\x00\x00", "an alert": "\x15\x03\x03\x00\x02\x02\x28",
			"half a hello":    "\x16\x03\x01\x00\xff\x01\x00",
			"a proxy request": "CONNECT a:443 HTTP/1.1\r\n\r\n", "a put": "PUT / HTTP/1.1\r\n\r\n", "a record too long": "\x16\x03\x01\xff\xff\x01",
			"no hello": "\x16\x03\x01\x00\x04\x0e\x00\x00\x00",
		} {
			plays = append(plays, play{name: fmt.Sprintf("%s: %s in plain text", p, name), protocol: p, origin: app(echo), only: through,
				do: func(s *stage) { s.blurt(said) }})
		}
		for name, c := range map[string]*tls.Config{
			"TLS 1.2": {MaxVersion: tls.VersionTLS12}, "no ALPN": {}, "http/1.1": {NextProtos: []string{"http/1.1"}},
			"h2":       {NextProtos: []string{"h2"}},
			"h2 first": {NextProtos: []string{"h2", "http/1.1"}}, "http/1.1 first": {NextProtos: []string{"http/1.1", "h2"}},
			"smtp": {NextProtos: []string{"smtp"}}, "another name": {ServerName: "somebody.else"},
		} {
			plays = append(plays, play{name: fmt.Sprintf("%s: %s", p, name), protocol: p, origin: app(echo), only: through,
				do: func(s *stage) { s.shake(c) }})
		}
		plays = append(plays,
			play{name: fmt.Sprintf("%s: both agents", p), protocol: p, origin: app(echo), only: both, do: func(s *stage) {
				c := clientOf(false)
				for range 3 {
					s.ask(c, s.request(http.MethodPost, "/a", strings.NewReader("body"), "X-A", "b"))
				}
			}},
			play{name: fmt.Sprintf("%s: nothing behind the agent", p), protocol: p, only: both, do: func(s *stage) {
				s.ask(clientOf(false), s.request(http.MethodGet, "/", nil))
			}},
		)
	}
	plays = append(plays, play{name: "tcp: half closed", protocol: agent.TCP, only: both, origin: raw(func(c net.Conn) {
		b, err := io.ReadAll(c)
		fmt.Fprintf(c, "%d bytes, then %v", len(b), err)
	}), do: func(s *stage) {
		c, err := net.DialTimeout("tcp4", s.addr, 5*time.Second)
		if err != nil {
			s.note("%s", kindOf(err))
			return
		}
		defer c.Close()
		io.WriteString(c, strings.Repeat("x", 100_000))
		c.(*net.TCPConn).CloseWrite()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		b, err := io.ReadAll(c)
		s.note("%q %s", b, kindOf(err))
	}}, play{name: "tcp: the app speaks first", protocol: agent.TCP, only: both, origin: raw(func(c net.Conn) {
		io.WriteString(c, "220 ready")
		io.Copy(io.Discard, c)
	}), do: func(s *stage) {
		c, err := net.DialTimeout("tcp4", s.addr, 5*time.Second)
		if err != nil {
			s.note("%s", kindOf(err))
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 100)
		n, err := c.Read(b)
		s.note("%q %s", b[:n], kindOf(err))
	}})
	perform(t, plays, func(d *deployment) { secure(t, d) })
}

// blurt sends text to the endpoint and notes what it gets and how that ends.
func (s *stage) blurt(text string) {
	c, err := net.DialTimeout("tcp4", s.addr, 5*time.Second)
	if err != nil {
		s.note("dial: %s", kindOf(err))
		return
	}
	defer c.Close()
	io.WriteString(c, text)
	start := time.Now()
	c.SetDeadline(start.Add(2 * time.Second))
	b, err := io.ReadAll(c)
	end := "end"
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		end = "stays open"
	case errors.Is(err, syscall.ECONNRESET):
		end = "reset"
	case err != nil:
		end = err.Error()
	}
	s.note("%x, %s", b, end)
}

// shake does a handshake and asks for something in what it came to.
func (s *stage) shake(c *tls.Config) {
	c = c.Clone()
	c.InsecureSkipVerify = true
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: c}
	nc, err := d.Dial("tcp4", s.addr)
	if err != nil {
		s.note("handshake: %v", strings.TrimPrefix(err.Error(), "remote error: "))
		return
	}
	defer nc.Close()
	state := nc.(*tls.Conn).ConnectionState()
	s.note("version %x, protocol %q, certificate for %v", state.Version, state.NegotiatedProtocol, state.PeerCertificates[0].DNSNames)
	tr := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}
	if state.NegotiatedProtocol == "h2" || len(c.NextProtos) == 1 && c.NextProtos[0] == "h2" {
		tr.Protocols = &http.Protocols{}
		tr.Protocols.SetHTTP2(true)
	}
	req := s.request(http.MethodGet, "/x", nil)
	req.URL.Scheme = "https"
	s.ask(&http.Client{Transport: tr, Timeout: 5 * time.Second}, req)
}
