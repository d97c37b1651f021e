package reach

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/ports"
	"github.com/hoplab/hoplab/internal/topology"
)

// flaw is something in a service's configuration that Amazon ECS refuses or
// cannot run. Each belongs to the rule that reports it.
type flaw struct {
	rule  string
	at    topology.Origin
	text  string // one sentence for people
	fix   string
	error string // the API's own words, where they are known
	// inferred is set when no source says that ECS refuses it.
	inferred bool
}

// flaws returns what keeps s from being deployed, the first to be met first.
func (x *index) flaws(s *topology.Service) []flaw {
	var out []flaw
	who := label(s.Origin, s.Name)
	if connected(s) {
		out = append(out, x.connectFlaws(s, who)...)
	}
	return append(out, x.targetFlaws(s, who)...)
}

func (x *index) connectFlaws(s *topology.Service, who string) []flaw {
	var out []flaw
	add := func(rule, fix, format string, args ...any) {
		out = append(out, flaw{rule: rule, at: s.Origin, text: fmt.Sprintf(format, args...), fix: fix})
	}
	switch c, _ := s.DeploymentController.Get(); c {
	case "CODE_DEPLOY", "EXTERNAL":
		add("unsupported-deployment-controller", "Use deployment controller ECS; its own BLUE_GREEN strategy works with Service Connect.",
			"%s uses deployment controller %s, which Service Connect does not support", who, c)
	}
	if v, ok := s.PlatformVersion.Get(); ok && olderThan140(v) {
		add("platform-version-too-old", "Set the platform version to 1.4.0 or LATEST.",
			"%s asks for platform version %s; Service Connect needs 1.4.0 or later", who, v)
	}
	if s.Connect.NamespaceVia == "id" {
		out = append(out, flaw{rule: "namespace-by-ref", at: s.Origin, inferred: true,
			text: fmt.Sprintf("%s names its namespace by Ref, which gives the namespace's id; Service Connect takes a name or an ARN", who),
			fix:  "Use Fn::GetAtt Arn of the namespace, or its name."})
	}
	if s.Task != nil {
		if m, ok := s.Task.NetworkMode.Get(); ok && (m == "host" || m == "none") {
			add("unsupported-network-mode", "Use network mode awsvpc.", "%s runs in network mode %s, which Service Connect does not support", who, m)
		}
		if s.Task.MemoryMiB.IsAbsent() {
			out = append(out, flaw{rule: "task-memory-missing", at: s.Task.Origin,
				text: fmt.Sprintf("the task definition of %s sets no memory for the task, which Service Connect requires", who),
				fix:  "Set the task's memory, at least 64 MiB above the sum of the containers."})
		}
	}
	seen := map[int]int{}
	for i, e := range x.endpoints[s.ID] {
		out = append(out, x.endpointFlaws(s, e, who)...)
		o, ok := e.ep.IngressPortOverride.Get()
		if !ok {
			continue
		}
		if j, dup := seen[o]; dup {
			add("override-collision", "Give each endpoint of a service its own ingress port.",
				"endpoints %d and %d of %s both set ingressPortOverride %d, and one agent cannot bind it twice", j+1, i+1, who, o)
		}
		seen[o] = i
	}
	return out
}

var (
	discoveryPattern = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]{0,63}$`)
	dnsPattern       = regexp.MustCompile(`^[a-z0-9_.][a-z0-9_.-]{0,126}$`)
)

func (x *index) endpointFlaws(s *topology.Service, e *endpoint, who string) []flaw {
	var out []flaw
	add := func(f flaw) {
		f.at = s.Origin
		out = append(out, f)
	}
	name, named := e.ep.PortName.Get()
	if named && s.Task != nil && e.mapping == nil && !e.unsure {
		add(flaw{rule: "port-name-unknown",
			text: fmt.Sprintf("%s publishes port name %q, and no port mapping of its task definition has that name (it has %s)", who, name, portNames(s.Task)),
			fix:  fmt.Sprintf("Name a port mapping %q, or publish one of the names that exist.", name)})
	}
	if o, ok := e.ep.IngressPortOverride.Get(); ok {
		out = append(out, overrideFlaws(s, e, o, who)...)
	}
	if _, ok := e.ep.PerRequestSeconds.Get(); ok && e.mapping != nil && e.mapping.AppProtocol.IsAbsent() {
		add(flaw{rule: "timeout-needs-app-protocol",
			text: fmt.Sprintf("%s sets PerRequestTimeoutSeconds on port %q, whose mapping has no AppProtocol: the agent then proxies TCP and has no requests to time", who, name),
			fix:  "Set AppProtocol (http, http2 or grpc) on the port mapping, or drop the timeout."})
	}
	if d, ok := e.ep.DiscoveryName.Get(); ok && !discoveryPattern.MatchString(d) {
		add(flaw{rule: "name-not-allowed",
			text: fmt.Sprintf("%s has discovery name %q; ECS allows up to 64 lower-case letters, digits, _ and -, not starting with -", who, d),
			fix:  "Choose a name of lower-case letters, digits, _ and -."})
	}
	for _, a := range e.ep.Aliases {
		if d, ok := a.DNSName.Get(); ok && !dnsPattern.MatchString(d) {
			add(flaw{rule: "name-not-allowed",
				text: fmt.Sprintf("%s has client alias %q; ECS allows up to 127 lower-case letters, digits, _, - and dots, not starting with -", who, d),
				fix:  "Choose a name of lower-case letters, digits, _, - and dots."})
		}
	}
	if n := len(e.ep.Aliases); n > 1 {
		add(flaw{rule: "too-many-aliases",
			text: fmt.Sprintf("%s gives port %q %d client aliases; an entry of Services takes one", who, name, n),
			fix:  "Publish the same port name in a second entry with a discovery name of its own."})
	}
	return out
}

func overrideFlaws(s *topology.Service, e *endpoint, o int, who string) []flaw {
	switch {
	case o < ports.MinOverride:
		return []flaw{{rule: "override-privileged-port", at: s.Origin,
			text:  fmt.Sprintf("%s sets ingressPortOverride %d; ECS refuses ports <= 1024, and CDK does not notice", who, o),
			fix:   fmt.Sprintf("Choose a port from %d to %d, or leave the override out for the default mode.", ports.MinOverride, ports.MaxOverride),
			error: "Invalid request provided: IngressPortOverride cannot use ports <= 1024."}}
	case o > ports.MaxOverride:
		return []flaw{{rule: "override-out-of-range", at: s.Origin,
			text: fmt.Sprintf("%s sets ingressPortOverride %d; a TCP port is at most %d", who, o, ports.MaxOverride),
			fix:  fmt.Sprintf("Choose a port from %d to %d.", ports.MinOverride, ports.MaxOverride)}}
	}
	if s.Task == nil || !declares(s.Task, o) {
		return nil
	}
	text := fmt.Sprintf("%s sets ingressPortOverride %d, which a container of the same task binds; the containers and the agent share one network namespace, so one of them fails to bind", who, o)
	if n, ok := e.port.Get(); ok && n == o {
		text = fmt.Sprintf("%s sets ingressPortOverride to its own container port %d; the app and the agent share one network namespace, so one of them fails to bind", who, o)
	}
	return []flaw{{rule: "override-equals-container-port", at: s.Origin, text: text, inferred: true,
		fix: "Choose an override that no container of the task binds, or leave it out."}}
}

func (x *index) targetFlaws(s *topology.Service, who string) []flaw {
	var out []flaw
	for _, lb := range s.LoadBalancers {
		port, okp := lb.Port.Get()
		name, okc := lb.Container.Get()
		if okp && okc && s.Task != nil && s.Task.Uncertain == "" {
			c := s.Task.Container(name)
			if c == nil || !maps(c, port) {
				out = append(out, flaw{rule: "load-balancer-port-undeclared", at: s.Origin,
					text: fmt.Sprintf("%s registers port %d of container %s with a target group, and the task definition has no such container port", who, port, name),
					fix:  "Register the container port; a load balancer never uses the agent's override port."})
			}
		}
		id, ok := lb.Group.Get()
		if !ok {
			continue
		}
		g := x.tgs[id]
		if g == nil {
			continue
		}
		if awsvpc(s) {
			if t := g.TargetType; !t.IsUnknown() && t.Or("instance") != "ip" {
				out = append(out, flaw{rule: "target-type-not-ip", at: g.Origin,
					text: fmt.Sprintf("%s registers awsvpc tasks with target group %s of target type %s", who, label(g.Origin, g.Name), t.Or("instance")),
					fix:  "Set TargetType to ip; each awsvpc task is a target by its own address."})
			}
		}
	}
	return out
}

func awsvpc(s *topology.Service) bool {
	if s.Task == nil {
		return false
	}
	m, ok := s.Task.NetworkMode.Get()
	return ok && m == "awsvpc"
}

func maps(c *topology.Container, port int) bool {
	return slices.ContainsFunc(c.Ports, func(m topology.PortMapping) bool {
		n, ok := m.Port.Get()
		return !ok || n == port
	})
}

func portNames(d *topology.TaskDefinition) string {
	var names []string
	for _, c := range d.Containers {
		for _, m := range c.Ports {
			if n, ok := m.Name.Get(); ok {
				names = append(names, fmt.Sprintf("%q", n))
			}
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// olderThan140 reports whether a Fargate platform version is below 1.4.0.
func olderThan140(v string) bool {
	switch v {
	case "1.0.0", "1.1.0", "1.2.0", "1.3.0":
		return true
	}
	return false
}

// deployOutcome returns the outcome for whoever calls a service that cannot be deployed, or nil.
func (p *Predictor) deployOutcome(s *topology.Service) *Outcome {
	if o, ok := p.deploys[s.ID]; ok {
		return o
	}
	var o *Outcome
	if fs := p.x.flaws(s); len(fs) > 0 {
		f := fs[0]
		o = &Outcome{
			Class: DeployFails, By: "ecs", Error: f.error, Inferred: f.inferred, Basis: "1, 4, 8",
			Why: "it is never deployed: " + f.text,
		}
	}
	p.deploys[s.ID] = o
	return o
}
