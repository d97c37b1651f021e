package parity

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestHTTP2: requests by either version of HTTP to endpoints of each protocol.
func TestHTTP2(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	var plays []play
	for _, p := range []agent.Protocol{agent.HTTP2, agent.GRPC, agent.HTTP} {
		for _, two := range []bool{true, false} {
			if p == agent.HTTP && !two {
				continue // that is what TestExchanges is about
			}
			add := func(name string, h http.HandlerFunc, do func(s *stage, c *http.Client)) {
				plays = append(plays, play{name: fmt.Sprintf("%s, HTTP/2 %v, %s", p, two, name), protocol: p, origin: app(h),
					do: func(s *stage) { do(s, clientOf(two)) }})
			}
			add("methods", echo, func(s *stage, c *http.Client) {
				for _, m := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND"} {
					s.ask(c, s.request(m, "/a?b=c", nil))
				}
				for _, m := range []string{"POST", "PUT", "PATCH"} {
					s.ask(c, s.request(m, "/", strings.NewReader("body")))
				}
				s.ask(c, s.request("POST", "/", nil))
				s.ask(c, s.request("POST", "/", io.NopCloser(strings.NewReader("no length"))))
			})
			add("fields", echo, func(s *stage, c *http.Client) {
				s.ask(c, s.request("GET", "/", nil, "X-A", "1", "X-A", "2", "Cookie", "a=b", "Cookie", "c=d", "Accept", "x", "Accept",
					"y"))
				s.ask(c, s.request("GET", "/", nil, "Te", "trailers"))
				s.ask(c, s.request("GET", "/", nil, "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "X-Request-Id", "mine"))
				s.ask(c, s.request("GET", "/", nil, "X-Envoy-Retry-On", "5xx", "X-Envoy-Max-Retries", "3",
					"X-Envoy-Upstream-Rq-Timeout-Ms", "5", "X-Envoy-Expected-Rq-Timeout-Ms", "7"))
				s.ask(c, s.request("GET", "/", nil, "X-Big", strings.Repeat("x", 12<<10)))
				s.ask(c, s.request("GET", "/%2e%2e/%7a?x", nil))
			})
			add("statuses", func(w http.ResponseWriter, r *http.Request) {
				var n int
				fmt.Sscanf(r.URL.Path, "/%d", &n)
				w.Header().Set("Server", "mine")
				w.Header().Set("X-Envoy-Upstream-Service-Time", "77")
				w.WriteHeader(n)
			}, func(s *stage, c *http.Client) {
				for _, n := range []int{200, 201, 204, 301, 304, 400, 404, 413, 418, 500, 503, 504} {
					s.ask(c, s.request("GET", fmt.Sprintf("/%d", n), nil))
				}
			})
			add("answers", func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				switch r.URL.Path {
				case "/length":
					w.Header().Set("Content-Length", "5")
					io.WriteString(w, "hello")
				case "/parts":
					for range 3 {
						io.WriteString(w, "part")
						w.(http.Flusher).Flush()
						time.Sleep(20 * time.Millisecond)
					}
				case "/trailers":
					w.Header().Set("Trailer", "X-Sum")
					io.WriteString(w, "body")
					w.Header().Set("X-Sum", "4")
				case "/big":
					w.Write(make([]byte, 1<<20))
				case "/abort":
					io.WriteString(w, "part")
					w.(http.Flusher).Flush()
					time.Sleep(20 * time.Millisecond)
					panic(http.ErrAbortHandler)
				case "/abort-early":
					panic(http.ErrAbortHandler)
				}
			}, func(s *stage, c *http.Client) {
				for _, path := range []string{"/length", "/parts", "/trailers", "/big", "/abort", "/abort-early"} {
					s.ask(c, s.request("GET", path, nil))
				}
				req := s.request("POST", "/length", io.NopCloser(strings.NewReader("body")))
				req.Trailer = http.Header{"X-T": {"v"}}
				s.ask(c, req)
			})
			add("trailers of the request", echo, func(s *stage, c *http.Client) {
				req := s.request("POST", "/", io.NopCloser(strings.NewReader("body")))
				req.Trailer = http.Header{"X-T": {"v"}}
				s.ask(c, req)
			})
			add("cancelled", func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-time.After(3 * time.Second):
				}
			}, func(s *stage, c *http.Client) {
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				defer cancel()
				s.ask(c, s.request("GET", "/", nil).WithContext(ctx))
			})
			add("answer before the request's end", func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(401)
				io.WriteString(w, "no")
			}, func(s *stage, c *http.Client) {
				pr, pw := io.Pipe()
				go func() { io.WriteString(pw, "part"); time.Sleep(300 * time.Millisecond); pw.Close() }()
				s.ask(c, s.request("POST", "/", pr))
			})
		}
	}
	plays = append(plays,
		play{name: "http2, no app", protocol: agent.HTTP2, do: func(s *stage) { s.ask(clientOf(true), s.request("GET", "/", nil)) }},
		play{name: "http2, app of HTTP/1.1", protocol: agent.HTTP2, origin: raw(func(c net.Conn) {
			c.Read(make([]byte, 1000))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			time.Sleep(100 * time.Millisecond)
		}), do: func(s *stage) { s.ask(clientOf(true), s.request("GET", "/", nil)) }},
		play{name: "http2, slow app", protocol: agent.HTTP2, timeouts: agent.Timeouts{PerRequest: 300 * time.Millisecond,
			Idle: time.Minute}, origin: app(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Second):
			}
		}), do: func(s *stage) {
			for _, two := range []bool{true, false} {
				s.ask(clientOf(two), s.request("GET", "/", nil))
			}
		}},
		play{name: "http2, streams at once", protocol: agent.HTTP2, origin: app(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(50 * time.Millisecond)
			io.WriteString(w, r.URL.Path)
		}), do: func(s *stage) {
			c := clientOf(true)
			var got [40]string
			done := make(chan int)
			for i := range got {
				go func() {
					resp, err := c.Do(s.request("GET", fmt.Sprintf("/%d", i), nil))
					if err == nil {
						b, _ := io.ReadAll(resp.Body)
						got[i] = fmt.Sprint(resp.StatusCode, string(b))
					} else {
						got[i] = kindOf(err)
					}
					done <- i
				}()
			}
			for range got {
				<-done
			}
			s.note("%v", got)
		}})
	perform(t, plays, nil)
}

// health is a gRPC service that does what the request's name says.
type health struct {
	healthpb.UnimplementedHealthServer
}

func (health) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("x-head", "h", "x-seen", strings.Join(md.Get("x-mine"), "|")))
	grpc.SetTrailer(ctx, metadata.Pairs("x-trail", "t"))
	var code int
	if n, _ := fmt.Sscanf(r.Service, "code %d", &code); n == 1 {
		return nil, status.Errorf(codes.Code(code), "told to: 50%% ä")
	}
	if r.Service == "slow" {
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
		return nil, ctx.Err()
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

func (health) Watch(r *healthpb.HealthCheckRequest, s healthpb.Health_WatchServer) error {
	for i := range 3 {
		if err := s.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_ServingStatus(i)}); err != nil {
			return err
		}
	}
	if r.Service == "fails" {
		return status.Error(codes.Aborted, "in the middle")
	}
	if r.Service == "stays" {
		<-s.Context().Done()
	}
	return nil
}

func grpcOrigin(t testing.TB) uint16 {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	healthpb.RegisterHealthServer(srv, health{})
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// call makes a unary call and notes what comes of it.
func (s *stage) call(service string, limit time.Duration) {
	conn, err := grpc.NewClient("passthrough:///"+s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), "x-mine", "m"), limit)
	defer cancel()
	var head, trail metadata.MD
	start := time.Now()
	r, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service}, grpc.Header(&head),
		grpc.Trailer(&trail))
	st := status.Convert(err)
	s.note("%s: %v code %s %q head %v %v server %v trail %v, %s", service, r.GetStatus(), st.Code(), st.Message(),
		head.Get("x-head"), head.Get("x-seen"), head.Get("server"), trail.Get("x-trail"), took(time.Since(start)))
}

// TestGRPC: the client of google.golang.org/grpc.
func TestGRPC(t *testing.T) {
	layer.Full(t, "starts Envoy")
	t.Parallel()
	plays := []play{
		{name: "statuses", protocol: agent.GRPC, origin: grpcOrigin, do: func(s *stage) {
			s.call("fine", 5*time.Second)
			for code := range 17 {
				s.call(fmt.Sprintf("code %d", code), 5*time.Second)
			}
		}},
		{name: "deadline", protocol: agent.GRPC, origin: grpcOrigin, do: func(s *stage) { s.call("slow", 300*time.Millisecond) }},
		{name: "request timeout", protocol: agent.GRPC, timeouts: agent.Timeouts{PerRequest: 300 * time.Millisecond,
			Idle: time.Minute}, origin: grpcOrigin, do: func(s *stage) { s.call("slow", 5*time.Second) }},
		{name: "idle timeout", protocol: agent.GRPC, timeouts: agent.Timeouts{Idle: 300 * time.Millisecond}, origin: grpcOrigin,
			do: func(s *stage) { s.call("slow", 5*time.Second) }},
		{name: "no app", protocol: agent.GRPC, do: func(s *stage) { s.call("fine", 5*time.Second) }},
		{name: "app hangs up", protocol: agent.GRPC, origin: raw(func(c net.Conn) { c.Read(make([]byte, 10)) }),
			do: func(s *stage) { s.call("fine", 5*time.Second) }},
		{name: "endpoint http2", protocol: agent.HTTP2, origin: grpcOrigin, do: func(s *stage) {
			s.call("fine",
				5*time.Second)
			s.call("code 5", 5*time.Second)
		}},
	}
	for _, service := range []string{"ends", "fails", "stays"} {
		plays = append(plays, play{name: "stream " + service, protocol: agent.GRPC, origin: grpcOrigin, do: func(s *stage) {
			conn, err := grpc.NewClient("passthrough:///"+s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDisableRetry())
			if err != nil {
				s.t.Fatal(err)
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			w, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: service})
			if err != nil {
				s.note("%v", err)
				return
			}
			for {
				r, err := w.Recv()
				if err != nil {
					st := status.Convert(err)
					s.note("%s %q", st.Code(), st.Message())
					return
				}
				s.note("%s", r.Status)
			}
		}})
	}
	perform(t, plays, nil)
}
