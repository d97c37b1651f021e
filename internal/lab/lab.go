package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/loopback"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/lab/proc"
	"github.com/hoplab/hoplab/internal/lab/vpc"
	"github.com/hoplab/hoplab/internal/topology"
)

// Lab is a running deployment. Its methods are safe for concurrent use.
type Lab struct {
	opts    Options
	index   *topology.Index // of opts.Topology
	clock   clock.Clock
	dir     string
	ownDir  bool
	envoy   string // the program in the agents' place; empty for the lab's own
	fabric  fabric.Fabric
	network *vpc.Network
	spawner *proc.Spawner
	sharing sharing
	begun   time.Time
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup   // background work
	health  chan healthEvent // of the load balancers, in order

	// agents is the authority of TLS between agents. It is made once, whichever of
	// the tasks that start side by side asks first.
	agents func() (*certs.Authority, error)

	notesMu sync.Mutex
	notes   []string

	mu     sync.Mutex        // for everything below, and for changes to the deployment
	copies []*deploymentCopy // the deployment itself first, then its twins
	load   *externalHost
	// standalone are the hosts of tasks that no service runs, by id.
	standalone map[string]*externalHost
	closed     bool
	ca         *certs.Authority // of HTTPS listeners; nil without one
}

// externalHost is a host that is no part of the deployment.
type externalHost struct {
	iface *vpc.Interface
	host  fabric.Host
}

// Start starts everything that the topology describes and returns when all
// processes listen; WaitHealthy waits for the load balancers' targets. ctx
// bounds the start only. After an error nothing is left running.
func Start(ctx context.Context, opts Options) (*Lab, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	index := topology.NewIndex(opts.Topology)
	if err := errors.Join(opts.checkTwins(index), opts.checkOnly(index), opts.programsFit()); err != nil {
		return nil, err
	}
	envoy, err := opts.envoyPath()
	if err != nil {
		return nil, err
	}
	fab, err := openFabric(opts.Fabric)
	if err != nil {
		return nil, err
	}
	l := &Lab{
		opts: opts, index: index, clock: clock.New(opts.Scale), dir: opts.Dir, envoy: envoy, fabric: fab, network: vpc.New(index),
		spawner: proc.NewSpawner(), begun: time.Now(), health: make(chan healthEvent, 1024),
		agents: sync.OnceValues(certs.NewAuthority),
	}
	l.sharing.lab = l
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if envoy != "" {
		l.note("the agents are Envoy, " + envoy)
	}
	l.noteLeftOut()
	l.wg.Go(l.healthEvents)
	// Without its processes nothing of the start waits any longer.
	giveUp := context.AfterFunc(ctx, l.spawner.KillAll)
	l.mu.Lock()
	err = l.start(ctx)
	l.mu.Unlock()
	if !giveUp() {
		err = ctx.Err()
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (o *Options) check() error {
	if o.Topology == nil {
		return errors.New("lab: no topology")
	}
	if len(o.App.Command) == 0 {
		return errors.New("lab: no app command")
	}
	if len(o.Node) == 0 {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("lab: cannot find this program to start nodes from: %w", err)
		}
		o.Node = []string{self, "node"}
	}
	if o.LinkDelay != 0 && o.Fabric != netns.Name {
		return fail.Newf(fail.Usage, "use --fabric netns", "a link delay of %s: hosts of this fabric have no links", o.LinkDelay)
	}
	if err := errors.Join(o.checkCounts(), o.checkPorts(), CheckPrograms(o.Programs)); err != nil {
		return err
	}
	return o.checkMachine()
}

// checkTwins says what is wrong with the twins' names and services.
func (o *Options) checkTwins(x *topology.Index) error {
	seen := map[string]bool{"": true}
	for _, t := range o.Twins {
		if seen[t.Name] {
			return fmt.Errorf("lab: twin %q: each twin needs a name of its own", t.Name)
		}
		seen[t.Name] = true
		if x.Service(t.Of) == nil {
			return fmt.Errorf("lab: twin %s: no service %s", t.Name, t.Of)
		}
	}
	return nil
}

// fabrics are the fabrics of this system by name.
var fabrics = map[string]func() (fabric.Fabric, error){
	"loopback": func() (fabric.Fabric, error) { return loopback.New(), nil },
	netns.Name: netns.New,
}

// nets make the node side of a fabric by its name.
var nets = map[string]func(fabric.NetSpec) (fabric.Net, error){
	"loopback": func(s fabric.NetSpec) (fabric.Net, error) { return loopback.NewNet(s.Config) },
	netns.Name: func(s fabric.NetSpec) (fabric.Net, error) { return netns.NewNet(s.Config) },
}

func openFabric(name string) (fabric.Fabric, error) {
	if name == "" {
		name = "loopback"
	}
	open := fabrics[name]
	if open == nil {
		return nil, fail.Newf(fail.Usage, "use --fabric loopback or netns", "fabric %q does not exist on this system", name)
	}
	return open()
}

// NodeMain is the whole of a node process; the hidden command `hoplab node`
// calls it. It returns the exit code.
func NodeMain(in io.Reader, out, errOut io.Writer) int {
	return node.Main(in, out, errOut, func(s fabric.NetSpec) (fabric.Net, error) {
		open := nets[s.Fabric]
		if open == nil {
			return nil, fmt.Errorf("fabric %q does not exist on this system", s.Fabric)
		}
		return open(s)
	})
}

func (l *Lab) start(ctx context.Context) error {
	if l.dir == "" {
		dir, err := os.MkdirTemp("", "hoplab-lab-")
		if err != nil {
			return err
		}
		l.dir, l.ownDir = dir, true
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	if err := l.applyPolicy(); err != nil {
		return err
	}
	l.copies = append(l.copies, l.newCopy("", nil))
	for i := range l.opts.Twins {
		l.copies = append(l.copies, l.newCopy(l.opts.Twins[i].Name, &l.opts.Twins[i]))
	}
	for _, dc := range l.copies {
		if err := dc.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// external returns the host that load and other callers without Service
// Connect use: an address of the VPC of the first load balancer, or of the
// first task.
func (l *Lab) external(ctx context.Context) (*externalHost, error) {
	if l.load != nil {
		return l.load, nil
	}
	var sameVPC *vpc.Interface
	for _, dc := range l.copies {
		for _, b := range dc.balancers {
			if sameVPC == nil {
				sameVPC = b.iface
			}
		}
	}
	for _, dc := range l.copies {
		for _, s := range dc.services {
			for _, t := range s.tasks {
				if sameVPC == nil {
					sameVPC = t.iface
				}
			}
		}
	}
	i, err := l.network.AttachExternal("load", sameVPC)
	if err != nil {
		return nil, err
	}
	h, err := l.fabric.AddHost(ctx, fabric.HostSpec{Name: "load", IP: i.IP, Subnet: i.Subnet, Unaware: true, Delay: l.opts.LinkDelay})
	if err != nil {
		return nil, err
	}
	l.load = &externalHost{iface: i, host: h}
	return l.load, nil
}

// applyPolicy puts the security groups in force, for all hosts that come.
func (l *Lab) applyPolicy() error {
	if f, ok := l.fabric.(fabric.Isolated); ok {
		return f.SetPolicies(l.network.Egress, l.network.Ingress)
	}
	return l.fabric.SetPolicy(l.network.Open)
}

// WaitHealthy waits until every target of every load balancer that is in use
// is healthy. When ctx ends first it returns an error that names the targets
// that are not, with their state and reason.
func (l *Lab) WaitHealthy(ctx context.Context) error {
	return l.wait(ctx, "healthy", func(t alb.TargetStatus) bool {
		return t.State == alb.Healthy || t.State == alb.Unavailable || t.State == alb.Unused
	})
}

// WaitSettled waits until no target is in its initial state any more: the
// health checks have come to a result, whatever it is.
func (l *Lab) WaitSettled(ctx context.Context) error {
	return l.wait(ctx, "checked", func(t alb.TargetStatus) bool { return t.State != alb.Initial })
}

func (l *Lab) wait(ctx context.Context, what string, good func(alb.TargetStatus) bool) error {
	for pause := 2 * time.Millisecond; ; pause = min(pause*3/2, 100*time.Millisecond) {
		var missing []string
		for _, b := range l.balancerStatus() {
			if b.Error != "" {
				return fmt.Errorf("load balancer %s: %s", b.Name, b.Error)
			}
			for _, g := range b.Groups {
				for _, t := range g.Targets {
					if !good(t) {
						missing = append(missing, fmt.Sprintf("%s in %s: %s %s", t.Address, g.Name, t.State, t.Reason))
					}
				}
			}
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			slices.Sort(missing)
			return fail.Newf(fail.Environment, "run `hoplab explain` to see which rule or port is in the way",
				"%d of the targets are not %s: %v (%w)", len(missing), what, missing, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Close stops everything and removes the lab's directory if it made it. It
// may be called again.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.cancel()
	var wg sync.WaitGroup
	for _, dc := range l.copies {
		for _, b := range dc.balancers {
			wg.Go(b.close)
		}
		for _, s := range dc.services {
			for _, t := range slices.Concat(s.tasks, s.leaving) {
				t.cancel()
				wg.Go(t.end)
			}
		}
	}
	l.mu.Unlock()
	wg.Wait()
	l.wg.Wait()
	l.sharing.close()
	err := l.fabric.Close()
	l.spawner.Close()
	if l.ownDir {
		err = errors.Join(err, os.RemoveAll(l.dir))
	}
	return err
}

// caFile is where clients find the certificate of the lab's authority.
func (l *Lab) caFile() string { return filepath.Join(l.dir, "ca.pem") }

// certificate makes the certificate of an HTTPS listener. What the template
// names is kept by AWS; the lab's is for the load balancer's own name, and the
// lab's authority is in ca.pem of its directory.
func (l *Lab) certificate(name string) (*certs.Pair, error) {
	if l.ca == nil {
		ca, err := certs.NewAuthority()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(l.caFile(), ca.PEM, 0o644); err != nil {
			return nil, err
		}
		l.ca = ca
	}
	return l.ca.Issue(name)
}

// note adds a remark for Status.
func (l *Lab) note(text string) {
	l.notesMu.Lock()
	defer l.notesMu.Unlock()
	if !slices.Contains(l.notes, text) {
		l.notes = append(l.notes, text)
	}
}

// remarks are the notes so far.
func (l *Lab) remarks() []string {
	l.notesMu.Lock()
	defer l.notesMu.Unlock()
	return slices.Clone(l.notes)
}
