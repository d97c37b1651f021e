package plan_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

func endpoints(t *testing.T) plan.Plan {
	t.Helper()
	p := mustNew(t, plan.ProfileStandard)
	p.ForEndpoints()
	arm := func(name, url string, proof ...plan.HeaderProof) plan.Arm {
		return plan.Arm{Name: name, Weight: 1, Path: []string{"client", name}, Expect: plan.Expect{Status: 200},
			Endpoint: &plan.Endpoint{URL: url, Proof: proof}}
	}
	p.SetEndpoints([]plan.Arm{
		arm("old", "http://a.example/", plan.HeaderProof{Name: "Server", Want: plan.WantValue, Value: "nginx"}, plan.HeaderProof{Name: "Via", Want: plan.WantAbsent}),
		arm("new", "https://b.example/", plan.HeaderProof{Name: "Server", Want: plan.WantPresent}, plan.HeaderProof{Name: "Via", Want: plan.WantPresent}),
	}, true)
	return p
}

func TestPlanForEndpoints(t *testing.T) {
	p := endpoints(t)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if p.Arms[2].TwinOf != "new" || p.Arms[2].Endpoint.URL != p.Arms[1].Endpoint.URL {
		t.Errorf("the twin is %+v; want one of the last arm, at its address", p.Arms[2])
	}
	want := []samplefile.Watched{{Name: "Server"}, {Name: "Via", Presence: true}}
	if got := p.Watch(); !reflect.DeepEqual(got, want) {
		t.Errorf("watched: %v; want %v", got, want)
	}
	if s := p.Sees(plan.Machine{}); len(s) > 0 {
		for _, v := range s {
			if !v.MayClaim {
				t.Errorf("the standard profile may not claim %v", v.Quantile)
			}
		}
	}
}

func TestPlansForEndpointsThatAreRefused(t *testing.T) {
	for want, spoil := range map[string]func(*plan.Plan){
		"has no address":               func(p *plan.Plan) { p.Arms[0].Endpoint = nil },
		"http or https URL":            func(p *plan.Plan) { p.Arms[0].Endpoint.URL = "ftp://x/" },
		"holds a password":             func(p *plan.Plan) { p.Arms[0].Endpoint.URL = "http://u:p@x/" },
		"never sent":                   func(p *plan.Plan) { p.Arms[0].Endpoint.URL = "http://x/#y" },
		"server name without TLS":      func(p *plan.Plan) { p.Arms[0].Endpoint.ServerName = "x" },
		"an address and a port":        func(p *plan.Plan) { p.Arms[0].Endpoint.Connect = "10.0.0.1" },
		"not ending in -twin":          func(p *plan.Plan) { p.Arms[0].Name = "x-twin" },
		"native":                       func(p *plan.Plan) { p.Client = "http" },
		"expected 2 to 6":              func(p *plan.Plan) { p.Arms = append(many(p.Arms[0], 5), p.Arms[1:]...) },
		"one load generator":           func(p *plan.Plan) { p.Generators = 2 },
		"not hoplab's to place":        func(p *plan.Plan) { p.OneCore = true },
		"endpoints have their own":     func(p *plan.Plan) { p.Agent = plan.AgentLab },
		"an address of its own":        func(p *plan.Plan) { p.ForAWS() },
		"restart or alike":             func(p *plan.Plan) { p.ForAWS(); p.Restart = "x" },
		"at most 8":                    func(p *plan.Plan) { p.Arms[0].Endpoint.Proof = nine() },
		"the body has 65537 bytes":     func(p *plan.Plan) { p.Request = &samplefile.Request{Body: strings.Repeat("x", plan.MaxSentBody+1)} },
		"endpoints are compared with ": func(p *plan.Plan) { p.Design = plan.DesignBlocks },
	} {
		p := endpoints(t)
		spoil(&p)
		if err := p.Validate(); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want a usage error with %q", err, want)
		}
	}
}

func many(a plan.Arm, n int) (out []plan.Arm) {
	for i := range n {
		a.Name = "x" + string(rune('0'+i))
		out = append(out, a)
	}
	return append(out, endpointsArm("old"))
}

func endpointsArm(name string) plan.Arm {
	return plan.Arm{Name: name, Weight: 1, Endpoint: &plan.Endpoint{URL: "http://x/"}}
}

func nine() (out []plan.HeaderProof) {
	for i := range 9 {
		out = append(out, plan.HeaderProof{Name: "X-" + string(rune('A'+i)), Want: plan.WantPresent})
	}
	return out
}

func TestProofsThatExcludeEachOther(t *testing.T) {
	value := func(v string) plan.HeaderProof { return plan.HeaderProof{Name: "Via", Want: plan.WantValue, Value: v} }
	there, absent := plan.HeaderProof{Name: "Via", Want: plan.WantPresent}, plan.HeaderProof{Name: "Via", Want: plan.WantAbsent}
	for _, c := range []struct {
		a, b plan.HeaderProof
		want bool
	}{
		{value("a"), value("b"), true}, {value("a"), value("a"), false}, {value("a"), there, false},
		{value("a"), absent, true}, {there, absent, true}, {there, there, false}, {absent, absent, false},
	} {
		if c.a.Excludes(c.b) != c.want || c.b.Excludes(c.a) != c.want {
			t.Errorf("%v and %v: want %v", c.a, c.b, c.want)
		}
		for _, said := range []samplefile.SeenHeader{{Value: "a", There: true}, {Value: "b", There: true}, {}} {
			if c.want && c.a.Holds(said) && c.b.Holds(said) {
				t.Errorf("%v and %v exclude each other, and both hold for %+v", c.a, c.b, said)
			}
		}
	}
}
