package experiment

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Route is how a deployment lets an arm be called, as reach predicts it.
type Route struct {
	Arm string
	// Service is the ECS service at the end of the path.
	Service topology.ID
	// Client is the service whose task makes the call; empty for a host of the
	// VPC without Service Connect.
	Client topology.ID
	// LoadBalancer and Port are set for routes through an ALB, Name and Port for
	// routes by Service Connect name, GroupsOf and Port for direct calls: they
	// come from a host that holds the security groups of that ALB.
	LoadBalancer topology.ID
	Name         string
	GroupsOf     topology.ID
	Port         int
	// IngressPort is the port that is dialled on the task, ContainerPort the
	// app's; they differ where an agent has a port of its own.
	IngressPort, ContainerPort int
	// TLS is set where the agents speak TLS with each other: the deployment has
	// it, or the lab adds it for the arm.
	TLS bool
}

// Routes finds the arms that a deployment offers, from its predicted paths: a
// path through an ALB listener is the `agent` arm when the service's agent
// takes the connection, else `bypass`; a Service Connect client makes `mesh`
// possible, with the endpoint as it is: one that has TLS makes `mesh-tls` possible,
// one that has not makes both, since the lab can add it. `direct` is the last hop of `bypass`, called from a host with the
// load balancer's security groups: whatever the groups of the app let the load
// balancer do, they let that host do, and nothing is exempt from them. A
// Service Connect client cannot be the caller: with an override the app's group
// has no reason to open the container port for it, and without one the agent
// takes the call.
//
// Of several candidates the one with the lowest listener port wins, and for
// mesh the first name of the first client.
func Routes(t *topology.Topology) (map[string]Route, error) {
	p, err := reach.New(t, reach.Options{})
	if err != nil {
		return nil, err
	}
	routes := map[string]Route{}
	for _, r := range append(balancerRoutes(p), meshRoutes(p)...) {
		if _, taken := routes[r.Arm]; !taken {
			routes[r.Arm] = r
		}
	}
	return routes, nil
}

// balancerRoutes lists the routes through the default actions of plain HTTP
// listeners by listener port, and with each bypass the direct route that it implies.
func balancerRoutes(p *reach.Predictor) []Route {
	var out []Route
	for _, pr := range p.Report().Predictions {
		if pr.Kind != reach.KindALB || pr.Caller.Kind != reach.CallerAdmitted || pr.Rule != "" || !strings.HasPrefix(pr.URL, "http://") {
			continue
		}
		if r, ok := endOf(p, &pr); ok {
			r.Arm, r.LoadBalancer, r.Port = plan.ArmBypass, pr.LoadBalancer, pr.Hops[0].Port
			if agentTakes(p, r) {
				r.Arm = plan.ArmAgent
			}
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Route) int { return a.Port - b.Port })
	for _, r := range slices.Clone(out) {
		if r.Arm == plan.ArmBypass {
			r.Arm, r.GroupsOf, r.LoadBalancer, r.Port = plan.ArmDirect, r.LoadBalancer, "", r.ContainerPort
			out = append(out, r)
		}
	}
	return out
}

// meshRoutes lists the routes of Service Connect clients that publish nothing
// themselves, by client, name and port.
func meshRoutes(p *reach.Predictor) []Route {
	x := p.Index()
	var out []Route
	for _, pr := range p.Report().Predictions {
		if pr.Kind != reach.KindMesh || len(x.Endpoints(pr.Caller.Service)) > 0 {
			continue
		}
		u, err := url.Parse(pr.URL)
		if err != nil {
			continue
		}
		if r, ok := endOf(p, &pr); ok {
			r.Arm, r.Client, r.Name, r.Port = plan.ArmMesh, pr.Caller.Service, u.Hostname(), pr.Hops[0].Port
			if !hasTLS(x, r) {
				out = append(out, r)
			}
			r.Arm, r.TLS = plan.ArmMeshTLS, true
			out = append(out, r)
		}
	}
	order := map[topology.ID]int{}
	for i, s := range x.Topology.Services {
		order[s.ID] = i
	}
	slices.SortStableFunc(out, func(a, b Route) int {
		return cmp.Or(order[a.Client]-order[b.Client], cmp.Compare(a.Name, b.Name), a.Port-b.Port)
	})
	return out
}

// hasTLS reports whether the endpoint at the route's end has TLS in the deployment.
func hasTLS(x *topology.Index, r Route) bool {
	for _, e := range x.Endpoints(r.Service) {
		if in, ok := e.IngressPort.Get(); ok && in == r.IngressPort {
			return e.Config.TLS.Or(false)
		}
	}
	return false
}

// endOf returns the service at the end of a predicted path, and its ports, if
// the path leads to one: the second hop is the one that enters the task.
func endOf(p *reach.Predictor, pr *reach.Prediction) (Route, bool) {
	if pr.Service == "" || len(pr.Hops) < 2 {
		return Route{}, false
	}
	r := Route{Service: pr.Service, IngressPort: pr.Hops[1].Port, ContainerPort: pr.Hops[1].Port}
	if a := p.Deliver(p.Index().Service(pr.Service), r.IngressPort, false).Agent; a != nil {
		r.ContainerPort = a.ContainerPort.Or(0)
	}
	return r, true
}

// agentTakes reports whether the service's agent takes what is dialled.
func agentTakes(p *reach.Predictor, r Route) bool {
	return p.Deliver(p.Index().Service(r.Service), r.IngressPort, false).Agent != nil
}

// choose returns the routes of the plan's arms, twins apart, or an error that
// says which arms the deployment has.
func choose(t *topology.Topology, p *plan.Plan) (map[string]Route, error) {
	have, err := Routes(t)
	if err != nil {
		return nil, err
	}
	for _, a := range p.Arms {
		if a.TwinOf != "" {
			continue
		}
		if r, ok := have[a.Name]; ok {
			if err := r.callable(p); err != nil {
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
		if why := undeployable(t); why != "" {
			return nil, fail.Newf(fail.Usage, "see what hoplab check says of this template",
				"the plan wants arm %q, but %s has %s: %s", a.Name, t.Name, found, why)
		}
		return nil, fail.Newf(fail.Usage, "synthesize both arms with -c arms=both, or name arms that are there with --arms",
			"the plan wants arm %q, but %s has %s", a.Name, t.Name, found)
	}
	return have, nil
}

// undeployable says why a service of t is never deployed, or "" when all may be.
func undeployable(t *topology.Topology) string {
	report, err := reach.Predict(t, reach.Options{})
	if err != nil {
		return ""
	}
	for _, pr := range report.Predictions {
		if pr.Outcome.Class == reach.DeployFails {
			return pr.Outcome.Why
		}
	}
	return ""
}

// callable says what keeps the plan's load generator from taking the route:
// k6/http calls every arm from one place.
func (r Route) callable(p *plan.Plan) error {
	apart := r.GroupsOf != "" || r.Client != "" && p.Fabric == plan.FabricNetns
	if p.Client != samplefile.ClientNative && apart {
		return fail.Newf(fail.Usage, "leave --client out, or the arm",
			"arm %s is called from an address of its own, which --client %s cannot choose", r.Arm, p.Client)
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

func (r Route) String() string {
	switch {
	case r.LoadBalancer != "":
		return fmt.Sprintf("%s through listener %d of %s", r.Service, r.Port, r.LoadBalancer)
	case r.Name != "" && r.TLS:
		return fmt.Sprintf("%s as %s:%d from %s, with TLS", r.Service, r.Name, r.Port, r.Client)
	case r.Name != "":
		return fmt.Sprintf("%s as %s:%d from %s", r.Service, r.Name, r.Port, r.Client)
	}
	return fmt.Sprintf("%s on port %d of its task, from a host with the groups of %s", r.Service, r.Port, r.GroupsOf)
}

// Describe notes in the plan which port counts at each stop of every arm's
// path, as the deployment has it: the client port in the URL, the ingress port
// of an agent, the container port of the app.
func Describe(t *topology.Topology, p *plan.Plan) error {
	routes, err := choose(t, p)
	if err != nil {
		return err
	}
	for i := range p.Arms {
		a := &p.Arms[i]
		a.Ports = routes[original(*a)].stops(a.Path)
	}
	return nil
}

// stops says which port counts at each stop of the arm's path.
func (r Route) stops(path []string) []string {
	out := make([]string, len(path))
	for k, stop := range path {
		switch {
		case k == 0 && r.Name != "":
			out[k] = fmt.Sprintf("client port %d", r.Port)
		case k == 0:
			out[k] = fmt.Sprintf("URL port %d", r.Port)
		case stop == "alb":
			out[k] = fmt.Sprintf("listener %d", r.Port)
		case stop == "agent" && k == 1 && r.Name != "":
			out[k] = "virtual address"
		case stop == "agent" && r.TLS:
			out[k] = fmt.Sprintf("ingress port %d, TLS", r.IngressPort)
		case stop == "agent":
			out[k] = fmt.Sprintf("ingress port %d", r.IngressPort)
		case stop == "app":
			out[k] = fmt.Sprintf("container port %d", r.ContainerPort)
		}
	}
	return out
}
