package lab_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/relay"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

// TestTrace: the load balancer and both agents tell what they saw of a request,
// among others that are under way, and each agent's own log line is found.
func TestTrace(t *testing.T) { withEachAgent(t, testTrace) }

func testTrace(t *testing.T, opts lab.Options) {
	topo := labtest.Deployment(t, "agent")
	opts.Topology = topo
	l := start(t, opts)
	healthy(t, l)
	inside := lab.Caller{Service: clientID(t, topo)}
	byName, err := l.Trace(context.Background(), inside, "http://app.sample-namespace:80/?q=1")
	if err != nil {
		t.Fatal(err)
	}
	url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	if err != nil {
		t.Fatal(err)
	}
	byALB, err := l.Trace(context.Background(), lab.Caller{}, url)
	if err != nil {
		t.Fatal(err)
	}
	server := lab.TracedHop{Host: serverID(t, topo), Part: "agent"}
	client := lab.TracedHop{Host: inside.Service, Part: "client agent"}
	alb := lab.TracedHop{Host: topo.LoadBalancers[0].ID, Part: "alb"}
	for _, c := range []struct {
		name  string
		trace lab.Trace
		want  []lab.TracedHop
	}{{"by name", byName, []lab.TracedHop{client, server}}, {"by the load balancer", byALB, []lab.TracedHop{alb, server}}} {
		id := c.trace.Sent.Get("X-Request-Id")
		if c.trace.Seen.Status != 200 || len(id) != 36 || len(c.trace.Hops) != len(c.want) {
			t.Errorf("%s: %+v", c.name, c.trace)
		}
		for _, want := range c.want {
			i := slices.IndexFunc(c.trace.Hops, func(p lab.TracedHop) bool { return p.Host == want.Host && p.Part == want.Part })
			if i < 0 {
				t.Errorf("%s: no %s of %s in %+v", c.name, want.Part, want.Host, c.trace.Hops)
				continue
			}
			p := c.trace.Hops[i]
			logged := len(p.Log) == 1 && strings.Contains(p.Log[0], id) && strings.Contains(p.Log[0], `"curl/8.5.0"`)
			if logged != (want.Part != "alb") {
				t.Errorf("%s: the log of the %s has %q", c.name, want.Part, p.Log)
			}
			told := opts.Agent != lab.AgentEnvoy || want.Part == "alb"
			if told != (p.Heads != nil) || told && !complete(p.Heads, want.Part) {
				t.Errorf("%s: the %s kept %+v", c.name, want.Part, p.Heads)
			}
		}
	}
}

// complete reports whether the heads are those of a request that the app
// answered, with what the part adds to them.
func complete(h *relay.Heads, part string) bool {
	adds, answers := "\r\nx-forwarded-proto: http\r\n", "\r\nx-envoy-upstream-service-time: "
	if part == "alb" {
		adds, answers = "\r\nX-Amzn-Trace-Id: Root=", "\r\nConnection: keep-alive\r\n"
	}
	return strings.HasPrefix(h.RequestIn, "GET /") && strings.Contains(h.RequestOut, adds) &&
		strings.Contains(strings.ToLower(h.ResponseIn), "x-hoplab-app: ") && strings.Contains(h.ResponseOut, answers)
}

// TestTraceOfNothing: a request that no hop gets has no hops, and a caller
// that there is not is an error.
func TestTraceOfNothing(t *testing.T) { withEachAgent(t, testTraceOfNothing) }

func testTraceOfNothing(t *testing.T, opts lab.Options) {
	topo := labtest.Deployment(t, "agent")
	opts.Topology = topo
	l := start(t, opts)
	tr, err := l.Trace(context.Background(), lab.Caller{}, "http://nobody.test/")
	if err != nil || len(tr.Hops) != 0 || tr.Seen.Exit != 6 {
		t.Errorf("%+v %v", tr, err)
	}
	if _, err := l.Trace(context.Background(), lab.Caller{Service: "none"}, "http://a/"); err == nil {
		t.Error("a caller that does not exist")
	}
}
