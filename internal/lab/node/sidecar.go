package node

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/relay"
	"github.com/hoplab/hoplab/internal/printable"
)

// Envoy says how to run a real Envoy in the place of the lab's agent.
type Envoy struct {
	Path string `json:"path"` // of the program
	Dir  string `json:"dir"`  // for its bootstrap, log and sockets
}

// sidecar carries a task's Service Connect traffic.
type sidecar interface {
	Update(agent.Update) error
	// Moved tells it that the network changed under the same logical addresses.
	Moved() error
	Status() (agent.Status, error)
	Drain() error
	// Watch keeps the heads of requests with that X-Request-Id, until Heads; an
	// Envoy tells of none.
	Watch(id string)
	Heads(id string) []relay.Heads
	// Flush writes to the access log what waits to be written.
	Flush() error
	Close()
}

// labAgent is the lab's own agent, in this process.
type labAgent struct{ *agent.Agent }

func (o labAgent) Update(u agent.Update) error   { o.Agent.Update(u); return nil }
func (o labAgent) Moved() error                  { return nil }
func (o labAgent) Status() (agent.Status, error) { return o.Agent.Status(), nil }
func (o labAgent) Drain() error                  { o.Agent.Drain(); return nil }
func (o labAgent) Flush() error                  { o.Agent.Flush(); return nil }

// envoyAgent is an Envoy, in a process that ends with this one.
type envoyAgent struct {
	*envoy.Proxy
	closing chan struct{}
}

func (f envoyAgent) Watch(string)               {}
func (f envoyAgent) Heads(string) []relay.Heads { return nil }

func (f envoyAgent) Close() {
	close(f.closing)
	f.Proxy.Close()
}

// onTerm does what AWS's agent does on SIGTERM: it drains for a while, and ends.
func (f envoyAgent) onTerm() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	select {
	case <-f.closing:
		return
	case <-term:
	}
	if f.DrainAll() == nil {
		select {
		case <-f.closing:
			return
		case <-time.After(envoy.DrainTime):
		}
	}
	f.Close()
	os.Exit(0)
}

func (n *server) startSidecar(st Start, net fabric.Net) (sidecar, agent.Bound, error) {
	if st.Envoy == nil {
		a, b, err := agent.Start(*st.Agent, net)
		return labAgent{a}, b, err
	}
	if err := os.MkdirAll(st.Envoy.Dir, 0o755); err != nil {
		return nil, agent.Bound{}, err
	}
	p, b, err := envoy.Start(*st.Agent, net, st.Envoy.Path, st.Envoy.Dir)
	if err != nil {
		return nil, b, err
	}
	f := envoyAgent{p, make(chan struct{})}
	go f.onTerm()
	go func() {
		<-p.Ended()
		select {
		case <-f.closing:
		default: // a node without its Envoy has no purpose, and the lab watches the node
			printable.Fprintln(n.errOut, "envoy ended: "+p.Why())
			os.Exit(1)
		}
	}()
	return f, b, nil
}
