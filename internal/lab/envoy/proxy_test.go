package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// TestMain lets the test binary stand in for envoy: it reads the bootstrap and
// serves the admin interface. It proves how the process is handled; what a
// real Envoy makes of the configuration it does not.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "--config-path" {
		os.Exit(standIn(os.Args[2]))
	}
	os.Exit(m.Run())
}

func standIn(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 1
	}
	var b bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(text, &b); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if b.Node.Id == "broken" {
		return 3
	}
	l, err := net.Listen("unix", b.Admin.Address.GetPipe().Path)
	if err != nil {
		return 1
	}
	drained := 0
	http.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "LIVE\n") })
	http.HandleFunc("POST /drain_listeners", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "inboundonly" {
			drained++
		}
	})
	http.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"stats":[{"name":"drained","value":%d},{"name":"http.ingress_http.downstream_rq_total","value":7},
			{"name":"http.egress_http_ns_80.downstream_rq_5xx","value":2},{"name":"cluster.egress_http_ns_80.upstream_cx_total","value":3},
			{"name":"tcp.ingress_tcp.downstream_cx_total","value":5},{"histograms":{}}]}`, drained)
	})
	http.Serve(l, nil)
	return 0
}

// plain is a network of this machine's own addresses.
type plain struct{ fabric.Net }

func (plain) Listen(port uint16) (net.Listener, error) {
	return net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
}
func (plain) Dial(context.Context, netip.AddrPort) (net.Conn, error) { return nil, net.ErrClosed }

func TestProxy(t *testing.T) {
	cfg, _, _ := protocols()
	dir := t.TempDir()
	p, b, err := Start(cfg, plain{}, os.Args[0], dir, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(b.Ingress) != 4 || b.Ingress[0].Port() == 0 || len(b.Outbound) != 1 || b.Outbound[netip.AddrPort{}].Port() == 0 {
		t.Errorf("it listens at %+v", b)
	}
	boot, err := os.ReadFile(filepath.Join(dir, "bootstrap.json"))
	if err != nil || strings.Count(string(boot), `"type": "EDS"`) != 4 {
		t.Errorf("the bootstrap does not read 4 endpoints' tasks from files: %v", err)
	}
	host := addr("10.0.0.7:80")
	if err := p.Update(agent.Update{Hosts: map[string][]netip.AddrPort{"http.ns:80": {host}}}); err != nil {
		t.Fatal(err)
	}
	for e, want := range map[string]int{"http.ns:80": 1, "grpc.ns:80": 0} {
		got := members(t, filepath.Join(dir, "egress_"+e+".json"))
		if len(got) != want || want == 1 && got[0].GetEndpoint().Address.GetSocketAddress().Address != "10.0.0.7" {
			t.Errorf("%s has the tasks %v", e, got)
		}
	}
	if err := p.Drain(); err != nil {
		t.Error(err)
	}
	if c, err := p.Counters(); err != nil || c["drained"] != 1 {
		t.Errorf("counters %v %v, want drained 1", c, err)
	}
	st, err := p.Status()
	if err != nil || st.Ingress[0].Requests != 7 || st.Egress[0].Codes["5xx"] != 2 || st.Egress[0].UpstreamConnections != 3 || st.Ingress[3].NewConnections != 5 {
		t.Errorf("status %+v %v", st, err)
	}
	socket := filepath.Dir(p.at.Admin)
	p.Close()
	<-p.Ended()
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", socket, err)
	}
}

// members reads an endpoint file as Envoy does.
func members(t *testing.T, path string) []*endpointv3.LbEndpoint {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Version   string `json:"version_info"`
		Resources []json.RawMessage
	}
	if err := json.Unmarshal(text, &doc); err != nil || len(doc.Resources) != 1 || doc.Version == "" {
		t.Fatalf("%s: %v", text, err)
	}
	var packed anypb.Any
	if err := protojson.Unmarshal(doc.Resources[0], &packed); err != nil {
		t.Fatal(err)
	}
	var a endpointv3.ClusterLoadAssignment
	if err := packed.UnmarshalTo(&a); err != nil {
		t.Fatal(err)
	}
	return a.Endpoints[0].LbEndpoints
}

func TestProxyThatEnds(t *testing.T) {
	cfg, _, _ := protocols()
	cfg.Task = "broken"
	_, _, err := Start(cfg, plain{}, os.Args[0], t.TempDir(), os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "ended before it was ready (exit status 3)") {
		t.Errorf("%v", err)
	}
}

func TestFind(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if path, err := Find(); err == nil || !strings.Contains(err.Error(), "no envoy on PATH") {
		t.Errorf("%q %v", path, err)
	}
}
