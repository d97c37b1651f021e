// Package standin is a program that plays Envoy in tests, on machines that
// have none: it takes Envoy's command line, reads the generated bootstrap,
// follows the control plane, serves its listeners and the part of the admin
// interface that the lab uses.
//
// It proves how the lab handles the process and that the configuration holds
// together: which listener leads to which cluster, and where its tasks are.
// What a real Envoy makes of it it does not prove.
package standin

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hoplab/hoplab/internal/lab/envoy"
)

// Broken is the node id (the task's) with which the stand-in ends at once,
// with exit status 3.
const Broken = "broken"

// proxy is the running stand-in.
type proxy struct {
	boot     *bootstrapv3.Bootstrap
	clusters map[string]*cluster

	mu       sync.Mutex
	counters map[string]int64
	inbound  []net.Listener
}

// Main is the whole program; args are without its name. It returns the exit code.
func Main(args []string, out, errOut io.Writer) int {
	fs := flag.NewFlagSet("envoy", flag.ContinueOnError)
	fs.SetOutput(errOut)
	file := fs.String("c", "", "")
	mode := fs.String("mode", "serve", "")
	fs.Bool("disable-hot-restart", false, "")
	fs.Int("concurrency", 1, "")
	fs.Int("file-flush-interval-msec", 10000, "")
	fs.String("l", "info", "")
	fs.Int("drain-time-s", 600, "")
	if fs.Parse(args) != nil {
		return 1
	}
	boot, err := read(*file)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 1
	}
	if *mode == "validate" {
		fmt.Fprintf(out, "configuration '%s' OK\n", *file)
		return 0
	}
	if boot.Node.Id == Broken {
		fmt.Fprintln(errOut, "told to be broken")
		return 3
	}
	p := &proxy{boot: boot, clusters: map[string]*cluster{}, counters: map[string]int64{}}
	if err := p.run(); err != nil {
		fmt.Fprintln(errOut, err)
		return 1
	}
	return 0
}

func read(file string) (*bootstrapv3.Bootstrap, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(text, &b); err != nil {
		return nil, err
	}
	return &b, envoy.Validate(&b)
}

// run serves until SIGTERM.
func (p *proxy) run() error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	os.Remove(p.boot.Admin.Address.GetPipe().Path) // as Envoy does
	admin, err := net.Listen("unix", p.boot.Admin.Address.GetPipe().Path)
	if err != nil {
		return err
	}
	defer admin.Close()
	live, ended := make(chan struct{}), make(chan error, 1)
	go http.Serve(admin, p.admin(live))
	control := p.boot.StaticResources.Clusters[0].LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetPipe()
	go func() { ended <- p.follow(control.Path, live) }()
	select {
	case <-term:
		return nil
	case err := <-ended:
		return err
	}
}

// admin is the admin interface; it says that it is ready once live is closed.
func (p *proxy) admin(live <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-live:
			io.WriteString(w, "LIVE\n")
		default:
			http.Error(w, "INITIALIZING", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /drain_listeners", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.URL.RawQuery != "inboundonly" {
			http.Error(w, "only the inbound side is ever drained", http.StatusBadRequest)
			return
		}
		for _, l := range p.inbound {
			l.Close()
		}
		p.counters["drained"]++
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		io.WriteString(w, `{"stats":[`)
		for name, n := range p.counters {
			fmt.Fprintf(w, `{"name":%q,"value":%d},`, name, n)
		}
		io.WriteString(w, `{"name":"control_plane.identifier","value":"a text"},{"histograms":{}}]}`)
	})
	return mux
}

func (p *proxy) count(name string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counters[name] += n
}

func hostPort(a *corev3.Address) string {
	s := a.GetSocketAddress()
	return net.JoinHostPort(s.Address, fmt.Sprint(s.GetPortValue()))
}
