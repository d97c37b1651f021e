package check

import (
	"slices"

	"fmt"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// loadBalancerRules are about listeners, target groups and their security groups.
var loadBalancerRules = []Rule{
	{
		ID: "world-open-internal-alb", Severity: Warning, Title: "An internal load balancer admits every address",
		Explain: "An internal load balancer has private addresses only, so a rule for 0.0.0.0/0 admits the whole VPC and everything peered with it, which is more than anybody meant. CDK's listener opens itself like this unless open is false.",
		Fix:     "Name the callers' security group or the VPC's range.", Source: semantics.Section(7).Cite(),
		run: worldOpen,
	},
	{
		ID: "ipv6-rule-on-ipv4-alb", Severity: Note, Title: "An IPv6 rule on a load balancer that has no IPv6",
		Explain: "A rule for ::/0 does nothing while the load balancer's address type is ipv4.",
		Fix:     "Remove the rule, or make the load balancer dual-stack.", Source: semantics.Section(6).Cite(),
		run: func(c *checker) { families(c, "ipv4") },
	},
	{
		ID: "dualstack-alb-without-ipv6-ingress", Severity: Warning, Title: "A dual-stack load balancer lets no IPv6 caller in",
		Explain: "A dual-stack load balancer has IPv6 addresses in DNS. Callers prefer them, and without an IPv6 rule their packets are dropped until they fall back to IPv4.",
		Fix:     "Open the listener's port for IPv6 too.", Source: semantics.Section(6).Cite(),
		run: func(c *checker) { families(c, "dualstack") },
	},
	{
		ID: "target-group-without-listener", Severity: Warning, Title: "A service registers with a target group that no listener uses",
		Explain: "Targets of a group without a listener stay unused (Target.NotInUse), and no health check runs.",
		Fix:     "Forward to the group from a listener.", Source: semantics.Section(6).Cite(),
		run: func(c *checker) {
			for _, g := range c.x.Topology.TargetGroups {
				if !c.x.Forwards(g.ID).IsEmpty() || len(c.x.Registrations(g.ID).Read()) == 0 {
					continue
				}
				f := c.add(g.Origin, "Add a listener or a listener rule that forwards to it.", "no listener forwards to %s, with which targets are registered", topology.Label(g.Origin, g.Name))
				f.Effect = "its targets stay unused (Target.NotInUse)"
			}
		},
	},
	{
		ID: "health-check-matcher-too-wide", Severity: Warning, Title: "The health check accepts client errors",
		Explain: "A matcher that includes 4xx calls a target healthy that answers 404 to the check's path: a wrong path, or a proxy in front of a dead app, goes unnoticed.",
		Fix:     "Accept 200, or the codes that the path really answers.", Source: semantics.Section(6).Row(12).Cite(),
		run: wideMatcher,
	},
	{
		ID: "health-check-port-undeclared", Severity: Warning, Title: "The health check asks a port that no container declares",
		Explain: "Nothing in the task definition says that a container listens on the health check's port. Port mappings are not required for that in awsvpc, so it may be right, and nothing is said where a rule of the service's security groups opens that very port; more often it is a leftover or the agent's override port.",
		Fix:     "Check the traffic port, or declare the port.", Source: semantics.Section(1, 6).Cite(),
		run: undeclaredCheckPort,
	},
	{
		ID: "grace-period-missing", Severity: Note, Title: "A load-balanced service has no health check grace period",
		Explain: "The default is 0 s: a task that needs longer to start than the health check allows is replaced before it is ready, again and again.",
		Fix:     "Set HealthCheckGracePeriodSeconds to more than the app's start time.", Source: semantics.Section(8).Cite(),
		run: func(c *checker) {
			for _, s := range c.x.Topology.Services {
				n, ok := s.GraceSeconds.Get()
				if len(s.LoadBalancers) > 0 && (s.GraceSeconds.IsAbsent() || ok && n == 0) {
					c.add(s.Origin, "Set HealthCheckGracePeriodSeconds, 60 for example.", "%s is behind a load balancer and has no health check grace period", topology.Label(s.Origin, s.Name))
				}
			}
		},
	},
	{
		ID: "tls-policy-default", Severity: Note, Title: "An HTTPS listener leaves its TLS policy to the API's old default",
		Explain: "A listener without SslPolicy gets ELBSecurityPolicy-2016-08, which still allows TLS 1.0; the console's default is ELBSecurityPolicy-TLS13-1-2-2021-06.",
		Fix:     "Set SslPolicy.", Source: semantics.Section(6).Cite(),
		run: func(c *checker) {
			c.eachListener(func(lb *topology.LoadBalancer, l *topology.Listener) {
				if l.Protocol.Or("") == "HTTPS" && l.SSLPolicy.IsAbsent() {
					c.add(l.Origin, "Set SslPolicy to ELBSecurityPolicy-TLS13-1-2-2021-06.", "HTTPS listener %s of %s sets no SslPolicy", reach.PortText(l.Port), topology.Label(lb.Origin, lb.Name))
				}
			})
		},
	},
	{
		ID: "desync-monitored", Severity: Warning, Title: "The load balancer lets requests through that split differently",
		Explain: "With routing.http.desync_mitigation_mode set to monitor a load balancer only counts the requests whose end its targets may see elsewhere than it does, which lets one client's bytes become another's request. The default, defensive, refuses the severe ones and closes both connections after the ambiguous ones.",
		Fix:     "Set the mode to defensive or strictest.",
		Source:  "Elastic Load Balancing, desync mitigation mode for Application Load Balancers; AWS HTTP Desync Guardian, request classification",
		run: func(c *checker) {
			for _, lb := range c.x.Topology.LoadBalancers {
				if lb.Attributes["routing.http.desync_mitigation_mode"].Or("") == "monitor" {
					c.add(lb.Origin, "Set routing.http.desync_mitigation_mode to defensive or strictest.", "%s only monitors requests that could be smuggled",
						topology.Label(lb.Origin, lb.Name))
				}
			}
		},
	},
	{
		ID: "http-not-redirected", Severity: Note, Title: "HTTP is served beside HTTPS instead of redirected",
		Explain: "The HTTP listener forwards to the same target group as the HTTPS listener, so everything that HTTPS protects is also served without it.",
		Fix:     "Redirect HTTP to HTTPS.", Source: semantics.Section(6).Cite(),
		run: httpBesideHTTPS,
	},
	{
		ID: "egress-order-dependent", Severity: Warning, Title: "Which rules of a security group are in force is not certain",
		Explain: "An allow-all egress rule in the group's own properties and standalone egress resources fight each other: CloudFormation removes the default allow-all when it creates the first standalone rule, and users report an explicit one lost the same way. Whatever relied on it stops working, and the diff does not show it.",
		Fix:     "Write all egress rules inline, or all of them standalone.", Source: semantics.Section(7).Row(36).Cite(),
		run: func(c *checker) {
			for _, g := range c.x.Topology.SecurityGroups {
				if g.Conflict != "" {
					c.add(g.Origin, "Write all rules of one direction of the group in one way.", "%s: %s", topology.Label(g.Origin, g.Name), g.Conflict)
				}
			}
		},
	},
}

func worldOpen(c *checker) {
	first := once()
	for _, lb := range c.x.Topology.LoadBalancers {
		inside, ok := lb.Internal.Get()
		if !ok || !inside {
			continue
		}
		for _, o := range lb.Groups {
			id, _ := o.Get()
			g := c.x.SecurityGroup(id)
			if g == nil {
				continue
			}
			for i := range g.Ingress {
				r := &g.Ingress[i]
				if !everyAddress(r, false) || !reach.IsTCP(r.Protocol) || !first(g.ID, i) {
					continue
				}
				f := c.add(ruleOrigin(r, g), "Replace 0.0.0.0/0 by the callers' security group or the VPC's range.",
					"%s of the internal load balancer %s has %s", topology.Label(g.Origin, g.Name), topology.Label(lb.Origin, lb.Name), c.p.RuleText(r, reach.Ingress))
				f.Related = []topology.Origin{lb.Origin}
			}
		}
	}
}

// families compares a load balancer's address type with the families of its ingress rules.
func families(c *checker, kind string) {
	for _, lb := range c.x.Topology.LoadBalancers {
		if lb.IPAddressType.IsUnknown() || lb.Kind != "application" {
			continue
		}
		dual := reach.DualStack(lb)
		if dual != (kind == "dualstack") {
			continue
		}
		for _, l := range lb.Listeners {
			port, ok := l.Port.Get()
			if !ok {
				continue
			}
			v6, settled := c.p.IPv6Rule(lb, port)
			switch {
			case dual && v6 == nil && settled:
				f := c.add(l.Origin, fmt.Sprintf("Open tcp %d to ::/0 or to the callers' IPv6 range.", port),
					"listener %d of the dual-stack load balancer %s admits no IPv6 address", port, topology.Label(lb.Origin, lb.Name))
				f.Effect = "IPv6 callers wait until their own connect timeout"
			case !dual && v6 != nil:
				c.add(l.Origin, "Remove the rule, or set IpAddressType to dualstack.",
					"the load balancer %s has no IPv6 addresses, so %s admits nobody", topology.Label(lb.Origin, lb.Name), c.p.RuleText(v6, reach.Ingress))
			}
		}
	}
}

func wideMatcher(c *checker) {
	for _, g := range c.x.Topology.TargetGroups {
		m, ok := g.Health.Matcher.Get()
		if !ok || g.ProtocolVersion.Or("HTTP1") == "GRPC" {
			continue
		}
		for status := 400; status < 600; status++ {
			if reach.Matches(m, status) {
				c.add(g.Origin, "Accept 200, or the codes that the path really answers.", "%s calls a target healthy that answers %s", topology.Label(g.Origin, g.Name), m)
				break
			}
		}
	}
}

func undeclaredCheckPort(c *checker) {
	for _, g := range c.x.Topology.TargetGroups {
		for _, r := range c.x.Registrations(g.ID).Read() {
			at, ok := reach.CheckPort(g, r).Get()
			if r.Service == nil || !ok || r.Service.Task == nil || r.Service.Task.Uncertain != "" || at == r.Port.Or(0) || r.Service.Task.Declares(at) {
				continue
			}
			who := topology.Label(r.Service.Origin, r.Service.Name)
			what, meant := "no container of "+who+" declares it", opened(c, r.Service, at)
			for _, e := range c.x.Endpoints(r.Service.ID) {
				if n, ok := e.Config.IngressPortOverride.Get(); ok && n == at {
					what = "it is the agent's own port of " + who + ", so the check asks the app through the agent"
					meant = false
				}
			}
			if meant {
				continue // unlisted port mappings do no harm in awsvpc
			}
			fix := "Use traffic-port for the health check."
			if g.Protocol.Or("") == "UDP" { // a check is never UDP
				fix = "Declare the port in the container's port mappings."
			}
			f := c.add(g.Origin, fix, "the health check of %s asks port %d; %s", topology.Label(g.Origin, g.Name), at, what)
			f.Related = []topology.Origin{r.Service.Origin}
		}
	}
}

// opened reports whether a security group of the service has a rule for this
// very port, which says that somebody means it to be listened on.
func opened(c *checker, s *topology.Service, port int) bool {
	for _, id := range s.Groups {
		g := c.x.SecurityGroup(id.Or(""))
		if g != nil && slices.ContainsFunc(g.Ingress, func(r topology.Rule) bool {
			return r.Unknown == "" && r.Protocol == "tcp" && r.From == port && r.To == port
		}) {
			return true
		}
	}
	return false
}

func httpBesideHTTPS(c *checker) {
	for _, lb := range c.x.Topology.LoadBalancers {
		secure := map[topology.ID]bool{}
		for _, l := range lb.Listeners {
			if l.Protocol.Or("") == "HTTPS" {
				eachForward(l.Default, func(id topology.ID) { secure[id] = true })
			}
		}
		for _, l := range lb.Listeners {
			if l.Protocol.Or("HTTP") != "HTTP" {
				continue
			}
			eachForward(l.Default, func(id topology.ID) {
				if secure[id] {
					c.add(l.Origin, "Use a redirect action to HTTPS on port 443 with HTTP_301.",
						"HTTP listener %s of %s forwards to the same target group as HTTPS", reach.PortText(l.Port), topology.Label(lb.Origin, lb.Name))
				}
			})
		}
	}
}

func eachForward(actions []topology.Action, f func(topology.ID)) {
	for _, a := range actions {
		for _, t := range a.Forward {
			if id, ok := t.Group.Get(); ok {
				f(id)
			}
		}
	}
}
