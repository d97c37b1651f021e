package diagnose

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

// system is the article's template with handles on what the tests spoil.
type system struct {
	*topology.Topology
	o      Options
	tg     *topology.TargetGroup
	server *topology.Service
	alb    *topology.LoadBalancer
	albSG  *topology.SecurityGroup
	appSG  *topology.SecurityGroup
}

func article(t *testing.T, variant string) *system {
	t.Helper()
	top := cfntest.Read(t, "../source/cfn/deployment/testdata/article/"+variant+".template.json")
	s := &system{Topology: top, tg: top.TargetGroups[0], alb: top.LoadBalancers[0]}
	for _, v := range top.Services {
		if len(v.LoadBalancers) > 0 {
			s.server = v
		}
	}
	id, _ := s.alb.Groups[0].Get()
	s.albSG = topology.NewIndex(top).SecurityGroup(id)
	id, _ = s.server.Groups[0].Get()
	s.appSG = topology.NewIndex(top).SecurityGroup(id)
	return s
}

func known[T any](v T) topology.Opt[T] { return topology.Known(v) }

// keep removes the ingress or egress rules on which f is false.
func keep(rules []topology.Rule, f func(topology.Rule) bool) []topology.Rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r topology.Rule) bool { return !f(r) })
}

func (s *system) fromALB(r topology.Rule) bool { return r.Peer.Group == s.albSG.ID }

// app says how the server's app behaves.
func (s *system) app(a reach.App) {
	s.o.Reach.App = func(v *topology.Service) reach.App {
		if v == s.server {
			return a
		}
		return reach.App{}
	}
}

// saw adds live evidence of the server.
func (s *system) saw(e Evidence) {
	e.TargetGroup, e.Service, e.From = s.tg.ID, s.server.ID, "test"
	s.o.Evidence = append(s.o.Evidence, e)
}

func cidr(v string) topology.Peer { return topology.Peer{CIDR: netip.MustParsePrefix(v)} }

func ptr[T any](v T) *T { return &v }

// fault is one thing to spoil, and the line of the checklist that must name it.
type fault struct {
	spoil func(*system)
	want  string
	mode  string // the article's variant; override-open when empty
}

var faults = map[string]fault{
	"egress-none": {want: Egress, spoil: func(s *system) { s.albSG.Egress = nil }},
	"egress-port": {want: Egress, spoil: func(s *system) {
		s.albSG.Egress = []topology.Rule{{Protocol: "tcp", From: 443, To: 443, Peer: cidr("0.0.0.0/0")}}
	}},
	"egress-peer": {want: Egress, spoil: func(s *system) {
		s.albSG.Egress = []topology.Rule{{Protocol: "tcp", From: 80, To: 80, Peer: cidr("192.168.0.0/16")}}
	}},
	"egress-udp": {want: Egress, spoil: func(s *system) {
		s.albSG.Egress = []topology.Rule{{Protocol: "udp", From: 0, To: 65535, Peer: cidr("0.0.0.0/0")}}
	}},
	"ingress-none": {want: Ingress, spoil: func(s *system) {
		s.appSG.Ingress = keep(s.appSG.Ingress, func(r topology.Rule) bool { return !s.fromALB(r) })
	}},
	"ingress-port": {want: Ingress, spoil: func(s *system) {
		for i, r := range s.appSG.Ingress {
			if s.fromALB(r) {
				s.appSG.Ingress[i].From, s.appSG.Ingress[i].To = 8080, 8080
			}
		}
	}},
	"check-port":     {want: Port, spoil: func(s *system) { openAll(s); s.tg.Health.Port = known("9000") }},
	"never-deployed": {want: Process, spoil: func(s *system) { s.server.Connect.Endpoints[0].IngressPortOverride = known(80) }},
	"no-tasks":       {want: Process, spoil: func(s *system) { s.server.DesiredCount = known(0) }},
	"process-dead": {want: Process, spoil: func(s *system) {
		s.saw(Evidence{State: reach.StateUnhealthy, Reason: reach.ReasonFailed, Running: ptr(false)})
	}},
	"loopback-only": {want: Listening, spoil: func(s *system) { s.app(reach.App{Bind: reach.BindLoopback}) }},
	"other-port": {want: Listening, spoil: func(s *system) {
		s.saw(Evidence{State: reach.StateUnhealthy, Reason: reach.ReasonFailed, Listening: []Listener{{"", 3000}}})
	}},
	"nothing-listens": {want: Listening, spoil: func(s *system) { s.saw(Evidence{State: reach.StateUnhealthy, Listening: []Listener{}}) }},
	"interface-only":  {want: Listening, mode: "default", spoil: func(s *system) { s.app(reach.App{Bind: reach.BindInterface}) }},
	"behind-the-agent": {want: Listening, mode: "default",
		spoil: func(s *system) { s.saw(Evidence{State: reach.StateUnhealthy, Listening: []Listener{{"10.0.1.7", 80}}}) }},
	"tls-agent":   {want: Protocol, mode: "default", spoil: func(s *system) { s.server.Connect.Endpoints[0].TLS = topology.Known(true) }},
	"https-check": {want: Protocol, mode: "default", spoil: func(s *system) { s.tg.Health.Protocol = known("HTTPS") }},
	"path-404": {want: Path,
		spoil: func(s *system) { s.saw(Evidence{State: reach.StateUnhealthy, Reason: reach.ReasonMismatch, Code: 404}) }},
	"path-redirects": {want: Path, spoil: func(s *system) { s.app(reach.App{Paths: map[string]int{"/": 302}}) }},
	"matcher":        {want: Path, spoil: func(s *system) { s.tg.Health.Matcher = known("204"); s.app(reach.App{Status: 200}) }},
	"slow":           {want: Time, spoil: func(s *system) { s.app(reach.App{Status: 200, Delay: 6 * time.Second}) }},
	"unused": {want: InUse, spoil: func(s *system) {
		s.alb.Listeners[0].Default = []topology.Action{{Type: "fixed-response", Fixed: &topology.FixedResponse{Status: "200"}}}
	}},
	"checks-off": {want: InUse, spoil: func(s *system) { s.tg.Health.Enabled = known(false) }},
}

// openAll lets everything pass between load balancer and target.
func openAll(s *system) {
	all := topology.Rule{Protocol: "-1", Peer: cidr("0.0.0.0/0")}
	s.albSG.Egress, s.appSG.Ingress = []topology.Rule{all}, []topology.Rule{all}
}

func examine(t *testing.T, s *system) Diagnosis {
	t.Helper()
	ds, err := Diagnose(s.Topology, s.o)
	if err != nil {
		t.Fatal(err)
	}
	if len(ds) != 1 {
		t.Fatalf("%d diagnoses, want 1", len(ds))
	}
	return ds[0]
}

func TestSingleFaults(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			s := article(t, orElse(f.mode, "override-open"))
			f.spoil(s)
			d := examine(t, s)
			if d.Lines[0].Check != f.want || d.Lines[0].Status != Fault {
				t.Errorf("the first line is %s (%s), want the fault %s: %v", d.Lines[0].Check, d.Lines[0].Status, f.want, d.Lines[0].Evidence)
			}
			if n := len(d.Faults()); n != 1 {
				t.Errorf("%d faults, want only %s: %+v", n, f.want, d.Faults())
			}
			if d.Lines[0].Fix == "" || len(d.Lines[0].Evidence) == 0 || d.Conclusion != d.Lines[0].Evidence[0] {
				t.Errorf("the fault lacks a fix or evidence, or the conclusion is another: %+v, %q", d.Lines[0], d.Conclusion)
			}
		})
	}
}

func TestDoubleFaults(t *testing.T) {
	for _, pair := range [][2]string{
		{"egress-none", "ingress-none"},
		{"egress-none", "path-404"},
		{"egress-port", "matcher"},
		{"ingress-none", "loopback-only"},
		{"ingress-port", "process-dead"},
		{"check-port", "path-redirects"},
		{"tls-agent", "ingress-none"},
		{"unused", "process-dead"},
		{"no-tasks", "ingress-none"},
		{"other-port", "slow"},
	} {
		a, b := faults[pair[0]], faults[pair[1]]
		t.Run(pair[0]+"+"+pair[1], func(t *testing.T) {
			s := article(t, orElse(a.mode, orElse(b.mode, "override-open")))
			a.spoil(s)
			b.spoil(s)
			d := examine(t, s)
			got := []string{}
			for _, l := range d.Faults() {
				got = append(got, l.Check)
			}
			want := []string{a.want, b.want}
			slices.SortFunc(want, func(x, y string) int { return slices.Index(order, x) - slices.Index(order, y) })
			if !slices.Equal(got, want) {
				t.Errorf("faults %v, want %v first", got, want)
			}
		})
	}
}

func TestNothingWrong(t *testing.T) {
	for _, variant := range []string{"default", "override-open", "override-closed"} {
		d := examine(t, article(t, variant))
		if d.Conclusion != NothingWrong || len(d.Faults()) != 0 || d.State != reach.StateHealthy {
			t.Errorf("%s: %s, %s, %+v", variant, d.Conclusion, d.State, d.Faults())
		}
		if len(d.Lines) != len(order) {
			t.Errorf("%s: %d lines, want %d", variant, len(d.Lines), len(order))
		}
	}
}

func TestLiveEvidenceOfAHealthyTarget(t *testing.T) {
	s := article(t, "default")
	s.saw(Evidence{State: reach.StateHealthy, Running: ptr(true), Listening: []Listener{{"0.0.0.0", 80}}, ProbesSeen: ptr(4), Inside: 200})
	d := examine(t, s)
	if d.Conclusion != NothingWrong || !d.Observed {
		t.Errorf("%q, observed %v", d.Conclusion, d.Observed)
	}
	for _, l := range d.Lines {
		switch l.Check {
		case Process, Listening, Network, Path:
			if l.Status != OK || !l.Live {
				t.Errorf("%s is %s, live %v; want ok from the evidence", l.Check, l.Status, l.Live)
			}
		}
	}
}

// The security groups let the probe pass, and still it times out without a
// line in the app's log: only what the source does not hold is left.
func TestTimeoutThatTheSourceDoesNotExplain(t *testing.T) {
	s := article(t, "override-open")
	s.saw(Evidence{State: reach.StateUnhealthy, Reason: reach.ReasonTimeout, Running: ptr(true),
		Listening: []Listener{{"", 80}}, ProbesSeen: ptr(0)})
	d := examine(t, s)
	if d.Lines[0].Check != Network || d.Lines[0].Status != Suspect || !strings.Contains(d.Conclusion, "suspect network") {
		t.Errorf("first line %s (%s), %q; want the network as suspect", d.Lines[0].Check, d.Lines[0].Status, d.Conclusion)
	}
}

func TestImportedGroupIsNotGuessed(t *testing.T) {
	s := article(t, "override-open")
	s.server.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID]("Fn::ImportValue of another stack")}
	d := examine(t, s)
	if len(d.Faults()) != 0 || !strings.HasPrefix(d.Conclusion, "cannot tell") {
		t.Errorf("%q with faults %+v; want cannot tell", d.Conclusion, d.Faults())
	}
}

func TestNothingToDiagnose(t *testing.T) {
	if _, err := Diagnose(&topology.Topology{Name: "empty"}, Options{}); err == nil {
		t.Error("a topology without target groups is no error")
	}
	s := article(t, "default")
	if _, err := Diagnose(s.Topology, Options{TargetGroup: "nope"}); err == nil || !strings.Contains(err.Error(), "nope") {
		t.Errorf("an unknown target group: %v", err)
	}
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
