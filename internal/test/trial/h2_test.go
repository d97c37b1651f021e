package trial

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// h2App speaks HTTP/2 without TLS: gRPC's health service, and a few paths for
// what HTTP/2 clients do.
func h2App() int {
	l, err := listen()
	if err != nil {
		return fault1(err)
	}
	health := grpchealth.NewServer()
	health.SetServingStatus("app", healthpb.HealthCheckResponse_SERVING)
	g := grpc.NewServer()
	healthpb.RegisterHealthServer(g, health)
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Seen")
		io.Copy(w, r.Body)
		w.Header().Set("X-Seen", r.Proto+" "+r.Trailer.Get("X-Sent"))
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		for i := range 5 {
			fmt.Fprintf(w, "part%d", i)
			http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			cancelled.Store(r.URL.RawQuery, true)
		case <-time.After(5 * time.Second):
		}
	})
	mux.HandleFunc("/cancelled", func(w http.ResponseWriter, r *http.Request) {
		_, ok := cancelled.Load(r.URL.RawQuery)
		fmt.Fprint(w, ok)
	})
	mux.HandleFunc("/head", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.Header.Get("X-Big"))) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "h2 app\n") })
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			g.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	srv.Serve(l)
	return 0
}

var cancelled sync.Map

// speaks makes the deployment's app speak HTTP/2 or gRPC, and its listener HTTPS,
// without which an ALB speaks no HTTP/2 with clients.
func speaks(protocol, version string) func(*topology.Topology) {
	return func(topo *topology.Topology) {
		for _, s := range topo.Services {
			if len(s.LoadBalancers) == 0 {
				continue
			}
			port, _ := s.Connect.Endpoints[0].PortName.Get()
			_, m := s.PortMapping(port)
			m.AppProtocol = topology.Known(protocol)
			group, _ := s.LoadBalancers[0].Group.Get()
			g := topology.NewIndex(topo).TargetGroup(group)
			g.ProtocolVersion = topology.Known(version)
			g.Health.Matcher = topology.Known("200")
			if version == "GRPC" {
				g.Health.Matcher = topology.Known("0-99")
				g.Health.Path = topology.Known("/grpc.health.v1.Health/Check")
			}
		}
		topo.LoadBalancers[0].Listeners[0].Protocol = topology.Known("HTTPS")
	}
}

const nginxH2 = `server { listen 127.0.0.1:$PORT http2; client_max_body_size 0; large_client_header_buffers 4 64k;
  location / { grpc_pass grpc://$ORIGIN; grpc_socket_keepalive on; grpc_read_timeout 10s; } }`

// h2Client is Go's own client with HTTP/2 only.
func h2Client(t *testing.T, h *hop) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, TLSClientConfig: h.tls,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return h.dial(ctx) },
	}
	if h.tls != nil {
		tr.TLSClientConfig = h.tls.Clone()
		tr.Protocols.SetHTTP2(true)
	} else {
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// fetch makes a request and returns its response with the whole body.
func fetch(c *http.Client, method, url string, body io.Reader, edit func(*http.Request)) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, nil, err
	}
	if edit != nil {
		edit(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

// TestHTTP2: HTTP/2 from end to end through an agent of an http2 endpoint and
// an ALB with an HTTP2 target group.
func TestHTTP2(t *testing.T) {
	layer.Full(t, "starts labs and other people's programs")
	hops := inFront(t, "h2app", speaks("http2", "HTTP2"), "proto h2", " proto h2", nginxH2, "HTTPS")
	tries := []try{
		{"curl --http2", func(t *testing.T, h *hop) (string, error) {
			args := []string{"-o/dev/null", "-w%{http_version} %{http_code}"}
			if h.tls == nil {
				args = append(args, "--http2-prior-knowledge")
			} else {
				args = append(args, "--http2")
			}
			got, err := curl(t, h, "/", args...)
			if err == nil && got != "2 200" {
				err = fmt.Errorf("%q, want 2 200", got)
			}
			return "ok", err
		}},
		{"100 streams at once, 1 connection", streams},
		{"8 MiB both ways at once", bothWays},
		{"trailers both ways", trailers},
		{"slow response, part by part", slowParts},
		{"request body in small, slow parts", slowBody},
		{"12 KiB header field", bigField},
		{"cancelled stream ends the app's", cancelStream},
	}
	table := tryAll(t, hops, tries)
	t.Logf("\n%s", table)
	document().Same(t, "HTTP/2", table)
}

func streams(t *testing.T, h *hop) (string, error) {
	c := h2Client(t, h)
	if _, _, err := fetch(c, "GET", h.url("/"), nil, nil); err != nil {
		return "", err
	}
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for i := range 100 {
		wg.Go(func() {
			text := strings.Repeat(fmt.Sprint(i, " "), 500)
			resp, b, err := fetch(c, "POST", h.url("/echo"), strings.NewReader(text), nil)
			if err == nil && (resp.StatusCode != 200 || string(b) != text) {
				err = fmt.Errorf("stream %d: %s with %d bytes", i, resp.Status, len(b))
			}
			if err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return "", err
	default:
		return "ok", nil
	}
}

func bothWays(t *testing.T, h *hop) (string, error) {
	body := make([]byte, 8<<20)
	rand.New(rand.NewSource(1)).Read(body)
	resp, b, err := fetch(h2Client(t, h), "POST", h.url("/echo"), bytes.NewReader(body), nil)
	if err != nil || resp.StatusCode != 200 || sha256.Sum256(b) != sha256.Sum256(body) {
		return "", fmt.Errorf("%d bytes came back: %v", len(b), err)
	}
	return "ok", nil
}

func trailers(t *testing.T, h *hop) (string, error) {
	resp, b, err := fetch(h2Client(t, h), "POST", h.url("/echo"), io.NopCloser(strings.NewReader("abc")), func(r *http.Request) {
		r.Trailer = http.Header{"X-Sent": {"v"}}
	})
	if err != nil || string(b) != "abc" {
		return "", fmt.Errorf("%q %v", b, err)
	}
	switch resp.Trailer.Get("X-Seen") {
	case "HTTP/2.0 v":
		return "passed on", nil
	case "HTTP/2.0", "HTTP/2.0 ":
		return "the response's", nil
	}
	return "dropped", nil
}

func slowParts(t *testing.T, h *hop) (string, error) {
	resp, err := h2Client(t, h).Get(h.url("/slow"))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	reads, buf, all := 0, make([]byte, 256), ""
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			reads++
			all += string(buf[:n])
		}
		if err != nil {
			break
		}
	}
	if all != "part0part1part2part3part4" {
		return "", fmt.Errorf("%q", all)
	}
	if reads < 2 {
		return "in one piece", nil
	}
	return "ok", nil
}

func slowBody(t *testing.T, h *hop) (string, error) {
	r, w := io.Pipe()
	go func() {
		for _, b := range []byte("hello") {
			time.Sleep(20 * time.Millisecond)
			w.Write([]byte{b})
		}
		w.Close()
	}()
	_, b, err := fetch(h2Client(t, h), "POST", h.url("/echo"), r, nil)
	if err == nil && string(b) != "hello" {
		err = fmt.Errorf("%q", b)
	}
	return "ok", err
}

func bigField(t *testing.T, h *hop) (string, error) {
	resp, b, err := fetch(h2Client(t, h), "GET", h.url("/head"), nil, func(r *http.Request) { r.Header.Set("X-Big", strings.Repeat("x", 12<<10)) })
	if err != nil || string(b) != "12288" {
		return "", fmt.Errorf("%v %q %v", resp, b, err)
	}
	return "ok", nil
}

func cancelStream(t *testing.T, h *hop) (string, error) {
	c := h2Client(t, h)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	mark := strings.ReplaceAll(h.name, " ", "")
	req, _ := http.NewRequestWithContext(ctx, "GET", h.url("/wait?"+mark), nil)
	if resp, err := c.Do(req); err == nil {
		resp.Body.Close()
		return "", fmt.Errorf("%s, want a cancelled stream", resp.Status)
	}
	for limit := time.Now().Add(3 * time.Second); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		if _, b, err := fetch(c, "GET", h.url("/cancelled?"+mark), nil, nil); err != nil {
			return "", fmt.Errorf("the connection does not go on: %w", err)
		} else if string(b) == "true" {
			return "ok", nil
		}
	}
	return "", fmt.Errorf("the app still works on it")
}

// TestGRPC: a client of google.golang.org/grpc through an agent of a grpc
// endpoint and an ALB with a GRPC target group.
func TestGRPC(t *testing.T) {
	layer.Full(t, "starts labs and other people's programs")
	hops := inFront(t, "h2app", speaks("grpc", "GRPC"), "proto h2", " proto h2", nginxH2, "HTTPS")
	call := func(h *hop, f func(context.Context, healthpb.HealthClient) error) (string, error) {
		creds := insecure.NewCredentials()
		if h.tls != nil {
			creds = credentials.NewTLS(h.tls.Clone())
		}
		cc, err := grpc.NewClient("passthrough:///"+h.host, grpc.WithTransportCredentials(creds),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return h.dial(ctx) }))
		if err != nil {
			return "", err
		}
		defer cc.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return "ok", f(ctx, healthpb.NewHealthClient(cc))
	}
	code := func(err error, want codes.Code) error {
		if got := status.Code(err); got != want {
			return fmt.Errorf("status %s (%v), want %s", got, err, want)
		}
		return nil
	}
	tries := []try{
		{"unary call", func(t *testing.T, h *hop) (string, error) {
			return call(h, func(ctx context.Context, c healthpb.HealthClient) error {
				_, err := c.Check(ctx, &healthpb.HealthCheckRequest{Service: "app"})
				return err
			})
		}},
		{"error status", func(t *testing.T, h *hop) (string, error) {
			return call(h, func(ctx context.Context, c healthpb.HealthClient) error {
				_, err := c.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody"})
				return code(err, codes.NotFound)
			})
		}},
		{"server stream, then cancelled", func(t *testing.T, h *hop) (string, error) {
			return call(h, func(ctx context.Context, c healthpb.HealthClient) error {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				s, err := c.Watch(ctx, &healthpb.HealthCheckRequest{Service: "app"})
				if err != nil {
					return err
				}
				if _, err := s.Recv(); err != nil {
					return err
				}
				cancel()
				_, err = s.Recv()
				return code(err, codes.Canceled)
			})
		}},
		{"deadline", func(t *testing.T, h *hop) (string, error) {
			return call(h, func(ctx context.Context, c healthpb.HealthClient) error {
				ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
				defer cancel()
				s, err := c.Watch(ctx, &healthpb.HealthCheckRequest{Service: "app"})
				for err == nil {
					_, err = s.Recv()
				}
				if status.Code(err) == codes.Canceled {
					return nil // the app's deadline, which travels with the call, was first
				}
				return code(err, codes.DeadlineExceeded)
			})
		}},
		{"list, with metadata", func(t *testing.T, h *hop) (string, error) {
			return call(h, func(ctx context.Context, c healthpb.HealthClient) error {
				_, err := c.List(metadata.AppendToOutgoingContext(ctx, "x-a", "b"), &healthpb.HealthListRequest{})
				return err
			})
		}},
		{"200 calls at once, 1 connection", func(t *testing.T, h *hop) (string, error) {
			return call(h, func(ctx context.Context, c healthpb.HealthClient) error {
				errs := make(chan error, 200)
				for range 200 {
					go func() {
						_, err := c.Check(ctx, &healthpb.HealthCheckRequest{Service: "app"})
						errs <- err
					}()
				}
				for range 200 {
					if err := <-errs; err != nil {
						return err
					}
				}
				return nil
			})
		}},
	}
	table := tryAll(t, hops, tries)
	t.Logf("\n%s", table)
	document().Same(t, "gRPC", table)
}
