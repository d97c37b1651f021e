package lab

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/lab/vpc"
	"github.com/hoplab/hoplab/internal/topology"
)

// task is a running task: a network interface, the agent when the service
// uses Service Connect, and a process for each port that a container maps.
type task struct {
	service *service
	def     *topology.Service // the revision of its deployment
	id      string            // 8 hexadecimal digits, so that every instance name has one length
	dir     string
	iface   *vpc.Interface
	host    fabric.Host
	names   []name                      // what it resolves: what existed when its deployment was created
	offers  []*topology.ConnectEndpoint // what others reach it by
	rollout int                         // the number of its deployment
	env     []string                    // that deployment's variables of the app
	agent   *nodeProcess
	apps    []*appProcess
	begun   time.Time
	ctx     context.Context // ends with the task
	cancel  context.CancelFunc

	// told is what its agent knows of each of names, toldCallers of the zones of
	// its own service.
	told        [][]netip.AddrPort
	toldCallers map[string]int

	// Below: guarded by Lab.mu.
	state      TaskState
	known      bool // the agents of its callers send it requests
	why        string
	targets    map[string]alb.State // by target group
	containers map[string]string    // container health, of those that are checked
	wasHealthy bool
	draining   map[string]bool // target groups still to be left
	allDrained chan struct{}   // closed when draining is empty
}

// Why tasks are stopped: TaskStatus.Why and StoppedTask.Why. Of a task that
// ended by itself they are a sentence of their own.
const (
	StoppedByUser    = "a user asked for it"
	Scaled           = "the desired count was lowered"
	Superseded       = "a new deployment replaces it"
	DeploymentFailed = "its deployment failed"
	FailedCheck      = "failed container health checks"
	// NotStarted is followed by what went wrong.
	NotStarted = "Task failed to start: "
	// FailedTarget is followed by the target group's id and a parenthesis.
	FailedTarget = "failed ELB health checks in (target-group "
)

// newTask returns a task that does not run yet.
func (s *service) newTask(id string) *task {
	l := s.copy.lab
	t := &task{
		service: s, def: s.current.def, id: id, names: s.current.names, offers: s.current.endpoints,
		rollout: s.current.number, env: s.current.env,
		begun: time.Now(), state: Running, targets: map[string]alb.State{}, containers: map[string]string{},
	}
	t.ctx, t.cancel = context.WithCancel(l.ctx)
	t.dir = filepath.Join(l.dir, fileName(s.copy.name+" "+string(s.def.ID)), t.id)
	return t
}

// start starts the task: the agent first, then the containers, as Amazon ECS
// orders them. Tasks may start side by side.
func (t *task) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.begun = time.Now()
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return err
	}
	if err := t.addHost(ctx); err != nil {
		return err
	}
	if c := t.def.Connect; c != nil && c.Enabled.Or(false) {
		if err := t.startAgent(); err != nil {
			return err
		}
	}
	return t.startApps()
}

// taskID returns a name that stays the same from run to run.
func taskID(copyName string, svc topology.ID, n int) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%s\x00%d", copyName, svc, n)
	return hex.EncodeToString(h.Sum(nil))
}

// fileName makes a directory name of a label.
func fileName(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, s), "_")
}

// LogFiles lists the logs of a container in the directory of a task that runs or
// has ended: one for each of its ports.
func LogFiles(dir, container string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, fileName(container)+"-*.log")) // the pattern has no fault
	return files
}

// AgentLog is the access log of the agent in the directory of a task; the file is
// there when the service wants one.
func AgentLog(dir string) string { return filepath.Join(dir, "agent.log") }

func (t *task) label() string { return "task " + t.id }

// attach gives the task its network interface.
func (t *task) attach() (err error) {
	def := t.def
	t.iface, err = t.service.copy.lab.network.Attach(t.label(), def.Subnets, def.Groups)
	return err
}

func (t *task) addHost(ctx context.Context) (err error) {
	l := t.service.copy.lab
	vips := map[string]netip.Addr{}
	for _, n := range t.names {
		vips[n.host] = n.at.Addr()
	}
	t.host, err = l.fabric.AddHost(ctx, fabric.HostSpec{Name: t.label(), IP: t.iface.IP, Subnet: t.iface.Subnet, VIPs: vips,
		Delay: l.opts.LinkDelay})
	return err
}

// startAgent starts the agent and puts the redirects and listeners of its
// port mode in force.
func (t *task) startAgent() (err error) {
	l, def := t.service.copy.lab, t.def
	cfg := agent.Config{
		Task: t.id, Zone: l.zone(t.iface.Subnet), Scale: l.opts.Scale, Seed: l.opts.Seed,
		ConnectTimeout: l.opts.ConnectTimeout, Workers: cmp.Or(l.opts.AgentWorkers, AgentWorkers), Inject: l.agentInjection(t.service),
	}
	if format, ok := def.Connect.AccessLog.Get(); ok && def.Connect.HasLog {
		cfg.AccessLog = &agent.AccessLog{Path: AgentLog(t.dir), Format: format, Query: def.Connect.AccessQuery.Or(false)}
	}
	if cfg.Ingress, err = t.service.copy.ingressOf(t.offers); err != nil {
		return err
	}
	for _, n := range t.names {
		p := protocolOf(n.endpoint)
		c := n.endpoint.Config
		d, _ := c.Discovery().Get()
		trust, err := t.service.copy.trustIn(n.endpoint)
		if err != nil {
			return err
		}
		cfg.Egress = append(cfg.Egress, agent.Egress{Name: n.host, Discovery: d, Protocol: p, At: n.at, TLS: trust, Timeouts: timeouts(p, c)})
	}
	var b agent.Bound
	name, begin := "agent of "+t.label(), node.Start{Agent: &cfg, Envoy: t.envoyOf()}
	if l.opts.ShareAgents && begin.Envoy == nil {
		t.agent, err = l.sharing.start(name, t.host, begin, &b)
	} else {
		t.agent, err = l.startNode(name, t.host, begin, &b, nil)
	}
	if err != nil {
		return err
	}
	for i, in := range cfg.Ingress {
		if in.Listen != 0 {
			err = t.host.Bound(in.Listen, fabric.BindAll, b.Ingress[i])
		} else {
			err = t.host.Redirect(in.App, b.Ingress[i])
		}
		if err != nil {
			return err
		}
	}
	if len(b.Outbound) > 0 {
		return t.host.Outbound(b.Outbound)
	}
	return nil
}

// ingressOf lists what the agent of a service listens on. An endpoint that
// publishes a port again under another name shares the first one's listener.
func (dc *deploymentCopy) ingressOf(endpoints []*topology.ConnectEndpoint) ([]agent.Ingress, error) {
	var out []agent.Ingress
	type listener struct{ app, port uint16 }
	seen := map[listener]bool{}
	for i, e := range endpoints {
		app, ingress, ok := ports(e)
		if !ok {
			return nil, fmt.Errorf("endpoint %d: the source does not settle its ports", i+1)
		}
		ln := listener{app: app}
		if !e.Config.IngressPortOverride.IsAbsent() {
			ln.port = ingress
		}
		if seen[ln] {
			continue
		}
		seen[ln] = true
		name, _ := e.Config.Discovery().Get()
		p := protocolOf(e)
		certificate, err := dc.certificateOf(e)
		if err != nil {
			return nil, err
		}
		out = append(out, agent.Ingress{Discovery: name, Protocol: p, Listen: ln.port, App: app, Certificate: certificate,
			Timeouts: timeouts(p, e.Config)})
	}
	return out, nil
}

func timeouts(p agent.Protocol, e *topology.Endpoint) agent.Timeouts {
	t := agent.DefaultTimeouts(p)
	if s, ok := e.PerRequestSeconds.Get(); ok && p != agent.TCP {
		t.PerRequest = time.Duration(s) * time.Second
	}
	if s, ok := e.IdleTimeoutSeconds.Get(); ok {
		t.Idle = time.Duration(s) * time.Second
	}
	return t
}

// startApps starts a process for every port on which a container listens. A
// container without ports does nothing that a caller could notice.
func (t *task) startApps() error {
	for _, c := range startOrder(t.def.Task) {
		for _, port := range listens(c) {
			if err := t.startApp(c, port); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *task) startApp(c *topology.Container, port uint16) error {
	l := t.service.copy.lab
	bind := bindOf(c)
	listen, real := t.host.AppEnv(bind, port)
	start := l.startApp
	if p := l.opts.programOf(t.def); p != nil {
		at, err := told(listen, real)
		if err != nil {
			return err
		}
		listen, real = at.Addr().String(), at.Port()
		start = func(name string, h fabric.Host, env []string, log string) (*appProcess, error) {
			return l.startProgram(name, h, p, at, env, log)
		}
	}
	env := append(t.siblingEnv(l.appEnv(t, c)),
		"LISTEN_ADDRESS="+listen, "PORT="+strconv.Itoa(int(real)), "INSTANCE="+t.id)
	log := filepath.Join(t.dir, fmt.Sprintf("%s-%d.log", fileName(c.Name), port))
	a, err := start(fmt.Sprintf("container %s of %s", c.Name, t.label()), t.host, env, log)
	if err != nil {
		return err
	}
	a.container, a.port = c.Name, port
	t.apps = append(t.apps, a)
	at, err := netip.ParseAddrPort(a.address)
	if err != nil {
		return fmt.Errorf("container %s says it listens on %q: %w", c.Name, a.address, err)
	}
	return t.host.Bound(port, bind, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
}

// stopApps stops the containers: SIGTERM, and SIGKILL after the stop timeout,
// which is 30 s unless the container sets one.
func (t *task) stopApps() {
	l := t.service.copy.lab
	var wg sync.WaitGroup
	for _, a := range t.apps {
		limit := 30
		if c := t.def.Task.Container(a.container); c != nil {
			limit = c.StopTimeout.Or(30)
		}
		grace := l.clock.Real(time.Duration(limit) * time.Second)
		wg.Go(func() {
			stopped := context.AfterFunc(l.ctx, a.proc.Kill) // the lab closes: no more patience
			a.proc.Stop(grace)
			stopped()
		})
	}
	wg.Wait()
}

// kill ends all processes of the task at once.
func (t *task) kill() {
	for _, a := range t.apps {
		a.proc.Kill()
	}
	if t.agent != nil {
		t.agent.kill()
	}
}

// detach removes the task's host and interface.
func (t *task) detach() {
	if t.host != nil {
		t.host.Remove()
		t.host = nil
	}
	if t.iface != nil {
		t.service.copy.lab.network.Detach(t.iface)
	}
}

// dialInside connects to an address of the task's own loopback.
func (t *task) dialInside(ctx context.Context, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	l := t.service.copy.lab
	l.mu.Lock()
	h := t.host
	l.mu.Unlock()
	if h == nil {
		return nil, errors.New("the task has stopped")
	}
	return h.Dial(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n)))
}
