package check

import (
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// vpcsDiffer reports security groups and target groups of another VPC than the
// subnets that they are used with. Only VPCs that the source declares are compared:
// two ids may be of one.
func vpcsDiffer(c *checker) {
	for _, s := range c.x.Topology.Services {
		c.groupsOfVPC(s.Origin, topology.Label(s.Origin, s.Name), s.Subnets, s.Groups)
	}
	for _, lb := range c.x.Topology.LoadBalancers {
		c.groupsOfVPC(lb.Origin, topology.Label(lb.Origin, lb.Name), lb.Subnets, lb.Groups)
	}
	first := once()
	c.eachForward(func(g *topology.TargetGroup, f topology.Forward) {
		lb := f.LoadBalancer
		home, other := c.vpcOf(lb.Subnets), c.vpc(g.VPC)
		if home == nil || other == nil || home == other || !first(g.ID, lb.ID) {
			return
		}
		n := c.add(g.Origin, "Create the target group in the load balancer's VPC.", "%s is a target group of VPC %s, and %s forwards to it from VPC %s",
			topology.Label(g.Origin, g.Name), topology.OriginLabel(other.Origin), topology.Label(lb.Origin, lb.Name), topology.OriginLabel(home.Origin))
		n.Effect = "the deployment fails: a load balancer forwards to target groups of its own VPC"
		n.Related = []topology.Origin{f.Listener.Origin}
	})
}

// groupsOfVPC compares the security groups of a network interface with its subnets.
func (c *checker) groupsOfVPC(at topology.Origin, who string, subnets, groups []topology.Opt[topology.ID]) {
	home := c.vpcOf(subnets)
	for _, id := range groups {
		g := c.x.SecurityGroup(id.Or(""))
		if home == nil || g == nil {
			continue
		}
		if other := c.vpc(g.VPC); other != nil && other != home {
			f := c.add(at, "Use a security group of the subnets' VPC.", "%s has subnets of VPC %s, and its security group %s belongs to VPC %s",
				who, topology.OriginLabel(home.Origin), topology.Label(g.Origin, g.Name), topology.OriginLabel(other.Origin))
			f.Effect = "the deployment fails: the security group and the subnet belong to different networks"
			f.Related = []topology.Origin{g.Origin}
		}
	}
}

// vpc returns the declared VPC, or nil.
func (c *checker) vpc(id topology.Opt[topology.ID]) *topology.VPC {
	v := c.x.VPC(id.Or(""))
	if v == nil || v.Maybe != "" {
		return nil
	}
	return v
}

// vpcOf returns the declared VPC of all of the subnets, or nil.
func (c *checker) vpcOf(subnets []topology.Opt[topology.ID]) (of *topology.VPC) {
	for _, id := range subnets {
		n := c.x.Subnet(id.Or(""))
		if n == nil || n.Maybe != "" {
			return nil
		}
		v := c.vpc(topology.Known(n.VPC))
		if v == nil || of != nil && v != of {
			return nil
		}
		of = v
	}
	return of
}

// isLayer7 reports whether a protocol of listeners and target groups is one of
// Application Load Balancers.
func isLayer7(protocol string) bool { return protocol == "HTTP" || protocol == "HTTPS" }

// balancerProtocols reports listeners and target groups whose protocol is one of the
// other kind of load balancer.
func balancerProtocols(c *checker) {
	foreign := func(lb *topology.LoadBalancer, protocol topology.Opt[string]) bool {
		p, ok := protocol.Get()
		switch lb.Kind {
		case "application":
			return ok && !isLayer7(p)
		case "network":
			return ok && isLayer7(p)
		}
		return false
	}
	c.eachListener(func(lb *topology.LoadBalancer, l *topology.Listener) {
		if foreign(lb, l.Protocol) {
			f := c.add(l.Origin, protocolsOf(lb), "listener %s of %s has the protocol %s, and the load balancer is of the kind %s",
				reach.PortText(l.Port), topology.Label(lb.Origin, lb.Name), l.Protocol.Or(""), lb.Kind)
			f.Effect = "the deployment fails: the API names the listener protocols that there are"
		}
	})
	first := once()
	c.eachForward(func(g *topology.TargetGroup, fw topology.Forward) {
		lb := fw.LoadBalancer
		if g.TargetType.Or("") == "lambda" || !foreign(lb, g.Protocol) || !first(g.ID, lb.ID) {
			return
		}
		f := c.add(g.Origin, protocolsOf(lb), "%s has the protocol %s, and %s, which forwards to it, is of the kind %s",
			topology.Label(g.Origin, g.Name), g.Protocol.Or(""), topology.Label(lb.Origin, lb.Name), lb.Kind)
		f.Effect = "the deployment fails: IncompatibleProtocols"
		f.Related = []topology.Origin{fw.Listener.Origin}
	})
}

func protocolsOf(lb *topology.LoadBalancer) string {
	if lb.Kind == "application" {
		return "Use HTTP or HTTPS."
	}
	return "Use TCP, or a load balancer of the type application."
}

func relativeHealthPaths(c *checker) {
	for _, g := range c.x.Topology.TargetGroups {
		path, ok := g.Health.Path.Get()
		spoken := g.Health.Protocol
		if spoken.IsAbsent() {
			spoken = g.Protocol
		}
		if !ok || path == "" || strings.HasPrefix(path, "/") || spoken.IsUnknown() || !isLayer7(spoken.Or("HTTP")) {
			continue
		}
		f := c.add(g.Origin, "Write /"+path+".", "the health check of %s asks for the path %q, which does not begin with a slash",
			topology.Label(g.Origin, g.Name), path)
		f.Effect = "the deployment fails: a health check's path begins with /"
	}
}
