package check

import (
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

const rulePathUnknown = "path-unknown"

// pathRules read the predictions: who is blocked, where, and which rule opens the way.
var pathRules = []Rule{
	{
		ID: "ingress-port-closed", Severity: Error, Title: "Service Connect clients cannot reach the agent's ingress port",
		Explain: "A client's agent dials the server's task on the ingress port: the container port, or the ingressPortOverride when one is set. The server's security group must open that port to the clients. The client port of the URL never appears in a security group. While it is closed the client's agent answers 504 \"upstream request timeout\"; nothing appears in the server's log.",
		Fix:     "Open the ingress port of the server's security group to the clients' security group.",
		Source:  semantics.Section(7).Row(4, 11).Cite(),
		run:     ingressClosed,
	},
	{
		ID: "client-egress-closed", Severity: Error, Title: "A client's security group does not let the request out",
		Explain: "A client's security group needs egress to the port that is really dialled: the agent's ingress port of the server for Service Connect, the listener's port for a load balancer.",
		Fix:     "Open the port in the client's egress rules.", Source: semantics.Section(7).Cite(),
		run: clientEgressClosed,
	},
	{
		ID: "alb-ingress-closed", Severity: Error, Title: "Nobody may enter the listener",
		Explain: "No ingress rule of the load balancer's security groups opens the listener's port to anybody, so every caller's packets are dropped.",
		Fix:     "Open the listener's port to its callers.", Source: semantics.Section(7).Cite(),
		run: albIngressClosed,
	},
	{
		ID: "alb-egress-closed", Severity: Error, Title: "The load balancer's security group does not let requests out to the targets",
		Explain: "The load balancer connects to its targets, for requests and for health checks, so its own security group needs egress to them. Terraform gives a group no egress unless it is written; CloudFormation allows all only while no egress rule stands anywhere. The target is unhealthy with reason Target.Timeout, and the app's log has no line.",
		Fix:     "Add egress from the load balancer's group to the targets' group on the container port.",
		Source:  semantics.Section(7).Row(9, 33, 34, 35).Cite(),
		run:     func(c *checker) { c.blocked(reach.Egress, "alb-egress-closed", atTraffic) },
	},
	{
		ID: "target-ingress-closed", Severity: Error, Title: "The targets' security group does not let the load balancer in",
		Explain: "The target's security group needs ingress from the load balancer's on the container port, in both port modes. Without it the target is unhealthy with reason Target.Timeout, and the app's log has no line.",
		Fix:     "Add ingress from the load balancer's group on the container port.", Source: semantics.Section(7).Row(10).Cite(),
		run: func(c *checker) { c.blocked(reach.Ingress, "target-ingress-closed", atTraffic) },
	},
	{
		ID: "health-check-port-closed", Severity: Error, Title: "The health check's port is closed",
		Explain: "The health check goes to a port of its own, and the security groups open only the traffic port. Requests would pass, but no target gets healthy and ECS replaces the tasks in a loop.",
		Fix:     "Open the health check's port on both groups, or check the traffic port.", Source: semantics.Section(7).Cite(),
		run: func(c *checker) {
			c.blocked(reach.Egress, "health-check-port-closed", atCheck)
			c.blocked(reach.Ingress, "health-check-port-closed", atCheck)
		},
	},
	{
		ID: "target-unhealthy", Severity: Error, Title: "A target cannot get healthy",
		Explain: "The probe arrives, and what answers it does not satisfy the check.",
		Fix:     "Let the check ask what the target answers.", Source: semantics.Section(6).Row(12, 14, 15).Cite(),
		run: targetUnhealthy,
	},
	{
		ID: "needless-agent-hop", Severity: Warning, Title: "Load balancer traffic passes the agent although nothing asks for it",
		Explain: "In default mode everything that arrives on the container port from outside the task goes through the Service Connect agent, a load balancer's requests and health checks too. Nothing is gained by that hop when the endpoint has no TLS: it costs latency, the app sees 127.0.0.1 as its peer, and the agent's timeouts may apply.",
		Fix:     "Set ingressPortOverride to a free port above 1024 and open that port to the Service Connect clients.",
		Source:  semantics.Section(1).Row(1, 2, 21).Cite(),
		run:     needlessHop,
	},
	{
		ID: "tls-with-http-target-group", Severity: Error, Title: "The target group speaks HTTP to an agent that expects TLS",
		Explain: "With Service Connect TLS in default mode the agent accepts only TLS on the container port, so the target group must speak HTTPS and check its health with HTTPS.",
		Fix:     "Set the target group's Protocol and HealthCheckProtocol to HTTPS.", Source: semantics.Section(4).Row(26).Cite(),
		run: tlsTargetGroup,
	},
	{
		ID: "listener-without-targets", Severity: Warning, Title: "A listener forwards to a target group without targets",
		Explain: "No service of the source registers tasks with the target group, so the load balancer answers 503.",
		Fix:     "Register a service with the target group, or remove it.", Source: semantics.Section(6).Row(28).Cite(),
		run: listenerWithoutTargets,
	},
	{
		ID: rulePathUnknown, Severity: Note, Title: "The source does not settle a path",
		Explain: "Something on the path is a parameter, an import or a resource that is not in the source. hoplab says unknown rather than guess, and the other rules are silent about this path.",
		Fix:     "Give the values with --param, or check the whole assembly together.", Source: semantics.Section(9).Cite(),
		run: pathUnknown,
	},
}

// atTraffic and atCheck tell a blocked probe or request on the target's
// registered port from a probe on a port of its own.
func atTraffic(p *reach.Prediction, port int) bool { return p.Target == nil || p.Target.Port == port }
func atCheck(p *reach.Prediction, port int) bool   { return p.Target != nil && p.Target.Port != port }

// finding records a blocked path.
func (c *checker) finding(p *reach.Prediction, b reach.Block) *Finding {
	fix := "Add to " + b.Open.String() + "."
	msg := b.Why
	if b.Nearest != "" {
		msg += fmt.Sprintf(" (the nearest rule is %s)", b.Nearest)
	}
	f := c.add(b.At, fix, "%s", msg)
	f.Add, f.Prediction, f.Effect = b.Open, p.ID, effect(p)
	for _, id := range []topology.ID{p.Service, p.TargetGroup} {
		if s := c.x.Service(id); s != nil {
			f.Related = append(f.Related, s.Origin)
		}
		if g := c.x.TargetGroup(id); g != nil {
			f.Related = append(f.Related, g.Origin)
		}
	}
	return f
}

// blocked reports the security groups between load balancer and target that let
// nothing pass in one direction.
func (c *checker) blocked(dir reach.Direction, rule string, where func(*reach.Prediction, int) bool) {
	first := once()
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Kind != reach.KindHealth && p.Kind != reach.KindALB {
			continue
		}
		for _, b := range p.Blocks {
			h := p.Hops[b.Hop]
			if h.From != "alb" && h.From != "nlb" || b.Open.Direction != dir || !where(p, h.Port) || !first(b.At.ID, b.Open.String()) {
				continue
			}
			c.finding(p, b)
		}
	}
}

func ingressClosed(c *checker) {
	first := once()
	asked := map[topology.ID]bool{}
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Kind != reach.KindMesh || !p.Likely {
			continue
		}
		asked[p.Service] = true
		for _, b := range p.Blocks {
			if b.Open.Direction == reach.Ingress && first(b.At.ID, b.Open.String()) {
				c.finding(p, b)
			}
		}
	}
	c.eachEndpoint(func(e *topology.ConnectEndpoint) {
		in, ok := e.IngressPort.Get()
		if !ok || asked[e.Service.ID] || len(c.p.Flaws(e.Service)) > 0 {
			return
		}
		sg := c.p.TaskIngress(e.Service, in, nil)
		if sg.State != reach.HopClosed || !first(e.Service.ID, in) {
			return
		}
		b := sg.Block
		f := c.add(b.At, fmt.Sprintf("Add to %s.", b.Open), "%s opens the agent's ingress port %d of %s to nobody", b.Name, in, topology.Label(e.Service.Origin, e.Service.Name))
		f.Severity = Warning
		f.Related = []topology.Origin{e.Service.Origin}
		f.Effect = fmt.Sprintf("every Service Connect client gets 504 %q", reach.BodyRouteTimeout)
		if !e.HTTP() {
			f.Effect = "every Service Connect client's connection is closed"
		}
	})
}

func clientEgressClosed(c *checker) {
	first := once()
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if !p.Likely || p.Kind != reach.KindMesh && p.Kind != reach.KindALB {
			continue
		}
		entry := false // the load balancer is closed to this caller anyway
		for _, b := range p.Blocks {
			entry = entry || p.Kind == reach.KindALB && b.Hop == 0 && b.Open.Direction == reach.Ingress
		}
		for _, b := range p.Blocks {
			h := p.Hops[b.Hop]
			if b.Open.Direction == reach.Egress && h.From != "alb" && h.From != "nlb" && !entry && first(b.At.ID, b.Open.String()) {
				c.finding(p, b)
			}
		}
	}
}

func albIngressClosed(c *checker) {
	first := once()
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Kind != reach.KindALB || p.Caller.Kind == reach.CallerService {
			continue
		}
		for _, b := range p.Blocks {
			if b.Hop != 0 || b.Open.Direction != reach.Ingress || !first(b.At.ID, b.Open.Port, p.Caller.Name) {
				continue
			}
			f := c.finding(p, b)
			if p.Caller.Kind == reach.CallerAdmitted {
				f.Message = fmt.Sprintf("%s opens the listener's port %d to nobody", b.Name, b.Open.Port)
				f.Effect = "every caller waits until its own connect timeout"
			}
		}
	}
}

func targetUnhealthy(c *checker) {
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Kind != reach.KindHealth || p.Target == nil || p.Target.State != reach.StateUnhealthy || len(p.Blocks) > 0 {
			continue
		}
		g := c.x.TargetGroup(p.TargetGroup)
		if s := c.x.Service(p.Service); s != nil && c.expectsTLS(s, p.Target.CheckPort) {
			continue // tls-with-http-target-group says it better
		}
		f := c.add(g.Origin, "Let the check ask a port and path that answer, with a protocol and codes that fit.",
			"%s: the target is unhealthy (%s): %s", p.What, p.Target.Reason, p.Outcome.Why)
		f.Prediction = p.ID
	}
}

// needlessHop looks at who takes the registered port, not at a predicted
// request: the hop is there whether or not a security group lets requests in.
func needlessHop(c *checker) {
	first := once()
	for _, g := range c.x.Topology.TargetGroups {
		fs := c.x.Forwards(g.ID).Read()
		if len(fs) == 0 {
			continue
		}
		for _, r := range c.x.Registrations(g.ID).Read() {
			port, ok := r.Port.Get()
			if r.Service == nil || !ok {
				continue
			}
			a := c.p.Deliver(r.Service, port, false)
			if a.Agent == nil || !a.Agent.Config.TLS.IsAbsent() || !a.Agent.Config.IngressPortOverride.IsAbsent() || !first(r.Service.ID, port) {
				continue
			}
			f := c.add(r.Service.Origin, fmt.Sprintf("Set ingressPortOverride (1025 to 65535, not a container port) on the endpoint, and open that port instead of %d to its clients.", port),
				"requests from %s to %s pass the Service Connect agent, which takes everything that arrives on port %d, although nothing asks for it",
				topology.Label(fs[0].LoadBalancer.Origin, fs[0].LoadBalancer.Name), topology.Label(r.Service.Origin, r.Service.Name), port)
			f.Effect = "one hop more: higher latency, peer address 127.0.0.1, server: envoy"
			f.Related = []topology.Origin{g.Origin}
		}
	}
}

// expectsTLS reports whether the agent of s accepts only TLS on port.
func (c *checker) expectsTLS(s *topology.Service, port int) bool {
	for _, e := range c.x.Endpoints(s.ID) {
		if n, ok := e.IngressPort.Get(); ok && n == port && e.Config.TLS.Or(false) {
			return true
		}
	}
	return false
}

func tlsTargetGroup(c *checker) {
	for _, g := range c.x.Topology.TargetGroups {
		for _, r := range c.x.Registrations(g.ID).Read() {
			port, ok := r.Port.Get()
			if r.Service == nil || !ok || !c.expectsTLS(r.Service, port) {
				continue
			}
			what := ""
			if tls, ok := reach.SpeaksTLS(g); ok && !tls {
				what = "speaks HTTP"
			} else if at, ok := reach.CheckPort(g, r).Get(); ok && c.expectsTLS(r.Service, at) && !g.Health.Protocol.IsUnknown() && g.Health.Protocol.Or("HTTP") == "HTTP" {
				what = "checks health with HTTP"
			}
			if what == "" {
				continue
			}
			f := c.add(g.Origin, "Set Protocol and HealthCheckProtocol to HTTPS.",
				"%s %s on port %d of %s, where the agent accepts only TLS", topology.Label(g.Origin, g.Name), what, port, topology.Label(r.Service.Origin, r.Service.Name))
			f.Effect = "the target is unhealthy (Target.FailedHealthChecks) and callers get 502"
			f.Related = []topology.Origin{r.Service.Origin}
		}
	}
}

func listenerWithoutTargets(c *checker) {
	for _, g := range c.x.Topology.TargetGroups {
		var fs []topology.Forward // those that requests certainly reach
		for _, f := range c.x.Forwards(g.ID).Read() {
			if c.p.Shadow(f.Listener, f.Rule) == nil && (f.Rule != nil || f.Listener.RuleSet().Why() == "") {
				fs = append(fs, f)
			}
		}
		idle := !slices.ContainsFunc(fs, func(f topology.Forward) bool { return f.Weight > 0 }) // the other colour of a blue/green pair
		if idle || c.x.AlternateOf(g.ID) != nil || !c.x.Registrations(g.ID).IsEmpty() || g.TargetType.Or("") == "lambda" {
			continue
		}
		f := c.add(g.Origin, "Register a service with the target group, or remove the group from the listener.",
			"listener %s of %s forwards to %s, with which nothing registers targets", reach.PortText(fs[0].Listener.Port), topology.Label(fs[0].LoadBalancer.Origin, fs[0].LoadBalancer.Name), topology.Label(g.Origin, g.Name))
		f.Related = []topology.Origin{fs[0].Listener.Origin}
		if f.Effect = "callers get 503"; fs[0].LoadBalancer.Kind == "network" {
			f.Effect = "callers are not served"
		}
	}
}

func pathUnknown(c *checker) {
	first := once()
	wrong := map[topology.ID]bool{} // groups with a port that port-out-of-range names
	for _, n := range c.x.Topology.PortNumbers() {
		wrong[n.At.ID] = wrong[n.At.ID] || n.OutOfRange()
	}
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Outcome.Class != reach.Unknown || !p.Likely || p.Kind == reach.KindWhatIf || p.Kind == reach.KindDirect ||
			wrong[p.TargetGroup] {
			continue
		}
		at := c.place(p)
		if first(at.ID, p.Outcome.Why) {
			f := c.add(at, settles(p.Outcome.Why), "%s: unknown, because %s", p.What, p.Outcome.Why)
			f.Prediction = p.ID
		}
	}
}

// place returns the resource that a prediction is about.
func (c *checker) place(p *reach.Prediction) topology.Origin {
	if s := c.x.Service(p.Service); s != nil {
		return s.Origin
	}
	if g := c.x.TargetGroup(p.TargetGroup); g != nil {
		return g.Origin
	}
	if lb := c.x.LoadBalancer(p.LoadBalancer); lb != nil {
		return lb.Origin
	}
	return topology.Origin{}
}
