package check

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// connectRules are about Service Connect: names, timeouts, logs, open ports.
var connectRules = []Rule{
	{
		ID: "client-without-dependency", Severity: Warning, Title: "A client is not ordered after the endpoint it calls",
		Explain: "A deployment's endpoint names are settled when it is created; a task that replaces another or scales out inherits them. CloudFormation starts services in parallel unless DependsOn orders them, so a client that wins the race cannot resolve the name until its next deployment.",
		Fix:     "Add DependsOn from the client's service to the server's.", Source: semantics.Section(2).Row(18).Cite(),
		run: clientWithoutDependency,
	},
	{
		ID: "namespace-mismatch", Severity: Error, Title: "A client looks for an endpoint in another namespace",
		Explain: "A service has one Service Connect namespace and resolves only the endpoints published there.",
		Fix:     "Use the same namespace for client and server.", Source: semantics.Section(2).Row(19).Cite(),
		run: namespaceMismatch,
	},
	{
		ID: "wrong-url-port", Severity: Error, Title: "A client's URL has a port that is no client port",
		Explain: "Callers use the client port, whatever port the task or its agent listens on. For any other port the client's agent has no route and closes the connection.",
		Fix:     "Use the client port in the URL.", Source: semantics.Section(2).Row(5).Cite(),
		run: wrongURLPort,
	},
	{
		ID: "endpoint-needs-service-connect", Severity: Error, Title: "A caller without Service Connect uses an endpoint's name",
		Explain: "Only tasks of services with Service Connect in the namespace know its names. A standalone or scheduled task, a Lambda function or a service without Service Connect cannot resolve them.",
		Fix:     "Enable Service Connect on the calling service, or call the load balancer.", Source: semantics.Section(2).Row(19).Cite(),
		run: endpointNeedsConnect,
	},
	{
		ID: "name-unresolved", Severity: Error, Title: "A URL names nobody",
		Explain: "A container resolves the Service Connect names of its service's namespace and what the DNS of the VPC answers: Cloud Map services with DNS and records of hosted zones. An endpoint without a DNS name in its client alias is called <discovery name>.<namespace>, and by nothing shorter. Reported is a name that can belong to the deployment alone: one without a dot, or in a private namespace that the source declares.",
		Fix:     "Call the name that is published, or publish the one that is called.", Source: semantics.Section(2).Row(18, 19).Cite(),
		run: nameUnresolved,
	},
	{
		ID: "dns-port-closed", Severity: Error, Title: "A service calls another by its DNS name, and a security group drops it",
		Explain: "Cloud Map's DNS gives the addresses of the tasks, so the caller dials the app's own port and the security groups of both sides must open it.",
		Fix:     "Open the port that is called.", Source: semantics.Section(7).Cite(),
		run: dnsPortClosed,
	},
	{
		ID: "app-protocol-unset", Severity: Note, Title: "An endpoint has no application protocol",
		Explain: "Without AppProtocol the agent proxies TCP: no per-request timeout, no retries on responses, no HTTP metrics, no x-envoy headers. It cannot be changed on a live Service Connect service.",
		Fix:     "Set AppProtocol to http, http2 or grpc if the app speaks that.", Source: semantics.Section(3).Row(31).Cite(),
		run: func(c *checker) {
			c.eachEndpoint(func(e *topology.ConnectEndpoint) {
				if e.Mapping != nil && e.Mapping.AppProtocol.IsAbsent() {
					c.add(e.Service.Origin, "Set AppProtocol on the port mapping before the first deployment.",
						"port mapping %q of %s has no AppProtocol, so its agent proxies TCP", e.Config.PortName.Or("?"), topology.Label(e.Service.Origin, e.Service.Name))
				}
			})
		},
	},
	{
		ID: "idle-timeout-cuts-request-timeout", Severity: Warning, Title: "The idle timeout is shorter than the per-request timeout",
		Explain: "When the idle timeout is shorter than the per-request timeout it ends the request first, so the longer setting never applies.",
		Fix:     "Make the idle timeout at least as long.", Source: semantics.Section(3).Cite(),
		run: func(c *checker) {
			c.eachEndpoint(func(e *topology.ConnectEndpoint) {
				idle, ok1 := e.Config.IdleTimeoutSeconds.Get()
				limit, ok2 := reach.RequestTimeout(e).Get()
				if ok1 && ok2 && e.HTTP() && idle > 0 && idle < limit {
					c.add(e.Service.Origin, fmt.Sprintf("Set IdleTimeoutSeconds to %d or more.", limit),
						"%s: the idle timeout of %d s ends requests before the per-request timeout of %d s", topology.Label(e.Service.Origin, e.Service.Name), idle, limit)
				}
			})
		},
	},
	{
		ID: "keepalive-shorter-than-idle-timeout", Severity: Warning, Title: "The target closes idle connections before the load balancer does",
		Explain: "The load balancer keeps connections to a target for its idle timeout, 60 s by default. A target that closes them earlier now and then closes one just as a request is on its way, and the caller gets 502. In default mode the target is the agent, with 5 minutes unless IdleTimeoutSeconds says less; in override mode it is the app itself, and Node, for one, closes after 5 s.",
		Fix:     "Keep the target's keep-alive longer than the load balancer's idle timeout.", Source: semantics.Section(6).Row(29).Cite(),
		run: shortKeepAlive,
	},
	{
		ID: "tls-with-override", Severity: Warning, Title: "TLS and an override: load balancer traffic is plain text",
		Explain: "Service Connect TLS covers only what passes the agents. In override mode the load balancer reaches the app directly and without TLS; AWS advises against the combination.",
		Fix:     "Leave the override out and use an HTTPS target group, or let the app itself speak TLS.", Source: semantics.Section(4).Cite(),
		run: func(c *checker) {
			c.eachEndpoint(func(e *topology.ConnectEndpoint) {
				if e.Config.TLS.Or(false) && !e.Config.IngressPortOverride.IsAbsent() && len(e.Service.LoadBalancers) > 0 {
					c.add(e.Service.Origin, "Leave ingressPortOverride out on the endpoint with TLS.",
						"%s has TLS and an override; its load balancer reaches the app past the agent, without Service Connect's TLS", topology.Label(e.Service.Origin, e.Service.Name))
				}
			})
		},
	},
	{
		ID: "access-log-without-log-configuration", Severity: Warning, Title: "Agent access logs have nowhere to go",
		Explain: "The agent writes access logs to its own output, which LogConfiguration of the Service Connect block sends somewhere. Without it they are not kept.",
		Fix:     "Add LogConfiguration beside AccessLogConfiguration.", Source: semantics.Section(4).Cite(),
		run: func(c *checker) {
			for _, s := range c.x.Topology.Services {
				if s.Connected() && !s.Connect.AccessLog.IsAbsent() && !s.Connect.HasLog {
					c.add(s.Origin, "Add LogConfiguration to the Service Connect configuration.",
						"%s asks for agent access logs and has no LogConfiguration for the agent", topology.Label(s.Origin, s.Name))
				}
			}
		},
	},
	{
		ID: "two-open-ports", Severity: Note, Title: "Clients may go past the agent",
		Explain: "In override mode the task has two open ports: the agent's and the app's own. A rule that lets Service Connect clients in on the container port is not needed for Service Connect and lets them call the app past the agent, in plain text and unseen by its metrics.",
		Fix:     "Open the container port to the load balancer only.", Source: semantics.Section(1, 7).Cite(),
		run: twoOpenPorts,
	},
	{
		ID: "alias-port-in-rule", Severity: Note, Title: "A rule opens the client port, on which nothing listens",
		Explain: "The client port is only a key in the client's URL; the server's task never listens on it, so it belongs in no security group.",
		Fix:     "Open the ingress port instead, and remove the rule.", Source: semantics.Section(7).Cite(),
		run: aliasPortInRule,
	},
	{
		ID: "desired-count-zero", Severity: Note, Title: "A service that others call has no tasks",
		Explain: "With a desired count of 0 the load balancer answers 503 and so does the clients' agent.",
		Fix:     "Set the desired count.", Source: semantics.Row(28).Cite(),
		run: func(c *checker) {
			for _, s := range c.x.Topology.Services {
				n, ok := s.DesiredCount.Get()
				if ok && n == 0 && (len(s.LoadBalancers) > 0 || len(c.x.Endpoints(s.ID)) > 0) {
					f := c.add(s.Origin, "Set DesiredCount to 1 or more.", "%s has a desired count of 0", topology.Label(s.Origin, s.Name))
					f.Effect = "callers get 503"
				}
			}
		},
	},
}

func clientWithoutDependency(c *checker) {
	first := once()
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		late := p.Outcome.Class == reach.NoName && p.Hint == reach.HintURL
		if p.Kind != reach.KindMesh || !p.Likely || p.Otherwise == nil && !late || !first(p.Caller.Service, p.Service) {
			continue
		}
		client, server := c.x.Service(p.Caller.Service), c.x.Service(p.Service)
		who, whom := topology.Label(client.Origin, client.Name), topology.Label(server.Origin, server.Name)
		if late {
			f := c.add(client.Origin, fmt.Sprintf("Turn the dependency round: %s must come after %s.", who, whom),
				"%s is deployed before %s, whose endpoint it is meant to call", who, whom)
			f.Severity, f.Effect, f.Prediction = Error, effect(p), p.ID
			f.Related = []topology.Origin{server.Origin}
			continue
		}
		if !c.mayWait(client, server) {
			continue
		}
		f := c.add(client.Origin, fmt.Sprintf("Add DependsOn from %s to %s.", who, whom),
			"nothing deploys %s after %s, whose endpoint it may call", who, whom)
		f.Effect = "on the first deployment: " + p.Caller.Name + " may read " + p.Otherwise.Outcome.Curl
		f.Related, f.Prediction = []topology.Origin{server.Origin}, p.ID
	}
}

// mayWait reports whether the client can be made to wait for the server:
// instances of one Terraform resource cannot depend on each other, and of two
// services that call each other one must be first.
func (c *checker) mayWait(client, server *topology.Service) bool {
	if terraformed(client.Origin) && block(client.ID) == block(server.ID) {
		return false
	}
	return !c.calls(server, client)
}

// block is the address of a Terraform resource without the key of its instance.
func block(id topology.ID) string {
	s := string(id)
	if i := strings.LastIndexByte(s, '['); i > 0 && strings.HasSuffix(s, "]") {
		return s[:i]
	}
	return s
}

// calls reports whether a likely path leads from one service to another.
func (c *checker) calls(from, to *topology.Service) bool {
	if c.called == nil {
		c.called = map[[2]topology.ID]bool{}
		for i := range c.r.Predictions {
			if p := &c.r.Predictions[i]; p.Kind == reach.KindMesh && p.Likely {
				c.called[[2]topology.ID{p.Caller.Service, p.Service}] = true
			}
		}
	}
	return c.called[[2]topology.ID{from.ID, to.ID}]
}

// publishedNames returns every endpoint name of the topology.
func publishedNames(x *topology.Index) map[string]bool {
	out := map[string]bool{}
	for _, ns := range x.ConnectNamespaces() {
		for _, name := range ns.Published() {
			out[name] = true
		}
	}
	return out
}

func namespaceMismatch(c *checker) {
	x := c.x
	names := publishedNames(x)
	for _, s := range x.Topology.Services {
		if !s.Connected() {
			continue
		}
		ns := x.NamespaceOf(s.Connect)
		if ns == nil {
			continue
		}
		who := topology.Label(s.Origin, s.Name)
		found := false
		reach.EachURL(s.Task, func(host string, _ int, variable string) {
			if !names[host] || len(ns.Named(host)) > 0 {
				return
			}
			found = true
			f := c.add(s.Origin, "Use the same namespace for client and server.",
				"%s calls %s (%s), which is published in another namespace than its own (%s)", who, host, variable, ns.Title())
			f.Effect = who + " reads " + reach.CurlNoName(host)
		})
		if found || len(s.Connect.Endpoints) > 0 || len(ns.Names) > 0 || len(names) == 0 || s.Connect.Uncertain != "" {
			continue
		}
		f := c.add(s.Origin, "Use the servers' namespace.",
			"%s is a client in namespace %s, where no service of the source publishes anything; the endpoints are in %s", who, ns.Title(), publishing(x))
		f.Severity = Warning
		f.Effect = who + " resolves none of them"
	}
}

// publishing lists the namespaces that have endpoints.
func publishing(x *topology.Index) string {
	var out []string
	for _, ns := range x.ConnectNamespaces() {
		if len(ns.Names) > 0 {
			out = append(out, ns.Title())
		}
	}
	return strings.Join(out, ", ")
}

func wrongURLPort(c *checker) {
	x := c.x
	for _, s := range x.Topology.Services {
		if !s.Connected() {
			continue
		}
		ns := x.NamespaceOf(s.Connect)
		if ns == nil {
			continue
		}
		reach.EachURL(s.Task, func(host string, port int, variable string) {
			called := ns.Named(host)
			var ports []string
			for _, n := range called {
				p, ok := n.Port.Get()
				if !ok || p == port {
					return
				}
				ports = append(ports, strconv.Itoa(p))
			}
			if len(called) == 0 {
				return
			}
			f := c.add(s.Origin, fmt.Sprintf("Use port %s in the URL.", strings.Join(ports, " or ")),
				"%s calls %s:%d (%s), and the client port of %s is %s", topology.Label(s.Origin, s.Name), host, port, variable, host, strings.Join(ports, ", "))
			f.Effect = topology.Label(s.Origin, s.Name) + " reads " + reach.CurlReset
		})
	}
}

func endpointNeedsConnect(c *checker) {
	x := c.x
	names := publishedNames(x)
	report := func(o topology.Origin, s *topology.Service, d *topology.TaskDefinition, who, host, variable string) {
		if l := c.p.Lookup(s, d, host); l.Record != nil || x.Topology.OpenRecords != "" || recordsUnsettled(x.Topology) {
			return // DNS answers the name, or may
		}
		f := c.add(o, "Enable Service Connect on the calling service, or call the load balancer.",
			"%s calls %s (%s) and has no Service Connect, so the name does not resolve", who, host, variable)
		f.Effect = who + " reads " + reach.CurlNoName(host)
	}
	for _, s := range x.Topology.Services {
		if s.Connected() || s.ConnectUnknown != "" {
			continue
		}
		reach.EachURL(s.Task, func(host string, _ int, variable string) {
			if names[host] {
				report(s.Origin, s, s.Task, topology.Label(s.Origin, s.Name), host, variable)
			}
		})
	}
	for _, d := range x.Topology.Standalone {
		reach.EachURL(d, func(host string, _ int, variable string) {
			if names[host] {
				report(d.Origin, nil, d, topology.Label(d.Origin, d.Family), host, variable)
			}
		})
	}
}

// recordsUnsettled reports that the name of some record is not known.
func recordsUnsettled(t *topology.Topology) bool {
	return slices.ContainsFunc(t.Records, func(r *topology.Record) bool { return !r.Name.IsAbsent() && r.Name.IsUnknown() })
}

// nameUnresolved reports the URLs that name nobody.
func nameUnresolved(c *checker) {
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Kind != reach.KindURL || p.Outcome.Class != reach.NoName || p.Service != "" {
			continue
		}
		s := c.x.Service(p.Caller.Service)
		host := strings.TrimPrefix(p.Outcome.Curl, reach.CurlNoName(""))
		fix := "Call a name that exists, or publish this one."
		near := c.nearly(s, host)
		if near != "" {
			fix = near
		}
		f := c.add(s.Origin, fix, "%s, and nobody has that name", p.What)
		f.Effect, f.Prediction = topology.Label(s.Origin, s.Name)+" reads "+p.Outcome.Curl, p.ID
		if near == "" {
			f.Severity = Warning
		}
	}
}

// nearly says how the host could be meant: the short form of an endpoint's
// name, or a service that publishes nothing. It is "" when nothing is near.
func (c *checker) nearly(s *topology.Service, host string) string {
	for _, ns := range c.x.ConnectNamespaces() {
		for _, n := range ns.Names {
			if name, ok := n.Name.Get(); ok && strings.HasPrefix(name, host+".") {
				return fmt.Sprintf("Call %s, or give the endpoint of %s a client alias with the DNS name %s.", name, topology.Label(n.Endpoint.Service.Origin, n.Endpoint.Service.Name), host)
			}
		}
	}
	for _, other := range c.x.Topology.Services {
		if other != s && (topology.Label(other.Origin, other.Name) == host || other.Task != nil && other.Task.Family.Or("") == host) {
			return fmt.Sprintf("Publish an endpoint of %s under the name %s.", topology.Label(other.Origin, other.Name), host)
		}
	}
	return ""
}

// dnsPortClosed reports calls to a task's DNS name that security groups drop.
func dnsPortClosed(c *checker) {
	first := once()
	for i := range c.r.Predictions {
		p := &c.r.Predictions[i]
		if p.Kind != reach.KindURL {
			continue
		}
		for _, b := range p.Blocks {
			if first(b.At.ID, b.Open.String()) {
				f := c.finding(p, b)
				f.Message = p.What + ": " + f.Message
			}
		}
	}
}

var nodeImage = regexp.MustCompile(`(^|/)node(:|@|$)`)

func shortKeepAlive(c *checker) {
	for _, g := range c.x.Topology.TargetGroups {
		fs := c.x.Forwards(g.ID).Read()
		if len(fs) == 0 {
			continue
		}
		idle, ok := reach.IdleTimeout(fs[0].LoadBalancer).Get()
		if !ok {
			continue
		}
		for _, r := range c.x.Registrations(g.ID).Read() {
			if port, ok := r.Port.Get(); ok && r.Service != nil {
				c.keepAlive(g, r.Service, port, idle)
			}
		}
	}
}

func (c *checker) keepAlive(g *topology.TargetGroup, s *topology.Service, port, idle int) {
	a := c.p.Deliver(s, port, false)
	who := topology.Label(s.Origin, s.Name)
	switch {
	case a.Kind != reach.DeliveryServed:
	case a.Agent != nil:
		own, ok := a.Agent.Config.IdleTimeoutSeconds.Get()
		if ok && a.Agent.HTTP() && own > 0 && own < idle {
			f := c.add(s.Origin, fmt.Sprintf("Set IdleTimeoutSeconds above %d, or lower the load balancer's idle timeout.", idle),
				"the agent of %s closes idle connections after %d s, the load balancer keeps them for %d s", who, own, idle)
			f.Effect = "now and then a caller gets 502"
			f.Related = []topology.Origin{g.Origin}
		}
	default:
		for i := range s.Task.Containers {
			ct := &s.Task.Containers[i]
			if !nodeImage.MatchString(ct.Image.Or("")) || !ct.MayMap(port) {
				continue
			}
			f := c.add(s.Origin, fmt.Sprintf("Set the server's keepAliveTimeout above %d s.", idle),
				"the load balancer reaches %s directly and keeps idle connections for %d s; Node closes them after 5 s unless the app sets keepAliveTimeout, which the source does not show", who, idle)
			f.Severity, f.Effect = Note, "now and then a caller gets 502"
		}
	}
}
