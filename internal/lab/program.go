package lab

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/proc"
	"github.com/hoplab/hoplab/internal/topology"
)

// Program stands for the image of a service's containers in the app's place, on
// Linux.
type Program struct {
	// Service is the service's name, or its id in the topology.
	Service string
	// Command is started as the app is: once for each port that a container maps,
	// in its task's place, with the app's variables in its environment. In its words
	// $PORT, $LISTEN_ADDRESS and $INSTANCE stand for their values. It must listen
	// there within 10 s, but need not say so, and ends on SIGTERM; what it has
	// started ends with it.
	Command []string
}

// programListens is how long a program may take to listen, in real time. The lab
// does nothing else meanwhile. Tests have less patience.
var programListens = 10 * time.Second

// CheckPrograms refuses programs that cannot be started.
func CheckPrograms(programs []Program) error {
	for _, p := range programs {
		switch {
		case runtime.GOOS != "linux":
			return fail.Newf(fail.Usage, "leave it out: the measured app stands for each image", "a command in the place of %s: that needs Linux", p.Service)
		case p.Service == "" || len(p.Command) == 0:
			return fail.Newf(fail.Usage, "write SERVICE=COMMAND", "a command in the place of an image: %q=%q", p.Service, strings.Join(p.Command, " "))
		}
		if _, err := exec.LookPath(p.Command[0]); err != nil {
			return fail.Newf(fail.Usage, "give its path, or install it", "the command in the place of %s: %w", p.Service, err)
		}
		if _, err := p.words(nil); err != nil {
			return err
		}
	}
	return nil
}

// programsFit refuses a program for a service that the deployment does not have. One
// without services is still to come.
func (o *Options) programsFit() error {
	var names []string
	for _, s := range o.Topology.Services {
		names = append(names, s.Name.Or(string(s.ID)))
	}
	for i := range o.Programs {
		p := &o.Programs[i]
		if len(names) > 0 && !slices.ContainsFunc(o.Topology.Services, p.standsFor) {
			return fail.Newf(fail.Usage, "choose from "+some(names, 20), "a command in the place of %s: there is no such service", p.Service)
		}
	}
	return nil
}

// programOf returns the command that stands for a service's image; nil for the app.
func (o *Options) programOf(s *topology.Service) *Program {
	for i := range o.Programs {
		if o.Programs[i].standsFor(s) {
			return &o.Programs[i]
		}
	}
	return nil
}

func (p *Program) standsFor(s *topology.Service) bool {
	return s.Name.Or("") == p.Service || string(s.ID) == p.Service || path.Base(string(s.ID)) == p.Service
}

// Program is the command that stands for a service's image; nil for the app.
func (l *Lab) Program(id topology.ID) *Program {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.index.Service(id)
	if s == nil {
		return nil
	}
	return l.opts.programOf(s)
}

// String is the program as a user gives it.
func (p *Program) String() string { return p.Service + "=" + strings.Join(p.Command, " ") }

// words is the command with the values that an environment gives its variables.
func (p *Program) words(env []string) (out []string, err error) {
	known := map[string]string{"PORT": "", "LISTEN_ADDRESS": "", "INSTANCE": ""}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if _, ok := known[name]; ok {
			known[name] = value
		}
	}
	for _, w := range p.Command {
		out = append(out, os.Expand(w, func(name string) string {
			v, ok := known[name]
			if !ok {
				err = fail.Newf(fail.Usage, "use PORT, LISTEN_ADDRESS or INSTANCE; a script can do more",
					"the command in the place of %s names the variable %q", p.Service, name)
			}
			return v
		}))
	}
	return out, err
}

// told is where a program is told to listen, for it cannot say where it does. Port
// 0 becomes one that is free.
func told(listen string, port uint16) (netip.AddrPort, error) {
	at, err := netip.ParseAddr(cmp.Or(listen, "0.0.0.0"))
	if err != nil || port != 0 {
		return netip.AddrPortFrom(at, port), err
	}
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort(), nil
}

// startProgram starts a program and waits until it listens where it was told.
func (l *Lab) startProgram(name string, h fabric.Host, p *Program, at netip.AddrPort, env []string, log string) (*appProcess, error) {
	command, err := p.words(env)
	if err != nil {
		return nil, err
	}
	started, err := l.startAppProcess(name, h, command, env, log)
	if err != nil {
		return nil, err
	}
	started.EndGroup()
	if err := l.awaitPort(started, h, at, log); err != nil {
		started.Kill()
		return nil, err
	}
	return &appProcess{proc: started, log: log, address: at.String()}, nil
}

// awaitPort waits until something listens at an address of a host.
func (l *Lab) awaitPort(p *proc.Process, h fabric.Host, at netip.AddrPort, log string) error {
	to := at
	if at.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	ctx, cancel := context.WithTimeout(l.ctx, programListens)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(wait*2, 100*time.Millisecond) {
		if c, err := l.dialIn(ctx, h, to); err == nil {
			return c.Close()
		}
		if !p.Alive() {
			return fail.Newf(fail.Environment, "see "+log, "%s ended before it listened on %s: %s", p.Name, at, p.Why())
		}
		select {
		case <-ctx.Done():
			return fail.Newf(fail.Environment, "have it listen on $LISTEN_ADDRESS and $PORT; what it says is in "+log,
				"%s does not listen on %s within %s of its start", p.Name, at, programListens)
		case <-time.After(wait):
		}
	}
}

// dialIn connects to an address of a host from inside it.
func (l *Lab) dialIn(ctx context.Context, h fabric.Host, to netip.AddrPort) (net.Conn, error) {
	if _, ok := l.fabric.(fabric.Isolated); ok {
		return h.Dial(ctx, to)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}
