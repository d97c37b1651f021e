package live

import (
	"reflect"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/relay"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// TestTold: a hop has what it told, what the hops beside it got and sent where it
// tells nothing, and why it has no log.
func TestTold(t *testing.T) {
	f := topologytest.Healthy()
	client, server := string(f.Client.ID), string(f.Server.ID)
	counted := func(n int64) []page.Hop {
		return []page.Hop{{Host: client, Part: "client agent", N: 1}, {Host: "Alb", Part: "alb", N: n}, {Host: server, Part: "app", N: 1}}
	}
	kept := []lab.TracedHop{
		{Host: f.Client.ID, Part: "client agent", Log: []string{"a line"}},
		{Host: f.Server.ID, Part: "agent", Log: []string{"of a hop that did not count it"}},
		{Host: "Alb", Part: "alb", Heads: &relay.Heads{RequestIn: "GET /\r\na: 1\r\n", RequestOut: "GET /\r\na: 2\r\n",
			ResponseIn: "200\r\nb: 1\r\n", ResponseOut: "200\r\nb: 2\r\n"}},
	}
	got := counted(1)
	told(got, kept, f.Topology)
	in, out := []string{"GET /", "a: 1"}, []string{"GET /", "a: 2"}
	back, answer := []string{"200", "b: 1"}, []string{"200", "b: 2"}
	want := counted(1)
	want[0].Log, want[0].Heads = []string{"a line"}, page.Heads{RequestOut: in, ResponseIn: answer}
	want[1].NoLog = "the lab's load balancer writes none"
	want[1].Heads = page.Heads{RequestIn: in, RequestOut: out, ResponseIn: back, ResponseOut: answer}
	want[2].NoLog, want[2].Heads = "no line of it names this request", page.Heads{RequestIn: out, ResponseOut: back}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	// Another request passed the load balancer: perhaps it alone is what the app counted.
	got = counted(2)
	told(got, kept, f.Topology)
	if !reflect.DeepEqual(got[0].Heads, page.Heads{}) || got[1].Heads.RequestIn == nil {
		t.Errorf("among other requests: %+v", got)
	}
	told(nil, kept, f.Topology)
	f.Server.Connect.HasLog = false
	got = []page.Hop{{Host: server, Part: "agent", N: 1}}
	told(got, nil, f.Topology)
	if got[0].NoLog != "its service configures none" {
		t.Errorf("%+v", got)
	}
}
