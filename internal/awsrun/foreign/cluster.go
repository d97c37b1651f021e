package foreign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/topology"
)

// Cluster is what ECS and the load balancers say of services, however they were
// deployed.
type Cluster struct {
	Name, Region string
	// Services is how many were looked at.
	Services int
	// Calls are the arms that they offer through their load balancers, at most one
	// of each, in the plan's order. Of several services the first that is named wins.
	Calls []Call

	read []published
}

// published is a service with what it runs.
type published struct {
	service    types.Service
	definition *types.TaskDefinition
}

// ReadCluster reads services of a cluster, all of them when none is named, with
// the SDK's credentials and region. It needs ecs:ListServices, DescribeServices
// and DescribeTaskDefinition, and elasticloadbalancing:DescribeTargetGroups,
// DescribeLoadBalancers and DescribeListeners. A cluster or a service that is not
// there is a fail.Usage error.
func ReadCluster(ctx context.Context, name string, services []string) (*Cluster, error) {
	cfg, err := configuration(ctx, "the cluster")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Name: name, Region: cfg.Region}
	if err := c.describe(ctx, ecs.NewFromConfig(cfg), services); err != nil {
		return nil, err
	}
	for _, at := range []string{plan.ArmAgent, plan.ArmBypass} {
		call, ok, err := c.offers(ctx, elb.NewFromConfig(cfg), at)
		if err != nil {
			return nil, err
		}
		if ok {
			c.Calls = append(c.Calls, call)
		}
	}
	return c, nil
}

// describedAtOnce is ECS's limit for one DescribeServices.
const describedAtOnce = 10

// describe reads the services and their task definitions.
func (c *Cluster) describe(ctx context.Context, client *ecs.Client, names []string) error {
	if len(names) == 0 {
		pages := ecs.NewListServicesPaginator(client, &ecs.ListServicesInput{Cluster: &c.Name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return c.asked("listing the services", err)
			}
			names = append(names, page.ServiceArns...)
		}
	}
	for some := range slices.Chunk(names, describedAtOnce) {
		out, err := client.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &c.Name, Services: some})
		if err != nil {
			return c.asked("describing services", err)
		}
		if len(out.Failures) > 0 {
			return fail.Newf(fail.Usage, "see what aws ecs list-services says", "there is no service %s in cluster %s",
				last(aws.ToString(out.Failures[0].Arn)), c.Name)
		}
		for _, s := range out.Services {
			if len(s.Deployments) == 0 {
				continue // deleted, and remembered
			}
			d, err := client.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: s.TaskDefinition})
			if err != nil {
				return c.asked("describing the task definition of "+aws.ToString(s.ServiceName), err)
			}
			c.read = append(c.read, published{s, d.TaskDefinition})
		}
	}
	c.Services = len(c.read)
	return nil
}

func (c *Cluster) asked(what string, err error) error {
	var api smithy.APIError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &api) && api.ErrorCode() == "ClusterNotFoundException":
		return fail.Newf(fail.Usage, "check the name, or set AWS_REGION to where it is", "there is no cluster %s in %s", c.Name, c.Region)
	}
	return fail.Newf(fail.Environment, "see that the credentials are valid and may describe services and load balancers",
		"%s of cluster %s: %w", what, c.Name, err)
}

// offers returns the first call of an arm, one with an address before one without.
func (c *Cluster) offers(ctx context.Context, client *elb.Client, arm string) (first Call, ok bool, err error) {
	for i := range c.read {
		p := &c.read[i]
		for _, behind := range p.service.LoadBalancers {
			port := aws.ToInt32(behind.ContainerPort)
			if behind.TargetGroupArn == nil || p.arm(port) != arm {
				continue
			}
			call, err := c.call(ctx, client, p, aws.ToString(behind.TargetGroupArn))
			if err != nil {
				return first, false, err
			}
			call.Arm, call.IngressPort, call.ContainerPort = arm, int(port), int(port)
			if call.URL != "" {
				return call, true, nil
			}
			if !ok {
				first, ok = call, true
			}
		}
	}
	return first, ok, nil
}

// arm is what a call to a port of the service's tasks is: Service Connect's agent
// takes a published port as it is, and leaves one with an override to the app.
func (p *published) arm(port int32) string {
	if e := p.entry(port); e != nil {
		if o := aws.ToInt32(e.IngressPortOverride); o == 0 || o == port {
			return plan.ArmAgent
		}
	}
	return plan.ArmBypass
}

// entry is what the service publishes of a container port; nil for nothing.
func (p *published) entry(port int32) *types.ServiceConnectService {
	sc := p.service.Deployments[0].ServiceConnectConfiguration
	if sc == nil || !sc.Enabled {
		return nil
	}
	for i := range sc.Services {
		for _, c := range p.definition.ContainerDefinitions {
			for _, m := range c.PortMappings {
				if aws.ToString(m.Name) == aws.ToString(sc.Services[i].PortName) && aws.ToInt32(m.ContainerPort) == port {
					return &sc.Services[i]
				}
			}
		}
	}
	return nil
}

// call finds where a target group is called: the plain HTTP listener with the
// lowest port whose default action forwards to it.
func (c *Cluster) call(ctx context.Context, client *elb.Client, p *published, group string) (Call, error) {
	out := Call{ARN: aws.ToString(p.service.ServiceArn), Image: p.image(), Size: p.size()}
	out.Service = topology.ID(aws.ToString(p.service.ServiceName))
	groups, err := client.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{group}})
	if err != nil || len(groups.TargetGroups) == 0 {
		return out, c.asked("describing target group "+group, orNone(err))
	}
	for _, arn := range groups.TargetGroups[0].LoadBalancerArns {
		port, err := c.listener(ctx, client, arn, group)
		if err != nil {
			return out, err
		}
		if port == 0 {
			continue
		}
		found, err := client.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}})
		if err != nil || len(found.LoadBalancers) == 0 {
			return out, c.asked("describing load balancer "+arn, orNone(err))
		}
		b := found.LoadBalancers[0]
		out.LoadBalancer, out.Port = topology.ID(aws.ToString(b.LoadBalancerName)), port
		out.URL = address(aws.ToString(b.DNSName), port)
		break
	}
	return out, nil
}

// listener returns the lowest port of a load balancer that leads to a group; 0 when none does.
func (c *Cluster) listener(ctx context.Context, client *elb.Client, balancer, group string) (int, error) {
	lowest := 0
	pages := elb.NewDescribeListenersPaginator(client, &elb.DescribeListenersInput{LoadBalancerArn: &balancer})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, c.asked("describing the listeners of "+balancer, err)
		}
		for _, l := range page.Listeners {
			port := int(aws.ToInt32(l.Port))
			if string(l.Protocol) != "HTTP" || lowest > 0 && port > lowest {
				continue
			}
			for _, a := range l.DefaultActions {
				if aws.ToString(a.TargetGroupArn) == group {
					lowest = port
				}
			}
		}
	}
	return lowest, nil
}

// image is the image of the container behind the load balancer.
func (p *published) image() string {
	for _, c := range p.definition.ContainerDefinitions {
		for _, b := range p.service.LoadBalancers {
			if aws.ToString(c.Name) == aws.ToString(b.ContainerName) {
				return aws.ToString(c.Image)
			}
		}
	}
	return ""
}

func (p *published) size() string {
	d := p.definition
	return fmt.Sprintf("%s CPU units and %s MiB", cmp.Or(aws.ToString(d.Cpu), "no"), cmp.Or(aws.ToString(d.Memory), "no"))
}

// Missing says which change would make the other arm of services that have one
// of the two; false when they have both, none, or one that publishes nothing.
func (c *Cluster) Missing() (Change, bool) {
	if len(c.Calls) != 1 {
		return Change{}, false
	}
	have := c.Calls[0]
	for i := range c.read {
		p := &c.read[i]
		e := p.entry(int32(have.ContainerPort))
		if aws.ToString(p.service.ServiceArn) != have.ARN || e == nil {
			continue
		}
		var taken []int
		for _, box := range p.definition.ContainerDefinitions {
			for _, m := range box.PortMappings {
				taken = append(taken, int(aws.ToInt32(m.ContainerPort)))
			}
		}
		return change(have, aws.ToString(p.service.ServiceName), aws.ToString(e.PortName), aws.ToString(e.DiscoveryName), taken), true
	}
	return Change{}, false
}

// last is what follows the last slash of an ARN.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// Apart says in what two arms differ beside their ports, as far as that is known;
// "" for nothing.
func Apart(a, b Call) string {
	var out []string
	for _, x := range []struct{ what, a, b string }{{"image", a.Image, b.Image}, {"size", a.Size, b.Size}} {
		if x.a != x.b {
			out = append(out, fmt.Sprintf("%s %s and %s", x.what, x.a, x.b))
		}
	}
	return strings.Join(out, ", ")
}
