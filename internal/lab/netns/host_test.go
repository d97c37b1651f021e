//go:build linux

package netns_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

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
	n, err := netns.NewNet(nil)
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
			answer = dialled(n, netip.MustParseAddrPort(f[1]))
		}
		fmt.Println(answer)
	}
	return 0
}

func dialled(n fabric.Net, dst netip.AddrPort) string {
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

// run runs a program in the host to its end and returns what it printed.
func run(t *testing.T, h *netns.Host, argv ...string) string {
	t.Helper()
	labtest.Need(t, argv[0])
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
