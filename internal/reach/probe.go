package reach

import (
	"cmp"
	"fmt"

	"github.com/hoplab/hoplab/internal/topology"
)

// Probe is everything that decides one target's health check, each part
// answered for itself: a probe that is blocked twice shows both blocks, and
// what would happen behind them.
type Probe struct {
	Group  *topology.TargetGroup
	LB     *topology.LoadBalancer // nil when no listener forwards to the group
	Target string                 // the target's name for people
	// Service or Instance is what is registered; both nil for a bare address.
	Service  *topology.Service
	Instance *topology.Instance
	Port     topology.Opt[int] // the registered port
	// CheckPort, Path, Protocol and Matcher are the check with its defaults.
	CheckPort topology.Opt[int]
	Path      topology.Opt[string]
	Protocol  topology.Opt[string]
	Matcher   topology.Opt[string]
	// TimeoutSeconds and IntervalSeconds too.
	TimeoutSeconds, IntervalSeconds int
	// Out and In are the security groups of the load balancer and of the target.
	Out, In GroupVerdict
	// Refused lists what keeps the service from being deployed; empty when nothing does.
	Refused []string
	// Tasks is whether the service wants any task; true for an instance.
	Tasks bool
	// Answer is what would happen to a probe behind the security groups;
	// Agent is set when the server's agent takes it. Why explains Answer.
	Answer DeliveryKind
	Agent  bool
	Why    string
	// Declared is whether a container of the task declares CheckPort.
	Declared bool
	// App is what is assumed of the app.
	App App
	// Prediction is the outcome of all of it.
	Prediction Prediction
}

// GroupVerdict is what the security groups of one end say about a connection.
type GroupVerdict struct {
	State  string // HopOpen, HopClosed or HopUnknown
	Admits []Admission
	Block  *Block
	Why    string
}

// Probes returns the health check of every registered target, in the order of
// the target groups.
func (p *Predictor) Probes() []Probe {
	var out []Probe
	for _, g := range p.x.Topology.TargetGroups {
		var lb *topology.LoadBalancer
		if fs := p.x.Forwards(g.ID).Read(); len(fs) > 0 {
			lb = fs[0].LoadBalancer
		}
		for _, r := range p.x.Registrations(g.ID).Read() {
			out = append(out, p.probeFacts(lb, g, r))
		}
	}
	return out
}

func (p *Predictor) probeFacts(lb *topology.LoadBalancer, g *topology.TargetGroup, r topology.Registration) Probe {
	f := Probe{
		Group: g, LB: lb, Service: r.Service, Port: r.Port, CheckPort: CheckPort(g, r),
		Path: orDefault(g.Health.Path, checkPath), Protocol: CheckProtocol(g), Matcher: orDefault(g.Health.Matcher, checkMatcher),
		TimeoutSeconds: CheckTimeout(g), IntervalSeconds: g.Health.IntervalSeconds.Or(checkInterval),
		Tasks: true, Prediction: *p.health(lb, g, r),
	}
	f.Target, _ = p.targetName(r)
	if r.Service != nil {
		f.Tasks, _ = running(r.Service)
		f.App = p.app(r.Service)
		for _, w := range p.x.flaws(r.Service) {
			f.Refused = append(f.Refused, w.Text)
		}
	} else if id, ok := r.Target.Instance.Get(); ok {
		f.Instance = p.x.Instance(id)
	}
	p.groupVerdicts(&f)
	p.taker(&f)
	return f
}

func orDefault(o topology.Opt[string], def string) topology.Opt[string] {
	if o.IsAbsent() {
		return topology.Known(def)
	}
	return o
}

// groupVerdicts asks both security groups about the probe, each for itself.
func (p *Predictor) groupVerdicts(f *Probe) {
	unknown := func(why string) GroupVerdict { return GroupVerdict{State: HopUnknown, Why: why} }
	port, ok := f.CheckPort.Get()
	if !ok {
		f.Out = unknown("the port of the check is not settled: " + cmp.Or(f.CheckPort.Why(), "the source gives none"))
		f.In = f.Out
		return
	}
	if f.LB == nil {
		f.Out = unknown("no load balancer probes the target")
		f.In = f.Out
		return
	}
	var to *host
	switch {
	case f.Service != nil:
		to = p.x.taskHost(f.Service)
	case f.Instance != nil:
		to = p.x.instanceHost(f.Instance)
	default:
		f.Out = unknown("what has the target's address is not in the source")
		f.In = f.Out
		return
	}
	from := p.x.lbHost(f.LB)
	ports := single(port)
	if f.Service != nil && p.x.onNodes(f.Service) {
		var why string
		if ports, why = p.x.nodePorts(f.Service, f.CheckPort); why != "" {
			f.Out, f.In = unknown(why), unknown(why)
			return
		}
	}
	f.Out, f.In = p.x.groupVerdict(from, to, ports, Egress), p.x.groupVerdict(to, from, ports, Ingress)
}

func (x *index) groupVerdict(h, peer *host, port span, dir Direction) GroupVerdict {
	p := verdict{state: HopOpen}
	if dir == Ingress && h.open || dir == Egress && h.free {
		return GroupVerdict{State: HopOpen}
	}
	x.askGroups(&p, h, peer, port, dir)
	s := GroupVerdict{State: p.state, Admits: p.admits, Why: p.why}
	if len(p.blocks) > 0 {
		s.Block = &p.blocks[0]
	}
	return s
}

// TaskIngress returns what the security groups of the tasks of s say about a
// connection on port from a node of lb, or from anybody at all when lb is nil.
func (p *Predictor) TaskIngress(s *topology.Service, port int, lb *topology.LoadBalancer) GroupVerdict {
	from := &host{name: "anybody", anybody: true}
	if lb != nil {
		from = p.x.lbHost(lb)
	}
	return p.x.groupVerdict(p.x.taskHost(s), from, single(port), Ingress)
}

// taker says who would take and answer the probe behind the security groups.
func (p *Predictor) taker(f *Probe) {
	f.Answer = DeliveryUnsettled
	port, ok := f.CheckPort.Get()
	if !ok {
		f.Why = cmp.Or(f.CheckPort.Why(), "the source gives no port")
		return
	}
	if f.Service == nil {
		f.Why = fmt.Sprintf("what listens on port %d of %s is not in the source", port, f.Target)
		return
	}
	f.Declared = f.Service.Task != nil && f.Service.Task.Declares(port)
	a := p.Deliver(f.Service, port, f.Protocol.Or("HTTP") == "HTTPS")
	f.Agent, f.Why = a.Agent != nil, a.Why
	f.Answer = a.Kind
}
