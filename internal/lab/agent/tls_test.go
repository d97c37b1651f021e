package agent

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hoplab/hoplab/internal/lab/certs"
)

const tlsName = "app.ns"

func authority(t *testing.T) *certs.Authority {
	t.Helper()
	ca, err := certs.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func agentPair(t *testing.T, ca *certs.Authority, name string) *certs.Pair {
	t.Helper()
	p, err := ca.IssueAgent(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func secureIngress(p Protocol, pair *certs.Pair) Config {
	return Config{Ingress: []Ingress{{Protocol: p, App: 80, Certificate: pair, Timeouts: DefaultTimeouts(p)}}}
}

func secureEgress(p Protocol, ca *certs.Authority) Config {
	trust := &Trust{Authority: ca.PEM, Name: tlsName}
	return Config{Egress: []Egress{{Name: "app.ns", Protocol: p, At: at, TLS: trust, Timeouts: DefaultTimeouts(p)}}}
}

// TestTLS: two agents with TLS between them, the client and the app plain.
func TestTLS(t *testing.T) {
	for _, p := range []Protocol{HTTP, GRPC, TCP} {
		t.Run(string(p), func(t *testing.T) {
			real := app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
			if p == GRPC {
				real, _ = grpcServer(t)
			}
			ca := authority(t)
			w := newTestNetwork()
			w.view.Local[80] = netip.MustParseAddrPort(real)
			b, sb := w.start(t, secureIngress(p, agentPair(t, ca, tlsName)))
			server := sb.Ingress[0].String()

			w = newTestNetwork()
			host := w.task(1, server)
			a, cb := w.start(t, secureEgress(p, ca))
			a.Update(Update{Hosts: map[string][]netip.AddrPort{"app.ns:80": {host}}})
			addr := cb.Outbound[at].String()
			if p == GRPC {
				r, err := grpcClient(t, addr).Check(context.Background(), &healthpb.HealthCheckRequest{})
				if err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
					t.Errorf("%v %v", r, err)
				}
				return
			}
			for range 2 {
				if status, _, body := get(t, addr, ""); status != 200 || body != "hello" {
					t.Errorf("got %d %q", status, body)
				}
			}
			if s := b.Status().Ingress[0]; s.Handshakes == 0 || s.Handshakes != s.NewConnections {
				t.Errorf("%d handshakes on %d connections", s.Handshakes, s.NewConnections)
			}
			c, err := net.Dial("tcp", server)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
				t.Errorf("an ingress with TLS answered plain text: %q %v; want the end", got, err)
			}
		})
	}
}

// TestTrust: an agent takes no task whose certificate is of another authority
// or for another endpoint, and none that speaks plain text.
func TestTrust(t *testing.T) {
	real := app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	ca := authority(t)
	for name, pair := range map[string]*certs.Pair{
		"another authority": agentPair(t, authority(t), tlsName), "another endpoint": agentPair(t, ca, "other.ns"), "plain text": nil,
	} {
		w := newTestNetwork()
		w.view.Local[80] = netip.MustParseAddrPort(real)
		_, sb := w.start(t, secureIngress(HTTP, pair))
		w = newTestNetwork()
		host := w.task(1, sb.Ingress[0].String())
		a, cb := w.start(t, secureEgress(HTTP, ca))
		a.Update(Update{Hosts: map[string][]netip.AddrPort{"app.ns:80": {host}}})
		if status, _, body := get(t, cb.Outbound[at].String(), ""); status != 503 || !strings.HasPrefix(body, "upstream connect error") {
			t.Errorf("%s: got %d %q, want 503", name, status, body)
		}
	}
}

// TestOnlyTLS13: nothing older is taken, and a client with another protocol in
// mind is not sent away for that.
func TestOnlyTLS13(t *testing.T) {
	real := app(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	w := newTestNetwork()
	w.view.Local[80] = netip.MustParseAddrPort(real)
	_, sb := w.start(t, secureIngress(HTTP, agentPair(t, authority(t), tlsName)))
	dial := func(c *tls.Config) (tls.ConnectionState, error) {
		c.InsecureSkipVerify = true
		conn, err := tls.Dial("tcp", sb.Ingress[0].String(), c)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer conn.Close()
		return conn.ConnectionState(), nil
	}
	if _, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12}); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	for proto, want := range map[string]string{"http/1.1": "http/1.1", "smtp": ""} {
		if s, err := dial(&tls.Config{NextProtos: []string{proto}}); err != nil || s.NegotiatedProtocol != want || s.Version != tls.VersionTLS13 {
			t.Errorf("%s: %q, version %x, %v", proto, s.NegotiatedProtocol, s.Version, err)
		}
	}
}
