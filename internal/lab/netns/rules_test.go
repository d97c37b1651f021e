//go:build linux

package netns_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestSecurityGroups: a closed port drops, an open one passes or refuses, in
// the same subnet and across the router, and each side's rules count where
// they are.
func TestSecurityGroups(t *testing.T) {
	layer.Full(t, "needs network namespaces")
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
	if err := f.SetPolicies(egress, func(netip.Addr, netip.Addr) []fabric.Range { return nil }); err != nil {
		t.Fatal(err)
	}
	same(t, "closed at the destination", pa.ask("call 10.0.1.11:80"), "timeout")
	if n := counters(t, b); n[netns.DroppedIn] == before[netns.DroppedIn] {
		t.Errorf("the destination dropped nothing: %v", n)
	}
	before = counters(t, b)
	if err := f.SetPolicies(func(netip.Addr, netip.Addr) []fabric.Range { return nil }, egress); err != nil {
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

// TestStateful: a connection goes on when its rule is taken away, and a new
// one does not start.
func TestStateful(t *testing.T) {
	layer.Full(t, "needs network namespaces")
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

// TestInboundRedirect: connections from other hosts to the container port go
// to the agent, those from inside the task to the app, in IPv4 and IPv6.
func TestInboundRedirect(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	f := newFabric(t)
	dual := func(n string) *netns.Host {
		return addHost(t, f, fabric.HostSpec{Name: n, IP: netip.MustParseAddr("10.0.1.1" + n),
			IP6: netip.MustParseAddr("fd00:1::" + n), Subnet: subnetA})
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

// TestOutboundRedirect: a connection to any port of a virtual address reaches
// the agent with its destination; a call of the agent's own port, which is on
// 127.0.0.1 only, has none, and without IPv6 there is no route to the IPv6 ones.
func TestOutboundRedirect(t *testing.T) {
	layer.Full(t, "needs network namespaces")
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
		{"[2600:f0f0::1]:80", "dial tcp [2600:f0f0::1]:80: connect: network is unreachable"}, // the task has no IPv6
		{"127.0.0.1:7000", "other 127.0.0.1"},
		{fmt.Sprintf("127.0.0.1:%d", agent.Port()), "agent invalid AddrPort"},
		{fmt.Sprintf("10.0.1.10:%d", agent.Port()), fmt.Sprintf("dial tcp 10.0.1.10:%d: connect: connection refused", agent.Port())},
	} {
		same(t, c.to, p.ask("call %s", c.to), c.answer)
	}
	if n := counters(t, h)[netns.ToAgentOut]; n != 3 {
		t.Errorf("the redirect counted %d connections, want 3", n)
	}
}

// TestNodeSide: the node's Net needs no configuration.
func TestNodeSide(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	n, err := netns.NewNet(nil)
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
