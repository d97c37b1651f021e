package foreign

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/topology"
)

// Call is an arm of a deployment that can be called from its VPC.
type Call struct {
	experiment.Route
	URL string // "" where nothing says where
	// ARN is the service's, Image its app's and Size its tasks'; "" where only a
	// template was read.
	ARN, Image, Size string
}

// Proof is what every response of the arm says of the agent: it writes that
// header into each (docs/semantics.md, section 5), and nothing else on the way does.
func (c Call) Proof() plan.HeaderProof {
	p := plan.HeaderProof{Name: "X-Envoy-Upstream-Service-Time", Want: plan.WantAbsent, Named: true}
	if c.Arm == plan.ArmAgent {
		p.Want = plan.WantPresent
	}
	return p
}

// address is a load balancer's URL.
func address(host string, port int) string {
	if port == 80 {
		return "http://" + host + "/"
	}
	return fmt.Sprintf("http://%s:%d/", host, port)
}

// Calls lists the arms that a stack offers through its load balancers, in the
// plan's order; t is what its template says.
func (s *Stack) Calls(t *topology.Topology) ([]Call, error) {
	routes, err := experiment.Routes(t)
	if err != nil {
		return nil, err
	}
	var out []Call
	for _, name := range []string{plan.ArmAgent, plan.ArmBypass} {
		r, ok := routes[name]
		if !ok {
			continue
		}
		c := Call{Route: r, ARN: s.Services[logical(r.Service)]}
		if host := s.Hosts[logical(r.LoadBalancer)]; host != "" {
			c.URL = address(host, r.Port)
		}
		out = append(out, c)
	}
	return out, nil
}

// logical is the logical ID at the end of an ID.
func logical(id topology.ID) string { return last(string(id)) }

// Change is what would make the arm that a service does not have: a copy of it
// beside it, with the other port mode.
type Change struct {
	Arm     string // plan.ArmAgent or plan.ArmBypass
	Service string // logical ID, or name
	Port    string // name of the port mapping
	// Container is the app's port, and Override the ingress port of the copy; 0 for none.
	Container, Override int
	Name                string // discovery name of the copy
}

// Missing says which change would make the other arm of a stack that has one
// of the two; false when it has both or none.
func Missing(t *topology.Topology, calls []Call) (Change, bool) {
	if len(calls) != 1 {
		return Change{}, false
	}
	c, x := calls[0], topology.NewIndex(t)
	s := x.Service(c.Service)
	if s == nil || s.Connect == nil {
		return Change{}, false
	}
	for _, e := range x.Endpoints(s.ID) {
		if p, ok := e.ContainerPort.Get(); ok && p == c.ContainerPort {
			return change(c, logical(s.ID), e.Config.PortName.Or(""), e.Config.DiscoveryName.Or(""), portsOf(s)), true
		}
	}
	return Change{}, false
}

// change is what makes the arm that have is not.
func change(have Call, service, port, discovery string, taken []int) Change {
	out := Change{Arm: plan.ArmAgent, Service: service, Port: cmp.Or(port, "PORT-MAPPING"), Container: have.ContainerPort}
	if have.Arm == plan.ArmAgent {
		out.Arm, out.Override = plan.ArmBypass, free(taken, have.ContainerPort)
	}
	out.Name = cmp.Or(discovery, out.Port) + "-" + out.Arm
	return out
}

// portsOf are the ports of a service's containers.
func portsOf(s *topology.Service) (taken []int) {
	if s.Task == nil {
		return nil
	}
	for _, c := range s.Task.Containers {
		for _, m := range c.Ports {
			taken = append(taken, m.Port.Or(0))
		}
	}
	return taken
}

// free is a port that ingressPortOverride takes (1025 to 65535) and no container of the service has.
func free(taken []int, container int) int {
	for p := container%10000 + 20000; ; p++ {
		if !slices.Contains(taken, p) {
			return p
		}
	}
}

// Write prints the change as CloudFormation and as CDK.
func (c Change) Write(w io.Writer) {
	override, cdk, opens := "", "", ""
	if c.Override > 0 {
		override = fmt.Sprintf("\n          IngressPortOverride: %d", c.Override)
		cdk = fmt.Sprintf(", ingressPortOverride: %d", c.Override)
		opens = fmt.Sprintf("its security group lets its clients in on tcp %d, and the load balancer on tcp %d", c.Override, c.Container)
	} else {
		opens = fmt.Sprintf("its security group lets the load balancer and its clients in on tcp %d", c.Container)
	}
	printable.Fprintf(w, `To have %[1]s beside it, deploy a copy of %[2]s behind a target group and a listener
of its own; %[3]s.

CloudFormation, in the properties of the copy:
    ServiceConnectConfiguration:
      Services:
        - PortName: %[4]s
          DiscoveryName: %[5]s%[6]s

CDK:
    serviceConnectConfiguration: {
      services: [{ portMappingName: '%[4]s', discoveryName: '%[5]s'%[7]s }],
    },
`, c.Arm, c.Service, opens, c.Port, c.Name, override, cdk)
}
