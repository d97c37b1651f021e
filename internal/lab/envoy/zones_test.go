package envoy_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/envoy"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestZones: a real Envoy keeps requests in its zone as the lab's own agent
// does (TestNearby there): from twice as many tasks as zones on, as much as the
// zone's tasks can take.
func TestZones(t *testing.T) {
	layer.Full(t, "starts Envoy")
	n := &table{real: map[netip.AddrPort]netip.AddrPort{}}
	tasks := []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"}
	zones := map[netip.Addr]string{}
	for i, at := range tasks {
		zone := string(rune('a' + i%2))
		n.task(t, zone, at)
		zones[addr(at).Addr()] = zone
	}
	alias := addr("127.255.0.1:80")
	cfg := agent.Config{Task: "t", Zone: "a", Egress: []agent.Egress{{
		Name: "app.ns", Discovery: "app", Protocol: agent.HTTP, At: alias, Timeouts: agent.DefaultTimeouts(agent.HTTP)}}}
	p, b, err := envoy.Start(cfg, n, labtest.Envoy(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	url := "http://" + b.Outbound[alias].String()
	for _, c := range []struct {
		what     string
		tasks    []string
		callers  map[string]int
		low, top float64
	}{
		{"balanced", tasks, map[string]int{"a": 1, "b": 1}, 1, 1},
		{"three tasks of two zones", tasks[:3], map[string]int{"a": 1, "b": 1}, 0.6, 0.73},
		{"one caller of three here", tasks, map[string]int{"a": 1, "b": 2}, 1, 1},
		{"two callers of three here", tasks, map[string]int{"a": 2, "b": 1}, 0.65, 0.85},
	} {
		u := hosts(c.tasks...)
		u.Zones, u.Callers = zones, c.callers
		if err := p.Update(u); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // the workers learn it after the main thread
		const requests = 300
		local := 0
		for range requests {
			status, body := fetch(http.DefaultClient, url)
			if status != 200 {
				t.Fatal(fmt.Sprint(status, body))
			}
			if body == "a" {
				local++
			}
		}
		if share := float64(local) / requests; share < c.low || share > c.top {
			t.Errorf("%s: %.2f of the requests stay in the zone, want %.2f to %.2f", c.what, share, c.low, c.top)
		}
	}
}
