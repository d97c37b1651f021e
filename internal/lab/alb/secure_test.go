package alb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hoplab/hoplab/internal/lab/certs"
)

const dnsName = "test.elb.lab.test"

// secure makes the config's listener HTTPS and returns a client's TLS configuration.
func secure(t *testing.T, cfg *Config) *tls.Config {
	t.Helper()
	ca, err := certs.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(dnsName)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listeners[0].Protocol, cfg.Listeners[0].Certificate = "HTTPS", pair
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	return &tls.Config{RootCAs: pool, ServerName: dnsName}
}

// client returns an HTTP client that reaches addr whatever the URL says.
func client(t *testing.T, addr string, config *tls.Config, two bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: config.Clone(), Protocols: &http.Protocols{},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}}
	tr.Protocols.SetHTTP1(!two)
	tr.Protocols.SetHTTP2(two)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// TestHTTPS: HTTP/1.1 and HTTP/2 clients in front of an HTTP/1.1 target, plain and TLS.
func TestHTTPS(t *testing.T) {
	for _, protocol := range []string{"HTTP", "HTTPS"} {
		w := newTestNetwork()
		h := func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Seen", r.Proto+" "+r.Header.Get("X-Forwarded-Proto")+" "+r.Header.Get("X-Forwarded-For"))
			b, _ := io.ReadAll(r.Body)
			rw.Header().Set("X-Trailer", r.Trailer.Get("X-Sum"))
			rw.Write(b)
		}
		if protocol == "HTTPS" {
			s := httptest.NewTLSServer(http.HandlerFunc(h))
			t.Cleanup(s.Close)
			w.target(s.Listener.Addr().String())
		} else {
			w.serve(t, h)
		}
		cfg := config()
		cfg.Groups[0].Protocol = protocol
		cfg.Groups[0].Health = health
		cfg.Groups[0].Health.Protocol = protocol
		config := secure(t, &cfg)
		n, addr := w.start(t, cfg)
		waitFor(t, "healthy", func() bool { return n.Status().Groups[0].Targets[0].State == Healthy })
		for _, two := range []bool{false, true} {
			c := client(t, addr, config, two)
			for range 3 {
				req, _ := http.NewRequest("POST", "https://"+dnsName+"/", io.LimitReader(zeros{}, 100_000))
				req.Trailer = http.Header{"X-Sum": {"0"}}
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || len(b) != 100_000 || resp.Header.Get("X-Seen") != "HTTP/1.1 https 10.0.7.7" || resp.Header.Get("X-Trailer") != "0" || (resp.ProtoMajor == 2) != two {
					t.Errorf("targets %s, HTTP/2 %v: %d bytes, %v %v", protocol, two, len(b), resp, err)
				}
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestGRPCGroup: a gRPC client, an HTTPS listener, a GRPC target group.
func TestGRPCGroup(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, grpchealth.NewServer())
	go s.Serve(l)
	defer s.Stop()
	w := newTestNetwork()
	w.target(l.Addr().String())
	cfg := config()
	cfg.Groups[0].Version = "GRPC"
	cfg.Groups[0].Health = Health{Enabled: true}.WithDefaults("GRPC")
	tlsConfig := secure(t, &cfg)
	n, addr := w.start(t, cfg)
	// The server does not know /AWS.ALB/healthcheck and says 12, UNIMPLEMENTED: the default's success.
	waitFor(t, "healthy", func() bool { return n.Status().Groups[0].Targets[0].State == Healthy })

	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)), grpc.WithAuthority(dnsName))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c := healthpb.NewHealthClient(conn)
	if r, err := c.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v %v", r, err)
	}
	if _, err := c.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v, want NotFound", err)
	}
	stream, err := c.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("stream: %v %v", r, err)
	}
	for name, req := range map[string]func() (*http.Response, error){
		"HTTP/1.1": func() (*http.Response, error) {
			return client(t, addr, tlsConfig, false).Get("https://" + dnsName + "/")
		},
		"HTTP/2, not gRPC": func() (*http.Response, error) {
			return client(t, addr, tlsConfig, true).Get("https://" + dnsName + "/")
		},
	} {
		resp, err := req()
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 464 {
			t.Errorf("%s to a gRPC group: %d, want 464", name, resp.StatusCode)
		}
	}
}

// TestPlainToTLS: situation 26, an HTTP group in front of something that speaks TLS.
func TestPlainToTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server, err := certs.Throwaway("agent")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				tls.Server(c, server).Handshake()
				c.Close()
			}()
		}
	}()
	w := newTestNetwork()
	w.target(l.Addr().String())
	cfg := config()
	cfg.Scale = 100
	cfg.Groups[0].Health = health
	n, addr := w.start(t, cfg)
	if a := get(t, addr, "/"); a.status != 502 {
		t.Errorf("got %d, want 502", a.status)
	}
	waitFor(t, "unhealthy", func() bool {
		s := n.Status().Groups[0].Targets[0]
		return s.State == Unhealthy && s.Reason == ReasonFailed
	})
}
