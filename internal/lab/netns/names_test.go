//go:build linux

package netns_test

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestNames: a host has a hosts file of its own and the VPC's resolver; the
// machine's files stay as they are.
func TestNames(t *testing.T) {
	layer.Full(t, "needs network namespaces")
	f := newFabric(t)
	machine, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	h := addHost(t, f, fabric.HostSpec{Name: "task", IP: netip.MustParseAddr("10.0.1.10"), Subnet: subnetA,
		VIPs: map[string]netip.Addr{"app.sample-namespace": netip.MustParseAddr("127.255.0.1")}})
	f.SetNames(map[string]netip.Addr{"internal-alb.elb.lab.test": netip.MustParseAddr("10.0.1.20")})
	same(t, "hosts file", run(t, h, "cat", "/etc/hosts"),
		"127.0.0.1 localhost\n10.0.1.10 ip-10-0-1-10.ec2.internal\n127.255.0.1 app.sample-namespace\n2600:f0f0:0:0:0:0:0:1 app.sample-namespace\n")
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
