package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// repeated asks clash about each item whose number an earlier one has, until it
// finds something.
func repeated[T any](items []*T, number func(*T) topology.Opt[int], clash func(item, earlier *T, n int) *Finding) {
	first := map[int][]*T{}
	for _, item := range items {
		n, ok := number(item).Get()
		if !ok {
			continue
		}
		for _, earlier := range first[n] {
			if clash(item, earlier, n) != nil {
				break
			}
		}
		first[n] = append(first[n], item)
	}
}

func duplicatePriorities(c *checker) {
	c.eachListener(func(lb *topology.LoadBalancer, l *topology.Listener) {
		repeated(l.Rules, func(r *topology.ListenerRule) topology.Opt[int] { return r.Priority },
			func(r, other *topology.ListenerRule, n int) *Finding {
				f := c.conflict(r.Origin, other.Origin, "Give each rule of the listener its own priority.",
					"%s has priority %d on listener %s of %s, and so has %s",
					topology.OriginLabel(r.Origin), n, reach.PortText(l.Port), topology.Label(lb.Origin, lb.Name), topology.OriginLabel(other.Origin))
				if f != nil {
					f.Effect = "the deployment fails: PriorityInUse"
				}
				return f
			})
	})
}

func duplicatePorts(c *checker) {
	for _, lb := range c.x.Topology.LoadBalancers {
		repeated(lb.Listeners, func(l *topology.Listener) topology.Opt[int] { return l.Port },
			func(l, other *topology.Listener, n int) *Finding {
				f := c.conflict(l.Origin, other.Origin, "Give each listener its own port, or make one of them rules of the other.",
					"%s listens on port %d of %s, and so does %s",
					topology.OriginLabel(l.Origin), n, topology.Label(lb.Origin, lb.Name), topology.OriginLabel(other.Origin))
				if f != nil {
					f.Effect = "the deployment fails: DuplicateListener"
				}
				return f
			})
	}
}

func grpcListeners(c *checker) {
	first := once()
	c.eachForward(func(g *topology.TargetGroup, f topology.Forward) {
		if g.ProtocolVersion.Or("") != "GRPC" || f.Listener.Protocol.Or("") != "HTTP" || !first(g.ID, f.Listener.ID) {
			return
		}
		n := c.add(g.Origin, "Forward to the group from an HTTPS listener.", "%s is a gRPC target group, and listener %s of %s speaks HTTP",
			topology.Label(g.Origin, g.Name), reach.PortText(f.Listener.Port), topology.Label(f.LoadBalancer.Origin, f.LoadBalancer.Name))
		n.Effect = "the deployment fails"
		n.Related = []topology.Origin{f.Listener.Origin}
	})
}

func checkTimeouts(c *checker) {
	for _, g := range c.x.Topology.TargetGroups {
		h := g.Health
		if g.TargetType.Or("") == "lambda" || h.IntervalSeconds.IsUnknown() || h.TimeoutSeconds.IsUnknown() ||
			h.IntervalSeconds.IsAbsent() && h.TimeoutSeconds.IsAbsent() {
			continue
		}
		every, wait := h.IntervalSeconds.Or(30), h.TimeoutSeconds.Or(5)
		wrong := wait >= every
		if p := g.Protocol.Or("HTTP"); p != "HTTP" && p != "HTTPS" { // equal ones were the rule for TCP checks
			wrong = wait > every
		}
		if wrong {
			f := c.add(g.Origin, fmt.Sprintf("Set the interval above %d s, or the timeout below %d s.", wait, every),
				"the health check of %s waits %d s for an answer and asks every %d s", topology.Label(g.Origin, g.Name), wait, every)
			f.Effect = "the deployment fails: the interval must be greater than the timeout"
		}
	}
}

func namespaceTwice(c *checker) {
	for _, k := range c.x.Topology.Clusters {
		if k.DefaultVia != "name" || terraformed(k.Origin) {
			continue
		}
		for _, n := range c.x.Topology.Namespaces {
			name, ok := n.Name.Get()
			if !ok || name != k.DefaultName || holds(k.After, n.ID) {
				continue
			}
			f := c.conflict(k.Origin, n.Origin, fmt.Sprintf("Use the ARN of %s as the cluster's default, which orders the two.", topology.OriginLabel(n.Origin)),
				"%s creates the namespace %s for its default, and %s creates it too; nothing orders the cluster after the namespace",
				topology.Label(k.Origin, k.Name), name, topology.OriginLabel(n.Origin))
			if f != nil {
				f.Effect = "the deployment fails when the cluster is first"
			}
		}
	}
}

func holds(list []topology.ID, id topology.ID) bool {
	for _, v := range list {
		if v == id {
			return true
		}
	}
	return false
}

func clusterByName(c *checker) {
	for _, k := range c.x.Topology.Clusters {
		if k.DefaultVia == "name" && terraformed(k.Origin) {
			f := c.add(k.Origin, "Use the arn of the namespace.", "%s gives its default namespace by name (%s), and the provider takes an ARN only",
				topology.Label(k.Origin, k.Name), k.DefaultName)
			f.Effect = "terraform plan refuses it: invalid ARN"
		}
	}
}

// terraformed reports that a resource comes from Terraform.
func terraformed(o topology.Origin) bool { return strings.HasPrefix(o.Type, "aws_") }

func protocols(c *checker) {
	first := once()
	for _, g := range c.x.Topology.SecurityGroups {
		for _, rules := range [][]topology.Rule{g.Ingress, g.Egress} {
			for i := range rules {
				r := &rules[i]
				if r.Implied || isProtocol(r.Protocol) || r.Protocol == "" || !first(g.ID, r.ID, r.Line) {
					continue
				}
				f := c.add(ruleOrigin(r, g), "Write tcp for what is spoken over TCP.", "a rule of %s has the protocol %q, which is no IP protocol",
					topology.Label(g.Origin, g.Name), r.Protocol)
				f.Effect = "the deployment fails"
			}
		}
	}
}

func isProtocol(s string) bool {
	switch strings.ToLower(s) {
	case "tcp", "udp", "icmp", "icmpv6", "-1", "all":
		return true
	}
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= 255
}
