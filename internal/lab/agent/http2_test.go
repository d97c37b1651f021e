package agent

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// grpcServer starts a gRPC server with the health service, which has a unary
// method and a streaming one.
func grpcServer(t *testing.T) (addr string, h *health.Server) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo,
		next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		grpc.SetTrailer(ctx, metadata.Pairs("seen-timeout", strings.Join(md["x-envoy-expected-rq-timeout-ms"], ",")))
		return next(ctx, req)
	}))
	h = health.NewServer()
	healthpb.RegisterHealthServer(s, h)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String(), h
}

func grpcClient(t *testing.T, addr string) healthpb.HealthClient {
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return healthpb.NewHealthClient(c)
}

func grpcIngress(t *testing.T, app string) (*Agent, string) {
	w := newTestNetwork()
	if app != "" {
		w.view.Local[80] = netip.MustParseAddrPort(app)
	}
	a, b := w.start(t, Config{Ingress: []Ingress{{Discovery: "grpc", Protocol: GRPC, App: 80, Timeouts: DefaultTimeouts(GRPC)}}})
	return a, b.Ingress[0].String()
}

func TestGRPC(t *testing.T) {
	app, srv := grpcServer(t)
	a, addr := grpcIngress(t, app)
	c := grpcClient(t, addr)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	var head, trailer metadata.MD
	resp, err := c.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Header(&head), grpc.Trailer(&trailer))
	if err != nil || resp.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatal(resp, err)
	}
	if got := trailer["seen-timeout"]; len(got) != 1 || got[0] != "15000" {
		t.Errorf("the server saw the timeout %q, want 15000", got)
	}
	if got := head["server"]; len(got) != 1 || got[0] != "envoy" || len(head["x-envoy-upstream-service-time"]) != 1 {
		t.Errorf("header %v", head)
	}

	if _, err := c.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("an error of the server: %v, want NotFound", err)
	}

	stream, err := c.Watch(ctx, &healthpb.HealthCheckRequest{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{3, 1, 2} { // SERVICE_UNKNOWN, SERVING, NOT_SERVING
		if want != 3 {
			srv.SetServingStatus("s", want)
		}
		r, err := stream.Recv()
		if err != nil || r.Status != want {
			t.Fatalf("stream: %v %v, want %v", r, err, want)
		}
	}
	if st := a.Status().Ingress[0]; st.GRPCRequests != 3 {
		t.Errorf("counted %d gRPC requests, want 3", st.GRPCRequests)
	}
}

// TestGRPCUnreachable: Envoy's local replies as gRPC statuses.
func TestGRPCUnreachable(t *testing.T) {
	_, addr := grpcIngress(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := grpcClient(t, addr).Check(ctx, &healthpb.HealthCheckRequest{})
	if s := status.Convert(err); s.Code() != codes.Unavailable || s.Message() != "upstream connect error or disconnect/reset before headers. reset reason: "+reasonConnect {
		t.Errorf("got %v", err)
	}
}

// TestHTTP2 sends HTTP/2 and HTTP/1.1, with trailers, to an endpoint with
// appProtocol http2. Envoy's HTTP/1.1 codec drops the trailers.
func TestHTTP2(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Protocols: &http.Protocols{}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Proto", r.Proto)
		w.Header().Set("X-Trailer", r.Trailer.Get("X-Sum"))
		w.Write(append([]byte("got "), b...))
	})}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(l)
	defer srv.Close()
	w := newTestNetwork()
	w.view.Local[80] = netip.MustParseAddrPort(l.Addr().String())
	_, b := w.start(t, Config{Ingress: []Ingress{{Discovery: "app", Protocol: HTTP2, App: 80, Timeouts: DefaultTimeouts(HTTP2)}}})
	for two, sum := range map[bool]string{true: "4", false: ""} {
		tr := &http.Transport{Protocols: &http.Protocols{}}
		tr.Protocols.SetUnencryptedHTTP2(two)
		tr.Protocols.SetHTTP1(!two)
		for range 3 {
			req, _ := http.NewRequest("POST", "http://"+b.Ingress[0].String()+"/x", io.NopCloser(strings.NewReader("body")))
			req.Trailer = http.Header{"X-Sum": {"4"}}
			resp, err := (&http.Client{Transport: tr}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != "got body" || resp.Header.Get("X-Proto") != "HTTP/2.0" || resp.Header.Get("X-Trailer") != sum || resp.Header.Get("Server") != "envoy" || (resp.ProtoMajor == 2) != two {
				t.Errorf("HTTP/2 %v: %q %v %v", two, body, resp, err)
			}
		}
		tr.CloseIdleConnections()
	}
}
