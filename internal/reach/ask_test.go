package reach

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

func TestAsk(t *testing.T) {
	f := topologytest.Healthy()
	other := *f.TargetGroup
	other.Origin = topologytest.Origin("Other", "AWS::ElasticLoadBalancingV2::TargetGroup")
	f.TargetGroups = append(f.TargetGroups, &other)
	f.Listener.Rules = []*topology.ListenerRule{
		{Priority: topology.Known(1),
			Conditions: []topology.Condition{{Field: "path-pattern", Values: []topology.Opt[string]{topology.Known("/api/*")}}},
			Actions:    []topology.Action{{Type: "forward", Forward: []topology.WeightedTarget{{Group: topology.Known(other.ID), Weight: 1}}}}},
		{Priority: topology.Known(2), Conditions: []topology.Condition{
			{Field: "host-header", Values: []topology.Opt[string]{topology.Known("*.example.com")}},
			{Field: "path-pattern", Values: []topology.Opt[string]{topology.Known("/old?")}}},
			Actions: []topology.Action{{Type: "redirect",
				Redirect: &topology.Redirect{Path: "/new/#{path}", Protocol: "HTTPS", Port: "443", Status: "HTTP_301"}}}},
		{Priority: topology.Known(3),
			Conditions: []topology.Condition{{Field: "source-ip", Values: []topology.Opt[string]{topology.Known("10.9.0.0/16")}},
				{Field: "path-pattern", Values: []topology.Opt[string]{topology.Known("/who")}}},
			Actions: []topology.Action{{Type: "fixed-response", Fixed: &topology.FixedResponse{Status: "403"}}}},
	}
	p, err := New(f.Topology, Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := serviceCaller(f.Client)
	lambda := Caller{Kind: CallerLambda, Name: "fn", Groups: []topology.ID{f.ClientGroup.ID}}
	for _, tc := range []struct {
		who  Caller
		url  string
		want string
	}{
		{client, "http://app.sample-namespace/", "client → agent → agent → app | ok 200"},
		{client, "http://app.sample-namespace:80/x?y", "client → agent → agent → app | ok 200"},
		{client, "http://app.sample-namespace:8080/", "client → agent | reset | curl: (56) Recv failure: Connection reset by peer"},
		{client, "http://app.sample-namespace:1234/", "client → agent | reset | curl: (56) Recv failure: Connection reset by peer"},
		{client, "http://nobody.sample-namespace/", "client | no-name | curl: (6) Could not resolve host: nobody.sample-namespace"},
		{lambda, "http://app.sample-namespace/", "client | no-name | curl: (6) Could not resolve host: app.sample-namespace"},
		{client, "http://Alb/", "client → alb → app | ok 200"},
		{client, "http://alb:80/api/v1", `client → alb | http-error 503 "503 Service Temporarily Unavailable"`},
		{client, "http://www.example.com/old1", "client → alb | ok 301"},
		{client, "http://www.example.com/older", "client → alb → app | ok 200"},
		{client, "http://Alb/who", "client | unknown"},
		{client, "http://Alb:81/", "client | timeout | curl: (28) Failed to connect to Alb port 81"},
		{client, "http://app-service:8080/", "client → agent → app | ok 200"},
		{lambda, "http://app-service:80/", "client | timeout | curl: (28) Failed to connect to app-service port 80"},
	} {
		got, err := p.Ask(tc.who, tc.url)
		if err != nil || len(got) != 1 {
			t.Errorf("%s %s: %v, %d predictions", tc.who.Name, tc.url, err, len(got))
			continue
		}
		if l := line(&got[0]); l != tc.want {
			t.Errorf("%s %s:\n got %s\nwant %s\n(%s)", tc.who.Name, tc.url, l, tc.want, got[0].Outcome.Why)
		}
		if tc.url == "http://www.example.com/old1" && got[0].Outcome.Location != "https://www.example.com:443/new/old1" {
			t.Errorf("redirected to %s", got[0].Outcome.Location)
		}
	}
	for _, bad := range []string{"", "app", "ftp://app/", "http://:80/", "http://app:0/", "http://app:99999/", "https://Alb:80/"} {
		if _, err := p.Ask(client, bad); err == nil {
			t.Errorf("%q is not refused", bad)
		}
	}
	if _, err := p.Ask(Caller{Kind: CallerService, Service: "nope"}, "http://app/"); err == nil {
		t.Error("an unknown service is not refused")
	}
}

func TestWildcard(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"*", "/a/b", true}, {"/a*", "/abc", true}, {"/a?", "/a", false}, {"/a?", "/ab", true},
		{"*.jpg", "/x/y.jpg", true}, {"*.jpg", "/x/y.jpeg", false}, {"/*/z", "/a/b/z", true}, {"a*a", "a", false}, {"a*a", "aa", true},
		{"*ab*ab*", "abab", true}, {"*ab*ab*", "aba", false}, {"?*?", "x", false}, {"**", "", true}, {"/A", "/a", false},
	} {
		if got := Wildcard(tc.pattern, tc.s); got != tc.want {
			t.Errorf("Wildcard(%q, %q) = %v", tc.pattern, tc.s, got)
		}
	}
}

// TestWildcardAsRegexp compares with regular expressions on short random texts
// over few letters, in which every way of going wrong is met often.
func TestWildcardAsRegexp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(letters string, n int) string {
		b := make([]byte, r.IntN(n+1))
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	matched := 0
	for range 20000 {
		pattern, s := text("ab*?/", 7), text("ab/", 9)
		want := regexp.MustCompile("^" + strings.NewReplacer("*", ".*", "?", ".").Replace(pattern) + "$").MatchString(s)
		if want {
			matched++
		}
		if got := Wildcard(pattern, s); got != want {
			t.Fatalf("Wildcard(%q, %q) = %v", pattern, s, got)
		}
	}
	if matched < 1000 {
		t.Errorf("only %d of the texts match", matched)
	}
}
