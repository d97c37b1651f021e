package check

import "github.com/hoplab/hoplab/internal/topology"

// Looked is what a deployment must have one of for a check to say anything.
const Looked = "a load balancer, a target group, an ECS service or task definition, or a security group"

// Nothing reports that the topology holds nothing that a rule looks at, so that
// finding nothing means nothing.
func Nothing(t *topology.Topology) bool {
	return len(t.LoadBalancers)+len(t.TargetGroups)+len(t.Services)+len(t.Standalone)+len(t.SecurityGroups)+len(t.Instances) == 0
}
