package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/topology"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Way is how a deployment lets an arm be called.
type Way struct {
	Arm string
	// Service is the ECS service at the end of the path.
	Service topology.ID
	// Client is the service whose task makes the call; empty for a host of the
	// VPC without Service Connect.
	Client topology.ID
	// LoadBalancer and Port are set for ways through an ALB, Name and Port for
	// ways by Service Connect name, Beside and Port for direct calls: they come
	// from a host that holds the security groups of the ALB Beside.
	LoadBalancer topology.ID
	Name         string
	Beside       topology.ID
	Port         int
}

// Ways finds the arms that a deployment offers. An ALB listener that forwards
// to a service is the `agent` arm when the service's agent intercepts the
// container port (no override), else `bypass`; a Service Connect client makes
// `mesh` possible. `direct` is the last leg of `bypass`, called from a host
// with the load balancer's security groups: whatever the groups of the app let
// the load balancer do, they let that host do, and nothing is exempt from them.
// A Service Connect client cannot be the caller: with an override the app's
// group has no reason to open the container port for it, and without one the
// agent takes the call.
// Of several candidates the one with the lowest listener port wins.
func Ways(t *topology.Topology) map[string]Way {
	ways := map[string]Way{}
	add := func(w Way) {
		if _, taken := ways[w.Arm]; !taken {
			ways[w.Arm] = w
		}
	}
	for _, w := range balanced(t) {
		add(w)
	}
	x := topology.NewIndex(t)
	for _, c := range t.Services {
		if c.Connect == nil || !c.Connect.Enabled.Or(false) || len(c.Connect.Endpoints) > 0 {
			continue
		}
		ns := x.NamespaceOf(c.Connect)
		if ns == nil {
			continue
		}
		for _, n := range ns.Numbered {
			name, okn := n.Name.Get()
			port, okp := n.Port.Get()
			if okn && okp {
				add(Way{Arm: plan.ArmMesh, Service: n.Endpoint.Service.ID, Client: c.ID, Name: name, Port: port})
			}
		}
	}
	return ways
}

// balanced lists the ways through application load balancers by listener port,
// and with each the direct way that it implies.
func balanced(t *topology.Topology) []Way {
	type candidate struct {
		listener int
		ways     []Way
	}
	var found []candidate
	for _, lb := range t.LoadBalancers {
		for _, l := range lb.Listeners {
			port, ok := l.Port.Get()
			if !ok || l.Protocol.Or("") != "HTTP" {
				continue
			}
			svc, container := behind(t, l)
			if svc == nil {
				continue
			}
			if Intercepted(svc, container) {
				found = append(found, candidate{port, []Way{{Arm: plan.ArmAgent, Service: svc.ID, LoadBalancer: lb.ID, Port: port}}})
				continue
			}
			found = append(found, candidate{port, []Way{
				{Arm: plan.ArmBypass, Service: svc.ID, LoadBalancer: lb.ID, Port: port},
				{Arm: plan.ArmDirect, Service: svc.ID, Beside: lb.ID, Port: container},
			}})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.listener - b.listener })
	var out []Way
	for _, c := range found {
		out = append(out, c.ways...)
	}
	return out
}

// behind returns the service that a listener's default action forwards to,
// and the container port there.
func behind(t *topology.Topology, l *topology.Listener) (*topology.Service, int) {
	for _, a := range l.Default {
		for _, f := range a.Forward {
			group, ok := f.Group.Get()
			if !ok {
				continue
			}
			for _, s := range t.Services {
				for _, st := range s.LoadBalancers {
					if g, ok := st.Group.Get(); ok && g == group {
						if p, ok := st.Port.Get(); ok {
							return s, p
						}
					}
				}
			}
		}
	}
	return nil, 0
}

// Intercepted reports whether the service's agent takes traffic from outside
// the task to a container port: Service Connect publishes that port without
// an override (section 1 of the semantics).
func Intercepted(s *topology.Service, port int) bool {
	if s.Connect == nil || !s.Connect.Enabled.Or(false) {
		return false
	}
	for _, e := range s.Connect.Endpoints {
		if name, ok := e.PortName.Get(); ok && e.IngressPortOverride.IsAbsent() {
			if _, m := s.PortMapping(name); m != nil && m.Port.Or(0) == port {
				return true
			}
		}
	}
	return false
}

// choose returns the ways of the plan's arms, twins apart, or an error that
// says which arms the deployment has.
func choose(t *topology.Topology, p *plan.Plan) (map[string]Way, error) {
	have := Ways(t)
	for _, a := range p.Arms {
		if a.TwinOf != "" {
			continue
		}
		if w, ok := have[a.Name]; ok {
			if err := w.callable(p, have); err != nil {
				return nil, err
			}
			continue
		}
		var names []string
		for _, n := range plan.ArmNames() {
			if _, ok := have[n]; ok {
				names = append(names, n)
			}
		}
		found := "no arm that can be called"
		if len(names) > 0 {
			found = "only " + strings.Join(names, ", ")
		}
		return nil, fail.Newf(fail.Usage, "synthesize both arms with -c arms=both, or name arms that are there with --arms",
			"the plan wants arm %q, but %s has %s", a.Name, t.Name, found)
	}
	return have, nil
}

// callable says what keeps the plan's load generator from calling the way. On
// fabric netns it runs in one host: inside the task that calls an arm by its
// Service Connect name, if one does. Two such arms have two tasks.
func (w Way) callable(p *plan.Plan, have map[string]Way) error {
	inside := 0
	for _, a := range p.Arms {
		if have[original(a)].Client != "" {
			inside++
		}
	}
	switch {
	case p.Fabric == plan.FabricNetns && w.Client != "" && inside > 1:
		return fail.Newf(fail.Usage, "use --fabric loopback, or --no-aa",
			"arm %s and its A/A twin are called from inside two tasks, and on fabric netns the load comes from one host", w.Arm)
	case p.Fabric == plan.FabricNetns && w.Beside != "":
		return fail.Newf(fail.Usage, "use --fabric loopback for this arm",
			"arm %s is called from a host with the load balancer's security groups, and on fabric netns the load comes from one host without", w.Arm)
	case p.Client != samplefile.ClientNative && w.Beside != "":
		return fail.Newf(fail.Usage, "leave --client out, or the arm",
			"arm %s is called from an address of its own, which --client %s cannot choose", w.Arm, p.Client)
	}
	return nil
}

// original is the name of the arm that an A/A twin repeats, or the arm's own.
func original(a plan.Arm) string {
	if a.TwinOf != "" {
		return a.TwinOf
	}
	return a.Name
}

func (w Way) String() string {
	switch {
	case w.LoadBalancer != "":
		return fmt.Sprintf("%s through listener %d of %s", w.Service, w.Port, w.LoadBalancer)
	case w.Name != "":
		return fmt.Sprintf("%s as %s:%d from %s", w.Service, w.Name, w.Port, w.Client)
	}
	return fmt.Sprintf("%s on port %d of its task, from beside %s", w.Service, w.Port, w.Beside)
}

// Describe notes in the plan which port counts at each stop of every arm's
// way, as the deployment has it: the client port in the URL, the ingress port
// of an agent, the container port of the app.
func Describe(t *topology.Topology, p *plan.Plan) error {
	ways, err := choose(t, p)
	if err != nil {
		return err
	}
	for i := range p.Arms {
		a := &p.Arms[i]
		a.Ports = ways[original(*a)].ports(t, a.Path)
	}
	return nil
}

func (w Way) ports(t *topology.Topology, path []string) []string {
	container, ingress := servicePorts(t.Service(w.Service))
	out := make([]string, len(path))
	for k, stop := range path {
		switch {
		case k == 0 && w.Name != "":
			out[k] = fmt.Sprintf("client port %d", w.Port)
		case k == 0:
			out[k] = fmt.Sprintf("URL port %d", w.Port)
		case stop == "alb":
			out[k] = fmt.Sprintf("listener %d", w.Port)
		case stop == "agent" && k == 1 && w.Name != "":
			out[k] = "virtual address"
		case stop == "agent":
			out[k] = fmt.Sprintf("ingress port %d", ingress)
		case stop == "app":
			out[k] = fmt.Sprintf("container port %d", container)
		}
	}
	return out
}

// servicePorts are the container and ingress port of a service's first
// endpoint, or the container port it registers with a load balancer.
func servicePorts(s *topology.Service) (container, ingress int) {
	if s.Connect != nil {
		for _, e := range s.Connect.Endpoints {
			if name, ok := e.PortName.Get(); ok {
				if _, m := s.PortMapping(name); m != nil {
					container = m.Port.Or(0)
					return container, e.IngressPortOverride.Or(container)
				}
			}
		}
	}
	for _, lb := range s.LoadBalancers {
		if p, ok := lb.Port.Get(); ok {
			return p, p
		}
	}
	return 0, 0
}
