package loopback

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

var (
	clientIP = netip.MustParseAddr("10.0.0.1")
	serverIP = netip.MustParseAddr("10.0.0.2")
	subnet   = netip.MustParsePrefix("10.0.0.0/24")
)

func at(ip netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(ip, port) }

// listen starts a listener that greets, and returns where it is.
func listen(t *testing.T, addr, greeting string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, greeting+" "+c.RemoteAddr().(*net.TCPAddr).IP.String())
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// two makes a fabric with a client and a server, between which ports 80 and 8080 are open.
func two(t *testing.T) (*Fabric, fabric.Host, fabric.Host) {
	t.Helper()
	f := New()
	var hosts []fabric.Host
	for _, ip := range []netip.Addr{clientIP, serverIP} {
		h, err := f.AddHost(context.Background(), fabric.HostSpec{Name: ip.String(), IP: ip, Subnet: subnet})
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	f.SetPolicy(func(from, to netip.Addr) []fabric.Range {
		if from == clientIP && to == serverIP {
			return []fabric.Range{{From: 80, To: 80}, {From: 8080, To: 8080}}
		}
		return nil
	})
	return f, hosts[0], hosts[1]
}

// greet dials and returns what comes, or the kind of failure.
func greet(dial func(context.Context) (net.Conn, error)) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	c, err := dial(ctx)
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "dropped"
	case err != nil:
		return err.Error()
	}
	defer c.Close()
	b, _ := io.ReadAll(c)
	return string(b)
}

// TestReach goes through who reaches what in both port modes (section 1 of
// the semantics) and through the three ways of binding.
func TestReach(t *testing.T) {
	f, client, server := two(t)
	defer f.Close()
	from := client.(*Host).real.String()
	app := listen(t, "127.0.0.1:0", "app")
	agent := listen(t, "127.0.0.1:0", "agent")

	check := func(step string, want map[string]string) {
		t.Helper()
		net80 := func(h fabric.Host, ip netip.Addr, port uint16) string {
			return greet(func(ctx context.Context) (net.Conn, error) { return h.Dial(ctx, at(ip, port)) })
		}
		got := map[string]string{
			"from outside":       net80(client, serverIP, 80),
			"from outside, 8080": net80(client, serverIP, 8080),
			"from outside, 81":   net80(client, serverIP, 81),
			"own address":        net80(server, serverIP, 80),
			"own loopback":       net80(server, localhost, 80),
			"no such host":       net80(client, netip.MustParseAddr("10.0.0.99"), 80),
			"the other way":      net80(server, clientIP, 80),
		}
		for k, w := range want {
			if got[k] != w {
				t.Errorf("%s: %s: %q, want %q", step, k, got[k], w)
			}
		}
	}
	self := server.(*Host).real.String()
	never := map[string]string{"from outside, 81": "dropped", "no such host": "dropped", "the other way": "dropped"}
	check("nothing listens", map[string]string{"from outside": "refused", "own address": "refused", "own loopback": "refused"})
	check("always", never)

	server.Bound(80, fabric.BindAll, app)
	check("app alone", map[string]string{"from outside": "app " + from, "own address": "app " + self,
		"own loopback": "app 127.0.0.1", "from outside, 8080": "refused"})

	server.Redirect(80, agent)
	check("default mode", map[string]string{"from outside": "agent " + from, "own address": "app " + self, "own loopback": "app 127.0.0.1"})

	_, client, server = two(t)
	from = client.(*Host).real.String()
	server.Bound(80, fabric.BindAll, app)
	server.Bound(8080, fabric.BindAll, agent)
	check("override mode", map[string]string{"from outside": "app " + from, "from outside, 8080": "agent " + from})

	server.Bound(80, fabric.BindLoopback, app)
	server.Unbound(80)
	server.Bound(80, fabric.BindLoopback, app)
	check("app on loopback only", map[string]string{"from outside": "refused", "own address": "refused", "own loopback": "app 127.0.0.1"})
	server.Unbound(80)
	server.Bound(80, fabric.BindInterface, app)
	check("app on its interface only", map[string]string{"from outside": "app " + from, "own loopback": "refused"})

	server.Remove()
	check("host gone", map[string]string{"from outside": "dropped"})
}

// TestNodeSeesChanges: a node's Net follows the fabric through Watch.
func TestNodeSeesChanges(t *testing.T) {
	f, client, server := two(t)
	defer f.Close()
	n, err := NewNet(client.Net().Config)
	if err != nil {
		t.Fatal(err)
	}
	pushes := 0
	stop := client.Watch(func(raw json.RawMessage) {
		pushes++
		if err := n.Update(raw); err != nil {
			t.Error(err)
		}
	})
	dial := func() string {
		return greet(func(ctx context.Context) (net.Conn, error) { return n.Dial(ctx, at(serverIP, 80)) })
	}
	if got := dial(); got != "refused" {
		t.Errorf("before: %s", got)
	}
	server.Bound(80, fabric.BindAll, listen(t, "127.0.0.1:0", "app"))
	if got := dial(); got != "app "+client.(*Host).real.String() {
		t.Errorf("after: %s", got)
	}
	before := pushes
	client.Bound(9000, fabric.BindLoopback, at(localhost, 1)) // visible to the client itself
	if pushes != before+1 {
		t.Errorf("%d pushes for one change", pushes-before)
	}
	server.Bound(9999, fabric.BindLoopback, at(localhost, 2)) // not visible to the client
	if pushes != before+1 {
		t.Error("a push although nothing changed for the client")
	}
	stop()
	server.Remove()
	if got := dial(); got == "dropped" {
		t.Error("the view changed after the watch had stopped")
	}
	if got := n.Logical(server.(*Host).real); got != serverIP {
		t.Errorf("the server's real address is taken for %s", got)
	}
}

// TestListenAgain: a process that takes another one's place gets its port, so
// that callers find it, and any other one when somebody has taken that meanwhile.
func TestListenAgain(t *testing.T) {
	f, client, server := two(t)
	defer f.Close()
	again := func() netip.AddrPort {
		n, err := NewNet(server.Net().Config)
		if err != nil {
			t.Fatal(err)
		}
		l, err := n.Listen(80)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		at := l.Addr().(*net.TCPAddr).AddrPort()
		if err := server.Bound(80, fabric.BindInterface, at); err != nil {
			t.Fatal(err)
		}
		if real, v := client.Lookup(netip.AddrPortFrom(serverIP, 80)); v != fabric.Passed || real != at {
			t.Errorf("callers are sent to %s (%s); the listener is at %s", real, v, at)
		}
		return at
	}
	self := server.(*Host).real.String()
	before := listen(t, self+":0", "somebody else")
	if err := server.Bound(80, fabric.BindInterface, before); err != nil {
		t.Fatal(err)
	}
	first := again()
	if first == before {
		t.Errorf("listens on %s, which was taken", before)
	}
	// Free again: the place is kept.
	l, err := net.Listen("tcp4", self+":0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	if err := server.Bound(80, fabric.BindInterface, free); err != nil {
		t.Fatal(err)
	}
	if got := again(); got != free {
		t.Errorf("listens on %s; want %s, which was free", got, free)
	}
}

// TestOutbound: each virtual address has its listener, and one takes the rest.
func TestOutbound(t *testing.T) {
	f, client, _ := two(t)
	defer f.Close()
	n, err := NewNet(client.Net().Config)
	if err != nil {
		t.Fatal(err)
	}
	vip := netip.MustParseAddrPort("127.255.0.1:80")
	if got := greet(func(ctx context.Context) (net.Conn, error) { return client.Dial(ctx, vip) }); got != "refused" {
		t.Errorf("without an agent: %s", got)
	}
	o, err := n.Outbound([]netip.AddrPort{vip, vip})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	client.Outbound(o.Listeners())
	for dst, want := range map[netip.AddrPort]netip.AddrPort{
		vip: vip,
		netip.MustParseAddrPort("127.255.0.1:8080"): {},
		netip.MustParseAddrPort("127.255.0.9:80"):   {},
	} {
		c, err := client.Dial(context.Background(), dst)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got, where, err := o.Accept()
		if err != nil || where != want {
			t.Errorf("%s arrived as %s %v, want %s", dst, where, err, want)
		}
		got.Close()
	}
	o.Close()
	if _, _, err := o.Accept(); err == nil {
		t.Error("a closed Outbound still accepts")
	}
}

// TestSuccessorGetsThePort: a node that takes another's place listens where it did.
func TestSuccessorGetsThePort(t *testing.T) {
	f, client, _ := two(t)
	defer f.Close()
	n, err := NewNet(client.Net().Config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := n.Listen(80)
	if err != nil {
		t.Fatal(err)
	}
	was := l.Addr().(*net.TCPAddr).AddrPort()
	client.Bound(80, fabric.BindInterface, was)
	l.Close()
	n, _ = NewNet(client.Net().Config)
	if l, err = n.Listen(80); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if now := l.Addr().(*net.TCPAddr).AddrPort(); now != was {
		t.Errorf("the successor listens on %s, want %s", now, was)
	}
	other, err := n.Listen(80) // taken now: any port will do
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
}

func TestTwoHostsOneAddress(t *testing.T) {
	f, _, _ := two(t)
	if _, err := f.AddHost(context.Background(), fabric.HostSpec{IP: serverIP}); err == nil {
		t.Error("two hosts got one address")
	}
}
