package fabric

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestTwins: the two addresses of an endpoint have the same number in their
// ranges, and each leads to the other.
func TestTwins(t *testing.T) {
	for v4, v6 := range map[string]string{
		"127.255.0.1": "2600:f0f0::1", "127.255.0.255": "2600:f0f0::ff", "127.255.1.2": "2600:f0f0::102", "127.255.255.254": "2600:f0f0::fffe",
	} {
		a, b := netip.MustParseAddr(v4), netip.MustParseAddr(v6)
		if got := VIP6(a); got != b || !VIPs6.Contains(got) {
			t.Errorf("VIP6(%s) = %s, want %s", a, got, b)
		}
		if got := VIP4(b); got != a || !VIPs.Contains(got) {
			t.Errorf("VIP4(%s) = %s, want %s", b, got, a)
		}
	}
	// Every number of the IPv4 range has a twin of its own.
	seen := map[netip.Addr]netip.Addr{}
	for a := VIPs.Addr(); VIPs.Contains(a); a = a.Next() {
		b := VIP6(a)
		if other, ok := seen[b]; ok {
			t.Fatalf("%s is the twin of %s and of %s", b, other, a)
		}
		seen[b] = a
		if back := VIP4(b); back != a {
			t.Fatalf("VIP4(VIP6(%s)) = %s", a, back)
		}
	}
	if len(seen) != 1<<16 {
		t.Errorf("%d addresses, want %d", len(seen), 1<<16)
	}
}

func TestContains(t *testing.T) {
	rs := []Range{{80, 80}, {8000, 8002}, {65535, 65535}}
	for port, want := range map[uint16]bool{
		0: false, 79: false, 80: true, 81: false, 7999: false, 8000: true, 8001: true, 8002: true, 8003: false, 65534: false, 65535: true,
	} {
		if got := Contains(rs, port); got != want {
			t.Errorf("port %d: %v, want %v", port, got, want)
		}
	}
	if Contains(nil, 80) {
		t.Error("no range contains a port")
	}
}

// TestHostSpecOnTheWire: the controller hands the spec to other processes, by
// these names, and what a host has not is not there.
func TestHostSpecOnTheWire(t *testing.T) {
	plain := HostSpec{Name: "task app-1", IP: netip.MustParseAddr("10.0.0.7"), Subnet: netip.MustParsePrefix("10.0.0.0/24")}
	raw, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"name":"task app-1","ip":"10.0.0.7","subnet":"10.0.0.0/24"}`; string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	full := plain
	full.IP6, full.Delay, full.Unaware = netip.MustParseAddr("2600:1::7"), 3*time.Millisecond, true
	full.VIPs = map[string]netip.Addr{"app.ns": netip.MustParseAddr("127.255.0.1")}
	if raw, err = json.Marshal(full); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"ip6":"2600:1::7"`, `"delay":3000000`, `"unaware":true`, `"vips":{"app.ns":"127.255.0.1"}`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s lacks %s", raw, want)
		}
	}
}
