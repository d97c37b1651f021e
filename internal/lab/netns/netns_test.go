//go:build linux

package netns_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/envoy/standin"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/netns"
)

// TestMain runs the tests where namespaces can be made: here as root, else in
// a user namespace. The binary also stands in for the programs in a host.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "envoy" {
		os.Exit(standin.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "agent":
			os.Exit(agentMain())
		case "node":
			os.Exit(lab.NodeMain(os.Stdin, os.Stdout, os.Stderr))
		case "hold":
			os.Exit(hold(os.Args[2], os.Args[3]))
		}
	}
	code, done, err := netns.Enter()
	switch {
	case err != nil:
		impossible = err
	case done:
		os.Exit(code)
	}
	os.Exit(func() int {
		if scratch, err = os.MkdirTemp("", "hoplab-netns-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}

// scratch is a directory for what several tests share.
var scratch string

// impossible is why this machine cannot run the tests.
var impossible error

// possible skips a test where namespaces cannot be made; with CI=true it fails.
func possible(t *testing.T) {
	t.Helper()
	if impossible == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(impossible)
	}
	t.Skip(impossible)
}

func newFabric(t *testing.T) *netns.Fabric {
	t.Helper()
	possible(t)
	f, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.(*netns.Fabric)
}

var (
	subnetA = netip.MustParsePrefix("10.0.1.0/24")
	subnetB = netip.MustParsePrefix("10.0.2.0/24")
)

func addHost(t *testing.T, f *netns.Fabric, spec fabric.HostSpec) *netns.Host {
	t.Helper()
	h, err := f.AddHost(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return h.(*netns.Host)
}

func host(t *testing.T, f *netns.Fabric, subnet netip.Prefix, ip string) *netns.Host {
	t.Helper()
	return addHost(t, f, fabric.HostSpec{Name: "host " + ip, IP: netip.MustParseAddr(ip), Subnet: subnet})
}

// open lets everybody reach the ports of everybody.
func open(ports ...uint16) fabric.Policy {
	return func(netip.Addr, netip.Addr) (out []fabric.Range) {
		for _, p := range ports {
			out = append(out, fabric.Range{From: p, To: p})
		}
		return out
	}
}

// program is a process in a host that answers lines.
type program struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// start starts this test binary in the host as agentMain.
func start(t *testing.T, h *netns.Host) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0], "agent")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &program{t, in, bufio.NewReader(out)}
}

// ask sends a line and returns the answer.
func (p *program) ask(format string, args ...any) string {
	p.t.Helper()
	fmt.Fprintf(p.in, format+"\n", args...)
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatal("the program in the host ended: ", err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (p *program) port(format string, args ...any) netip.AddrPort {
	p.t.Helper()
	a, err := netip.ParseAddrPort(p.ask(format, args...))
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// agentMain is what runs in a host. Commands, one per line:
//
//	serve NAME PORT   listen; say to every client "NAME peer"; prints the address
//	outbound          listen for virtual addresses; say to every client "agent destination"; prints the address
//	call ADDRESS      connect within 300 ms; prints what the other side says, or the error
func agentMain() int {
	n, err := netns.NewNet()
	if err != nil {
		return 1
	}
	s := bufio.NewScanner(os.Stdin)
	for s.Scan() {
		f := strings.Fields(s.Text())
		var answer string
		switch f[0] {
		case "serve":
			var port uint16
			fmt.Sscan(f[2], &port)
			l, err := n.Listen(port)
			if err != nil {
				return 1
			}
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					peer := n.Logical(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
					fmt.Fprintf(c, "%s %s\n", f[1], peer)
					c.Close()
				}
			}()
			answer = l.Addr().String()
		case "outbound":
			o, err := n.Outbound(nil)
			if err != nil {
				return 1
			}
			go func() {
				for {
					c, dst, err := o.Accept()
					if err != nil {
						return
					}
					fmt.Fprintf(c, "agent %v\n", dst)
					c.Close()
				}
			}()
			answer = o.Listeners()[netip.AddrPort{}].String()
		case "call":
			answer = call(n, netip.MustParseAddrPort(f[1]))
		}
		fmt.Println(answer)
	}
	return 0
}

func call(n fabric.Net, dst netip.AddrPort) string {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	c, err := n.Dial(ctx, dst)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(string(b), "\n")
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func counters(t *testing.T, h *netns.Host) map[string]uint64 {
	t.Helper()
	c, err := h.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSecurityGroups: a closed port drops, an open one passes or refuses, in
// the same subnet and across the router, and each side's rules count where
// they are.
func TestSecurityGroups(t *testing.T) {
	f := newFabric(t)
	a, b, c := host(t, f, subnetA, "10.0.1.10"), host(t, f, subnetA, "10.0.1.11"), host(t, f, subnetB, "10.0.2.10")
	pa, pb, pc := start(t, a), start(t, b), start(t, c)
	pb.ask("serve b 80")
	pc.ask("serve c 80")
	same(t, "before a policy", pa.ask("call 10.0.1.11:80"), "timeout")
	if err := f.SetPolicy(open(80, 81)); err != nil {
		t.Fatal(err)
	}
	same(t, "same subnet", pa.ask("call 10.0.1.11:80"), "b 10.0.1.10")
	same(t, "across the router", pa.ask("call 10.0.2.10:80"), "c 10.0.1.10")
	same(t, "nothing listens", pa.ask("call 10.0.1.11:81"), "dial tcp 10.0.1.11:81: connect: connection refused")
	same(t, "no rule", pa.ask("call 10.0.1.11:82"), "timeout")
	same(t, "no such host", pa.ask("call 10.0.1.99:80"), "timeout")

	before := counters(t, b)
	egress := func(from, to netip.Addr) []fabric.Range { return open(80)(from, to) }
	if err := f.SetSides(egress, func(netip.Addr, netip.Addr) []fabric.Range { return nil }); err != nil {
		t.Fatal(err)
	}
	same(t, "closed at the destination", pa.ask("call 10.0.1.11:80"), "timeout")
	if n := counters(t, b); n[netns.DroppedIn] == before[netns.DroppedIn] {
		t.Errorf("the destination dropped nothing: %v", n)
	}
	before = counters(t, b)
	if err := f.SetSides(func(netip.Addr, netip.Addr) []fabric.Range { return nil }, egress); err != nil {
		t.Fatal(err)
	}
	own := counters(t, a)[netns.DroppedOut]
	same(t, "closed at the source", pa.ask("call 10.0.1.11:80"), "timeout")
	if n := counters(t, b); n[netns.DroppedIn] != before[netns.DroppedIn] || n[netns.AcceptedIn] != before[netns.AcceptedIn] {
		t.Errorf("a packet reached the destination: %v, before %v", n, before)
	}
	if n := counters(t, a)[netns.DroppedOut]; n == own {
		t.Error("the source dropped nothing")
	}
}

// TestReachableAtOnce: the first packet to a new host arrives, whatever hosts
// came before it. One that is lost costs a second.
func TestReachableAtOnce(t *testing.T) {
	f := newFabric(t)
	a := host(t, f, subnetA, "10.0.1.10")
	for i := range 12 {
		subnet, ip := subnetA, netip.MustParseAddr(fmt.Sprintf("10.0.1.%d", 20+i))
		if i%2 == 0 {
			subnet, ip = subnetB, netip.MustParseAddr(fmt.Sprintf("10.0.2.%d", 20+i))
		}
		host(t, f, subnet, ip.String())
		if err := f.SetPolicy(open(80)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 900*time.Millisecond)
		_, err := a.Dial(ctx, netip.AddrPortFrom(ip, 80))
		cancel()
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("host %d, %s: %v, want a refusal", i, ip, err)
		}
	}
}

// TestDelay: a link's delay lies on the way to the host and on the way back,
// once in a handshake each; hosts without one are as fast as ever.
func TestDelay(t *testing.T) {
	f := newFabric(t)
	const delay = 30 * time.Millisecond
	a, near := host(t, f, subnetA, "10.0.1.10"), host(t, f, subnetA, "10.0.1.11")
	far := addHost(t, f, fabric.HostSpec{Name: "far", IP: netip.MustParseAddr("10.0.1.12"), Subnet: subnetA, Delay: delay})
	if err := f.SetPolicy(open(80)); err != nil {
		t.Fatal(err)
	}
	connect := func(h *netns.Host) time.Duration {
		l := listenIn(t, h, 80)
		defer l.Close()
		best := time.Minute
		for range 5 { // the first asks for the link address too
			begun := time.Now()
			c, err := a.Dial(context.Background(), netip.AddrPortFrom(h.Spec().IP, 80))
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			best = min(best, time.Since(begun))
		}
		return best
	}
	if d := connect(near); d > delay {
		t.Errorf("a handshake without delay took %s", d)
	}
	if d := connect(far); d < 2*delay || d > 3*delay {
		t.Errorf("a handshake over a link of %s took %s, want about two delays", delay, d)
	}
	if err := far.Remove(); err != nil {
		t.Error(err)
	}
}

// TestStateful: a connection goes on when its rule is taken away, and a new
// one does not start.
func TestStateful(t *testing.T) {
	f := newFabric(t)
	a, b := host(t, f, subnetA, "10.0.1.10"), host(t, f, subnetB, "10.0.2.10")
	if err := f.SetPolicy(open(80)); err != nil {
		t.Fatal(err)
	}
	l := listenIn(t, b, 80)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := a.Dial(ctx, netip.MustParseAddrPort("10.0.2.10:80"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := f.SetPolicy(open()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	for _, pair := range [][2]net.Conn{{c, d}, {d, c}} {
		pair[1].SetDeadline(time.Now().Add(2 * time.Second))
		pair[0].Write([]byte("ping"))
		if _, err := io.ReadFull(pair[1], buf); err != nil {
			t.Errorf("an open connection broke: %v", err)
		}
	}
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if c, err := a.Dial(short, netip.MustParseAddrPort("10.0.2.10:80")); err == nil {
		c.Close()
		t.Error("a new connection was let through")
	}
}

// listenIn returns a listener that lives in the host and is used from here.
func listenIn(t *testing.T, h *netns.Host, port uint16) net.Listener {
	t.Helper()
	l, err := h.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestInboundRedirect: connections from other hosts to the container port go
// to the agent, those from inside the task to the app, in IPv4 and IPv6.
func TestInboundRedirect(t *testing.T) {
	f := newFabric(t)
	dual := func(n string) *netns.Host {
		return addHost(t, f, fabric.HostSpec{Name: n, IP: netip.MustParseAddr("10.0.1.1" + n), IP6: netip.MustParseAddr("fd00:1::" + n), Subnet: subnetA})
	}
	task, other := dual("1"), dual("2")
	if err := f.SetPolicy(open(80)); err != nil {
		t.Fatal(err)
	}
	inside, outside := start(t, task), start(t, other)
	inside.ask("serve app 80")
	same(t, "before", outside.ask("call 10.0.1.11:80"), "app 10.0.1.12")
	agent := inside.port("serve agent 0")
	if err := task.Redirect(80, agent); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from         *program
		to, answer   string
		agentCounted uint64
	}{
		{outside, "10.0.1.11:80", "agent 10.0.1.12", 1},
		{outside, "[fd00:1::1]:80", "agent fd00:1::2", 1},
		{outside, fmt.Sprintf("10.0.1.11:%d", agent.Port()), "timeout", 0},
		{inside, "10.0.1.11:80", "app 10.0.1.11", 0},
		{inside, "127.0.0.1:80", "app 127.0.0.1", 0},
		{inside, "[::1]:80", "app ::1", 0},
		{inside, "[fd00:1::1]:80", "app fd00:1::1", 0},
	} {
		before := counters(t, task)[netns.ToAgentIn]
		same(t, c.to, c.from.ask("call %s", c.to), c.answer)
		if n := counters(t, task)[netns.ToAgentIn] - before; n != c.agentCounted {
			t.Errorf("%s: the redirect counted %d connections, want %d", c.to, n, c.agentCounted)
		}
	}
}

// TestOutboundRedirect: a connection to any port of a virtual address, IPv4
// or IPv6, reaches the agent with its destination; a call of the agent's own
// port has none.
func TestOutboundRedirect(t *testing.T) {
	f := newFabric(t)
	h := addHost(t, f, fabric.HostSpec{Name: "task", IP: netip.MustParseAddr("10.0.1.10"), Subnet: subnetA,
		VIPs: map[string]netip.Addr{"app.sample-namespace": netip.MustParseAddr("127.255.0.1")}})
	p := start(t, h)
	agent := p.port("outbound")
	if err := h.Outbound(map[netip.AddrPort]netip.AddrPort{{}: agent}); err != nil {
		t.Fatal(err)
	}
	p.ask("serve other 7000")
	for _, c := range []struct{ to, answer string }{
		{"127.255.0.1:80", "agent 127.255.0.1:80"},
		{"127.255.0.1:8080", "agent 127.255.0.1:8080"},
		{"127.255.77.3:80", "agent 127.255.77.3:80"},
		{"[2600:f0f0::1]:80", "agent 127.255.0.1:80"},
		{"127.0.0.1:7000", "other 127.0.0.1"},
		{fmt.Sprintf("127.0.0.1:%d", agent.Port()), "agent invalid AddrPort"},
		{fmt.Sprintf("[::1]:%d", agent.Port()), "agent invalid AddrPort"},
	} {
		same(t, c.to, p.ask("call %s", c.to), c.answer)
	}
	if n := counters(t, h)[netns.ToAgentOut]; n != 4 {
		t.Errorf("the redirect counted %d connections, want 4", n)
	}
}

// run runs a program in the host to its end and returns what it printed.
func run(t *testing.T, h *netns.Host, argv ...string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		fmt.Fprintf(&out, "(%v)", err)
	}
	return out.String()
}

// TestNames: a host has a hosts file of its own and the VPC's resolver; the
// machine's files stay as they are.
func TestNames(t *testing.T) {
	f := newFabric(t)
	machine, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	h := addHost(t, f, fabric.HostSpec{Name: "task", IP: netip.MustParseAddr("10.0.1.10"), Subnet: subnetA,
		VIPs: map[string]netip.Addr{"app.sample-namespace": netip.MustParseAddr("127.255.0.1")}})
	f.SetNames(map[string]netip.Addr{"internal-alb.elb.lab.test": netip.MustParseAddr("10.0.1.20")})
	same(t, "hosts file", run(t, h, "cat", "/etc/hosts"),
		"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.255.0.1 app.sample-namespace\n2600:f0f0::1 app.sample-namespace\n")
	same(t, "endpoint", run(t, h, "getent", "ahostsv4", "app.sample-namespace"),
		"127.255.0.1     STREAM app.sample-namespace\n127.255.0.1     DGRAM  \n127.255.0.1     RAW    \n")
	if got := run(t, h, "getent", "ahostsv4", "internal-alb.elb.lab.test"); !strings.HasPrefix(got, "10.0.1.20 ") {
		t.Errorf("load balancer: %q", got)
	}
	begun := time.Now()
	same(t, "unknown", run(t, h, "getent", "hosts", "nobody.test"), "(exit status 2)")
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("an unknown name took %s", d)
	}
	if now, err := os.ReadFile("/etc/hosts"); err != nil || !bytes.Equal(now, machine) {
		t.Errorf("the machine's hosts file changed: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || bytes.Contains(mounts, []byte("hoplab")) {
		t.Errorf("a mount of a host shows outside it: %v\n%s", err, mounts)
	}
}

// TestNodeSide: the node's Net is made of nothing.
func TestNodeSide(t *testing.T) {
	n, err := netns.NewNet()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Update(json.RawMessage("{}")); err != nil {
		t.Error(err)
	}
	if got := n.Logical(netip.MustParseAddr("::ffff:10.0.0.1")); got != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("an address became %s", got)
	}
}
