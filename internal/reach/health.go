package reach

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// Defaults of a health check for target type ip (section 6 of the semantics).
const (
	checkPath     = "/"
	checkInterval = 30
	checkTimeout  = 5
	checkUp       = 5
	checkDown     = 2
	checkMatcher  = "200"

	// A TCP check waits 10 s.
	// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
	checkTCPTimeout = 10
)

// CheckProtocol returns the protocol of a group's health check: HTTP, or TCP
// for the groups of a network load balancer, unless it says otherwise.
func CheckProtocol(g *topology.TargetGroup) topology.Opt[string] {
	if !g.Health.Protocol.IsAbsent() {
		return g.Health.Protocol
	}
	if g.Protocol.IsUnknown() {
		return topology.Unknown[string](g.Protocol.Why())
	}
	switch g.Protocol.Or("HTTP") {
	case "HTTP", "HTTPS":
		return topology.Known("HTTP")
	}
	return topology.Known("TCP")
}

// CheckTimeout returns how many seconds the check waits for an answer.
func CheckTimeout(g *topology.TargetGroup) int {
	if CheckProtocol(g).Or("HTTP") == "TCP" {
		return g.Health.TimeoutSeconds.Or(checkTCPTimeout)
	}
	return g.Health.TimeoutSeconds.Or(checkTimeout)
}

// CheckPort returns where the probe of a target goes: its registered port, or the group's own setting.
func CheckPort(g *topology.TargetGroup, r topology.Registration) topology.Opt[int] {
	s := g.Health.Port
	if s.IsUnknown() {
		return topology.Unknown[int](s.Why())
	}
	text := s.Or("traffic-port")
	if text == "traffic-port" {
		return r.Port
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return topology.Unknown[int](fmt.Sprintf("health check port %q is neither traffic-port nor a port", text))
	}
	return topology.Known(n)
}

// health predicts the health check of one registration, once.
func (p *Predictor) health(lb *topology.LoadBalancer, g *topology.TargetGroup, r topology.Registration) *Prediction {
	k := checkKey{tg: g.ID, target: r.Target, port: r.Port.Or(0)}
	if r.Service != nil {
		k.service = r.Service.ID
	}
	if pr, ok := p.checks[k]; ok {
		return pr
	}
	pr := p.probe(lb, g, r)
	p.checks[k] = &pr
	return &pr
}

func (p *Predictor) probe(lb *topology.LoadBalancer, g *topology.TargetGroup, r topology.Registration) Prediction {
	who, whoID := p.targetName(r)
	path := g.Health.Path.Or(checkPath)
	c := Caller{Kind: CallerHealth, Name: "health check of " + topology.Label(g.Origin, g.Name)}
	at := CheckPort(g, r)
	tr := p.begin(fmt.Sprintf("health/%s/%s:%d", g.ID, whoID, r.Port.Or(0)), KindHealth, c, "",
		fmt.Sprintf("health check of %s on %s", topology.Label(g.Origin, g.Name), who))
	tr.pr.TargetGroup = g.ID
	t := &TargetState{TargetGroup: g.ID, Port: r.Port.Or(0), CheckPort: at.Or(0), State: StateUnknown}
	if r.Service != nil && p.x.onNodes(r.Service) { // the ports are the instance's
		ports, _ := p.x.nodePorts(r.Service, r.Port)
		probed, _ := p.x.nodePorts(r.Service, at)
		t.Port, t.CheckPort = ports.from, probed.from
	}
	tr.pr.Target = t
	if r.Service != nil {
		t.Service, tr.pr.Service = r.Service.ID, r.Service.ID
	}
	if lb != nil {
		tr.pr.LoadBalancer = lb.ID
	}
	proto := CheckProtocol(g).Or("HTTP")
	if proto == "TCP" {
		path = ""
	}
	tr.pr.URL = strings.ToLower(proto) + "://" + who + ":" + checkedPort(p, r, at) + path
	if isFunction(g) {
		return tr.unknown(notFunction)
	}
	if final, done := p.unprobed(tr, t, lb, g, r); done {
		return final
	}
	if o := CheckProtocol(g); o.IsUnknown() {
		return tr.unknown("the health check's protocol is not settled: " + o.Why())
	}
	if g.Health.Path.IsUnknown() && proto != "TCP" {
		return tr.unknown("the health check's path is not settled: " + g.Health.Path.Why())
	}
	sg, a, why := p.dialTarget(tr, lb, g, r, at, proto == "HTTPS")
	if why != "" {
		return tr.unknown(why)
	}
	o := p.judge(tr, t, g, sg, a, path)
	return tr.end(o)
}

// checkedPort writes the port that a probe dials.
func checkedPort(p *Predictor, r topology.Registration, at topology.Opt[int]) string {
	if r.Service != nil && p.x.onNodes(r.Service) {
		if ports, why := p.x.nodePorts(r.Service, at); why == "" {
			return ports.String()
		}
		return "?"
	}
	return PortText(at)
}

// unprobed handles the cases in which no probe is sent.
func (p *Predictor) unprobed(tr *trace, t *TargetState, lb *topology.LoadBalancer, g *topology.TargetGroup,
	r topology.Registration) (Prediction, bool) {
	none := func(why string) (Prediction, bool) {
		return tr.end(Outcome{Class: NoTraffic, By: "alb", Why: why, Basis: semantics.Section(6)}), true
	}
	if r.Service != nil {
		if o := p.deployOutcome(r.Service); o != nil {
			tr.pr.Target = nil
			return tr.end(*o), true
		}
		if has, _ := running(r.Service); !has {
			tr.pr.Target = nil
			return none("the service has a desired count of 0: no target is registered")
		}
	}
	if g.Health.Enabled.IsUnknown() {
		return tr.unknown("whether health checks are enabled is not settled: " + g.Health.Enabled.Why()), true
	}
	if !g.Health.Enabled.Or(true) {
		t.State, t.Reason = StateUnavailable, ReasonDisabled
		return none("health checks of the target group are disabled")
	}
	if why := p.x.Forwards(g.ID).Why(); lb == nil && why != "" {
		return tr.unknown("whether a listener forwards to the target group is not settled: " + why), true
	}
	if lb == nil {
		t.State, t.Reason = StateUnused, ReasonNotInUse
		return none("no listener forwards to the target group")
	}
	return Prediction{}, false
}

// judge turns what happened to the probe into the target's state.
func (p *Predictor) judge(tr *trace, t *TargetState, g *topology.TargetGroup, sg verdict, a Delivery, path string) Outcome {
	bad := func(reason, why string, code int) Outcome {
		t.State, t.Reason, t.Code = StateUnhealthy, reason, code
		o := Outcome{Class: Timeout, Status: code, By: "alb", Why: why, Basis: semantics.Section(6, 7), After: downTime(g), TimeKnown: true}
		switch {
		case code != 0:
			o.Class = ClassOf(code)
		case reason == ReasonFailed:
			o.Class = Reset
		}
		return o
	}
	if sg.state == HopClosed {
		return bad(ReasonTimeout, sg.why+"; the probe is dropped and the app's log shows no line", 0)
	}
	if CheckProtocol(g).Or("HTTP") == "TCP" && a.Kind != DeliveryRefused {
		t.State = StateHealthy
		return Outcome{
			Class: OK, By: "app", Basis: semantics.Section(6), Why: "the connection is accepted, which is all that a TCP check asks",
		}
	}
	switch a.Kind {
	case DeliveryRefused:
		o := bad(ReasonFailed, a.Why, 0)
		o.Class, o.Inferred = Refused, true
		return o
	case DeliveryWantsTLS, DeliveryWantsPlain:
		o := bad(ReasonFailed, a.Why, 0)
		o.Inferred = true
		return o
	case DeliveryAgentRefused:
		if a.Agent.HTTP() {
			o := bad(ReasonMismatch, a.Why+"; its 503 is no healthy code", 503)
			o.Inferred = true
			return o
		}
		o := bad(ReasonFailed, a.Why, 0)
		o.Inferred = true
		return o
	}
	delay := a.App.Delay
	if slices.Contains(a.App.Prompt, path) {
		delay = 0
	}
	if a.Agent != nil && a.Agent.HTTP() && delay > 0 {
		if r, ok := RequestTimeout(a.Agent).Get(); !ok || r > 0 && delay > seconds(r) && r < g.Health.TimeoutSeconds.Or(checkTimeout) {
			return Outcome{Class: Unknown, Basis: semantics.Section(12),
				Why: "the app is slower than the endpoint's request timeout, and whether the agent applies that to what comes from outside is not documented"}
		}
	}
	if limit := g.Health.TimeoutSeconds.Or(checkTimeout); delay > seconds(limit) {
		return bad(ReasonTimeout, fmt.Sprintf("the app takes longer than the check's timeout of %d s", limit), 0)
	}
	return p.match(tr, t, g, a, path, bad)
}

// match compares the app's answer with the group's matcher.
func (p *Predictor) match(tr *trace, t *TargetState, g *topology.TargetGroup, a Delivery, path string,
	bad func(string, string, int) Outcome) Outcome {
	if g.Health.Matcher.IsUnknown() {
		return Outcome{Class: Unknown, Why: "the matcher is not settled: " + g.Health.Matcher.Why()}
	}
	if g.ProtocolVersion.Or("HTTP1") == "GRPC" {
		tr.pr.Assumes = append(tr.pr.Assumes, "the app answers the gRPC check as the matcher wants")
		t.State = StateHealthy
		return Outcome{Class: OK, By: "app", Why: "the app answers the gRPC check", Basis: semantics.Section(6)}
	}
	matcher := g.Health.Matcher.Or(checkMatcher)
	codes, err := parseMatcher(matcher)
	if err != nil {
		return Outcome{Class: Unknown, Why: err.Error()}
	}
	bare, _, _ := strings.Cut(path, "?")
	status, known := a.App.status(bare)
	if !known {
		status = codes[0].from
		tr.pr.Assumes = append(tr.pr.Assumes, fmt.Sprintf("the app answers GET %s with a code in %s", path, matcher))
	}
	if Matches(matcher, status) {
		t.State = StateHealthy
		return Outcome{Class: ClassOf(status), Status: status, By: "app", TimeKnown: true, Basis: semantics.Section(6),
			Why: "the app answers the probe; one success makes a new target healthy"}
	}
	return bad(ReasonMismatch, fmt.Sprintf("the app answers %d, and the matcher wants %s", status, matcher), status)
}

// downTime is how long a target takes to be called unhealthy at the least: the
// threshold's number of probes, one interval apart.
func downTime(g *topology.TargetGroup) time.Duration {
	n, every := g.Health.UnhealthyThreshold.Or(checkDown), g.Health.IntervalSeconds.Or(checkInterval)
	return seconds((n - 1) * every)
}

type codeRange struct{ from, to int }

// parseMatcher reads "200", "200,302" or "200-299".
func parseMatcher(s string) ([]codeRange, error) {
	var out []codeRange
	for _, part := range strings.Split(s, ",") {
		lo, hi, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			hi = lo
		}
		a, err1 := strconv.Atoi(lo)
		b, err2 := strconv.Atoi(hi)
		if err1 != nil || err2 != nil || a > b {
			return nil, fmt.Errorf("the matcher %q is no list of codes", s)
		}
		out = append(out, codeRange{a, b})
	}
	return out, nil
}

func (p *Predictor) targetName(r topology.Registration) (name, id string) {
	switch {
	case r.Service != nil:
		return topology.Label(r.Service.Origin, r.Service.Name), string(r.Service.ID)
	case !r.Target.Instance.IsAbsent():
		iid, ok := r.Target.Instance.Get()
		if !ok {
			return "a target that is not settled", "unknown"
		}
		if i := p.x.Instance(iid); i != nil {
			return topology.Label(i.Origin, i.Name), string(iid)
		}
		return topology.OriginLabel(topology.Origin{ID: iid}), string(iid)
	}
	ip := r.Target.IP.Or("unknown")
	return ip, ip
}

// Matches reports whether a health check's matcher ("200", "200,302",
// "200-299") accepts the status; a matcher that cannot be read accepts none.
func Matches(matcher string, status int) bool {
	codes, err := parseMatcher(matcher)
	if err != nil {
		return false
	}
	for _, c := range codes {
		if c.from <= status && status <= c.to {
			return true
		}
	}
	return false
}
