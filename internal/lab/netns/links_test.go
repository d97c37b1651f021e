//go:build linux

package netns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestReachableAtOnce: the first packet to a new host arrives, whatever hosts
// came before it. One that is lost costs a second.
func TestReachableAtOnce(t *testing.T) {
	layer.Full(t, "needs network namespaces")
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
	layer.Full(t, "needs network namespaces")
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

// TestLinkDelay: a packet from one host to another takes two links, so a
// handshake takes four delays.
func TestLinkDelay(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	const delay = 40 * time.Millisecond
	topo := labtest.Deployment(t, "agent")
	l := startLab(t, lab.Options{Topology: topo, LinkDelay: delay})
	url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	if err != nil {
		t.Fatal(err)
	}
	best := time.Minute
	for range 3 { // the first waits for link addresses too
		out, _ := shell(t, l, lab.Caller{}, "curl", "-sS", "-o", os.DevNull, "-w", "%{time_namelookup} %{time_connect}", url)
		var resolved, connected float64
		if _, err := fmt.Sscan(out, &resolved, &connected); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		best = min(best, time.Duration((connected-resolved)*float64(time.Second)))
	}
	if best < 4*delay || best > 7*delay {
		t.Errorf("the handshake took %s over links of %s", best, delay)
	}
	_, err = lab.Start(context.Background(), lab.Options{Topology: topo, App: lab.App{Command: []string{"none"}}, LinkDelay: delay})
	if fail.CodeOf(err) != fail.Usage {
		t.Errorf("a link delay on loopback: %v", err)
	}
}
