package reach

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hoplab/hoplab/internal/ports"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// Flaw is something in a service's configuration that Amazon ECS refuses or
// cannot run. Each belongs to the rule that reports it.
type Flaw struct {
	Rule  string // the ID of the rule of hoplab check that reports it
	At    topology.Origin
	Text  string // one sentence for people
	Fix   string
	Error string // the API's own words, where they are known
	// Inferred is set when no source says that ECS refuses it.
	Inferred bool
}

// Flaws returns what keeps s from being deployed, the first to be met first.
func (p *Predictor) Flaws(s *topology.Service) []Flaw { return p.x.flaws(s) }

// flaws returns what keeps s from being deployed, the first to be met first.
func (x *index) flaws(s *topology.Service) []Flaw {
	var out []Flaw
	who := topology.Label(s.Origin, s.Name)
	if s.Connected() {
		out = append(out, x.connectFlaws(s, who)...)
	}
	out = append(out, x.targetFlaws(s, who)...)
	return append(out, x.serviceFlaws(s, who)...)
}

func (x *index) connectFlaws(s *topology.Service, who string) []Flaw {
	var out []Flaw
	add := func(rule, fix, format string, args ...any) {
		out = append(out, Flaw{Rule: rule, At: s.Origin, Text: fmt.Sprintf(format, args...), Fix: fix})
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
		out = append(out, Flaw{Rule: "namespace-by-ref", At: s.Origin, Inferred: true,
			Text: fmt.Sprintf("%s names its namespace by Ref, which gives the namespace's id; Service Connect takes a name or an ARN", who),
			Fix:  "Use Fn::GetAtt Arn of the namespace, or its name."})
	}
	if s.Connect.NoNamespace {
		out = append(out, Flaw{Rule: "namespace-missing", At: s.Origin, Inferred: true,
			Text: fmt.Sprintf("%s names no namespace for Service Connect, and its cluster has no default", who),
			Fix:  "Name a namespace, or give the cluster a default."})
	}
	if s.Task != nil {
		if m, ok := s.Task.NetworkMode.Get(); ok && (m == "host" || m == "none") {
			add("unsupported-network-mode", "Use network mode awsvpc.", "%s runs in network mode %s, which Service Connect does not support", who, m)
		}
		if s.Task.NetworkMode.IsAbsent() {
			out = append(out, Flaw{Rule: "network-mode-missing", At: s.Task.Origin, Inferred: true,
				Text: fmt.Sprintf("the task definition of %s sets no network mode; Service Connect takes awsvpc, or bridge when it is written", who),
				Fix:  "Set NetworkMode to awsvpc or to bridge."})
		}
		if s.Task.MemoryMiB.IsAbsent() {
			out = append(out, Flaw{Rule: "task-memory-missing", At: s.Task.Origin,
				Text: fmt.Sprintf("the task definition of %s sets no memory for the task, which Service Connect requires", who),
				Fix:  "Set the task's memory, at least 64 MiB above the sum of the containers."})
		}
	}
	seen := map[int]int{}
	for i, e := range x.Endpoints(s.ID) {
		out = append(out, x.endpointFlaws(s, e, who)...)
		o, ok := e.Config.IngressPortOverride.Get()
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

func (x *index) endpointFlaws(s *topology.Service, e *topology.ConnectEndpoint, who string) []Flaw {
	var out []Flaw
	add := func(f Flaw) {
		f.At = s.Origin
		out = append(out, f)
	}
	name, named := e.Config.PortName.Get()
	if named && s.Task != nil && e.Mapping == nil && !e.Unsure {
		add(Flaw{Rule: "port-name-unknown",
			Text: fmt.Sprintf("%s publishes port name %q, and no port mapping of its task definition has that name (it has %s)", who, name, portNames(s.Task)),
			Fix:  fmt.Sprintf("Name a port mapping %q, or publish one of the names that exist.", name)})
	}
	if o, ok := e.Config.IngressPortOverride.Get(); ok {
		out = append(out, overrideFlaws(s, e, o, who)...)
	}
	if _, ok := e.Config.PerRequestSeconds.Get(); ok && e.Mapping != nil && e.Mapping.AppProtocol.IsAbsent() {
		add(Flaw{Rule: "timeout-needs-app-protocol",
			Text: fmt.Sprintf("%s sets PerRequestTimeoutSeconds on port %q, whose mapping has no AppProtocol: the agent then proxies TCP and has no requests to time", who, name),
			Fix:  "Set AppProtocol (http, http2 or grpc) on the port mapping, or drop the timeout."})
	}
	if d, ok := e.Config.DiscoveryName.Get(); ok && !discoveryPattern.MatchString(d) {
		add(Flaw{Rule: "name-not-allowed",
			Text: fmt.Sprintf("%s has discovery name %q; ECS allows up to 64 lower-case letters, digits, _ and -, not starting with -", who, d),
			Fix:  "Choose a name of lower-case letters, digits, _ and -."})
	}
	for _, a := range e.Config.Aliases {
		if d, ok := a.DNSName.Get(); ok && !dnsPattern.MatchString(d) {
			add(Flaw{Rule: "name-not-allowed",
				Text: fmt.Sprintf("%s has client alias %q; ECS allows up to 127 lower-case letters, digits, _, - and dots, not starting with -", who, d),
				Fix:  "Choose a name of lower-case letters, digits, _, - and dots."})
		}
	}
	if n := len(e.Config.Aliases); n > 1 {
		add(Flaw{Rule: "too-many-aliases",
			Text: fmt.Sprintf("%s gives port %q %d client aliases; an entry of Services takes one", who, name, n),
			Fix:  "Publish the same port name in a second entry with a discovery name of its own."})
	}
	return out
}

func overrideFlaws(s *topology.Service, e *topology.ConnectEndpoint, o int, who string) []Flaw {
	switch {
	case o < ports.MinOverride:
		return []Flaw{{Rule: "override-privileged-port", At: s.Origin,
			Text:  fmt.Sprintf("%s sets ingressPortOverride %d; ECS refuses ports <= 1024, and CDK does not notice", who, o),
			Fix:   fmt.Sprintf("Choose a port from %d to %d, or leave the override out for the default mode.", ports.MinOverride, ports.MaxOverride),
			Error: "Invalid request provided: IngressPortOverride cannot use ports <= 1024."}}
	case o > ports.MaxOverride:
		return []Flaw{{Rule: "override-out-of-range", At: s.Origin,
			Text: fmt.Sprintf("%s sets ingressPortOverride %d; a TCP port is at most %d", who, o, ports.MaxOverride),
			Fix:  fmt.Sprintf("Choose a port from %d to %d.", ports.MinOverride, ports.MaxOverride)}}
	}
	if s.Task == nil || !s.Task.Declares(o) {
		return nil
	}
	text := fmt.Sprintf("%s sets ingressPortOverride %d, which a container of the same task binds; the containers and the agent share one network namespace, so one of them fails to bind", who, o)
	if n, ok := e.ContainerPort.Get(); ok && n == o {
		text = fmt.Sprintf("%s sets ingressPortOverride to its own container port %d; the app and the agent share one network namespace, so one of them fails to bind", who, o)
	}
	return []Flaw{{Rule: "override-equals-container-port", At: s.Origin, Text: text, Inferred: true,
		Fix: "Choose an override that no container of the task binds, or leave it out."}}
}

func (x *index) targetFlaws(s *topology.Service, who string) []Flaw {
	var out []Flaw
	for _, lb := range s.LoadBalancers {
		port, okp := lb.Port.Get()
		name, okc := lb.Container.Get()
		if okp && okc && s.Task != nil && s.Task.Uncertain == "" {
			if !s.Task.MayHave(name, port) {
				out = append(out, Flaw{Rule: "load-balancer-port-undeclared", At: s.Origin,
					Text: fmt.Sprintf("%s registers port %d of container %s with a target group, and the task definition has no such container port", who, port, name),
					Fix:  "Register the container port; a load balancer never uses the agent's override port."})
			}
		}
		id, ok := lb.Group.Get()
		if !ok {
			continue
		}
		g := x.TargetGroup(id)
		if g == nil {
			continue
		}
		if awsvpc(s) {
			if t := g.TargetType; !t.IsUnknown() && t.Or("instance") != "ip" {
				out = append(out, Flaw{Rule: "target-type-not-ip", At: g.Origin,
					Text: fmt.Sprintf("%s registers awsvpc tasks with target group %s of target type %s", who, topology.Label(g.Origin, g.Name), t.Or("instance")),
					Fix:  "Set TargetType to ip; each awsvpc task is a target by its own address."})
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
			Class: DeployFails, By: "ecs", Error: f.Error, Inferred: f.Inferred, Basis: semantics.Section(1, 4, 8),
			Why: "it is never deployed: " + f.Text,
		}
	}
	p.deploys[s.ID] = o
	return o
}
