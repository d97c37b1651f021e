package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/loopback"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

func open(s fabric.NetSpec) (fabric.Net, error) {
	if s.Fabric != "loopback" {
		return nil, fmt.Errorf("no fabric %q", s.Fabric)
	}
	return loopback.NewNet(s.Config)
}

// run starts a node in this process and returns a client and what ends with it.
func run(t *testing.T, event func(json.RawMessage)) (*Client, <-chan int) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- Main(inR, outW, io.Discard, open)
		outW.Close()
	}()
	c := NewClient("node", inW, outR, event)
	t.Cleanup(func() { c.Close() })
	return c, exit
}

func spec(t *testing.T) fabric.NetSpec {
	raw, err := json.Marshal(loopback.View{IP: netip.MustParseAddr("10.0.0.1"), Real: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	return fabric.NetSpec{Fabric: "loopback", Config: raw}
}

func TestLife(t *testing.T) {
	c, exit := run(t, nil)
	if err := c.Call(OpStatus, nil, nil); err == nil || !strings.Contains(err.Error(), "start comes first") {
		t.Errorf("status before start: %v", err)
	}
	start := Start{Net: spec(t), Agent: &agent.Config{Task: "t", Ingress: []agent.Ingress{{Discovery: "app", Protocol: agent.HTTP, App: 80}}}}
	var b agent.Bound
	if err := c.Call(OpStart, start, &b); err != nil || len(b.Ingress) != 1 || !b.Ingress[0].IsValid() {
		t.Fatalf("start: %+v %v", b, err)
	}
	if err := c.Call(OpStart, start, nil); err == nil {
		t.Error("a second start was taken")
	}
	var st agent.Status
	if err := c.Call(OpStatus, nil, &st); err != nil || len(st.Ingress) != 1 || st.Ingress[0].Discovery != "app" {
		t.Errorf("status: %+v %v", st, err)
	}
	heads := []relay.Heads{{}}
	if err := errors.Join(c.Call(OpWatch, "id", nil), c.Call(OpFlush, nil, nil), c.Call(OpHeads, "id", &heads)); err != nil || len(heads) > 0 {
		t.Errorf("heads of no request: %+v %v", heads, err)
	}
	if err := c.Call(OpWatch, 1, nil); err == nil {
		t.Error("a request was watched for that has no id")
	}
	if err := c.Call("dance", nil, nil); err == nil || !strings.Contains(err.Error(), "unknown operation") {
		t.Errorf("an unknown operation: %v", err)
	}
	c.Close()
	select {
	case code := <-exit:
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the node does not end with its input")
	}
	<-c.Ended()
	if err := c.Call(OpStatus, nil, nil); err == nil {
		t.Error("a call to a node that has ended")
	}
}

func TestEvents(t *testing.T) {
	events := make(chan alb.HealthChange, 10)
	c, _ := run(t, func(raw json.RawMessage) {
		var h alb.HealthChange
		if err := json.Unmarshal(raw, &h); err != nil {
			t.Error(err)
		}
		events <- h
	})
	cfg := alb.Config{Scale: 100,
		Listeners: []alb.Listener{{Port: 80, Protocol: "HTTP",
			Default: []alb.Action{{Type: "forward", Forward: []alb.Weighted{{Group: "g", Weight: 1}}}}}},
		Groups: []alb.Group{{ID: "g", Health: alb.Health{Enabled: true}.WithDefaults("HTTP1")}}}
	if err := c.Call(OpStart, Start{Net: spec(t), ALB: &cfg}, nil); err != nil {
		t.Fatal(err)
	}
	target := netip.MustParseAddrPort("10.0.0.2:80") // no such host
	if err := c.Call(OpUpdate, alb.Update{Targets: map[string][]netip.AddrPort{"g": {target}}}, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case h := <-events:
		if h.Address != target.String() || h.State != alb.Unhealthy || h.Reason != alb.ReasonTimeout {
			t.Errorf("got %+v", h)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no event")
	}
}

func TestBadStarts(t *testing.T) {
	for name, s := range map[string]Start{
		"nothing":        {Net: spec(t)},
		"two things":     {Net: spec(t), ALB: &alb.Config{}, Agent: &agent.Config{}},
		"unknown fabric": {Net: fabric.NetSpec{Fabric: "ether"}, ALB: &alb.Config{}},
		"bad protocol":   {Net: spec(t), Agent: &agent.Config{Ingress: []agent.Ingress{{Protocol: "smtp", App: 25}}}},
	} {
		c, _ := run(t, nil)
		if err := c.Call(OpStart, s, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestGarbage(t *testing.T) {
	var errOut bytes.Buffer
	if code := Main(strings.NewReader("no JSON\n"), io.Discard, &errOut, open); code != 2 || !strings.Contains(errOut.String(), "not a request") {
		t.Errorf("exit code %d, %q", code, errOut.String())
	}
}
