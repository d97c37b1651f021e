package terraform

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

// build turns resource instances into a topology. It follows the conventions
// of deployment.FromTemplates: what the source leaves open becomes unknown with
// its reason and is listed in Unknowns; an instance that may not exist has
// Origin.Maybe set; types that play no part are counted in Ignored.
func build(set *resource.Set) *topology.Topology {
	b := &builder{
		t:         &topology.Topology{Name: set.Name, Ignored: map[string]int{}},
		set:       set,
		byAddress: map[string]*resource.Instance{},
		of:        map[string]any{},
		groups:    map[topology.ID]*group{},
		seen:      map[[2]string]bool{},
	}
	b.t.Suppressions = accepted(set.Suppress)
	for _, n := range set.Notes {
		b.at = topology.Origin{ID: topology.ID(n.Address), Type: n.Type, File: n.File, Line: n.Line}
		b.note(n.Text)
	}
	for _, inst := range set.Instances {
		b.byAddress[inst.Address] = inst
	}
	for _, u := range set.Unread {
		b.unread = append(b.unread, unread{why: u.Why, uses: u.Uses})
	}
	for _, pass := range []map[string]func(*builder, *resource.Instance){declaring, connecting} {
		for _, inst := range set.Instances {
			b.at = origin(inst)
			if make, ok := pass[inst.Type]; ok && !inst.Data {
				make(b, inst)
			}
		}
	}
	for _, inst := range set.Instances {
		b.at = origin(inst)
		if inst.Uncertain != "" && !inst.Data {
			b.note("whether, or how often, it exists is not known: " + inst.Uncertain)
		}
		if !inst.Data && declaring[inst.Type] == nil && connecting[inst.Type] == nil && !read[inst.Type] {
			b.t.Ignored[inst.Type]++
		}
	}
	b.deploymentGroups()
	b.clusterDefaults()
	b.giveDefaults()
	b.markOpen()
	b.settleGroups()
	b.publicSubnets()
	b.standalone()
	b.after()
	for _, lb := range b.t.LoadBalancers {
		for _, l := range lb.Listeners {
			slices.SortStableFunc(l.Rules, func(x, y *topology.ListenerRule) int {
				return cmp.Compare(x.Priority.Or(1<<30), y.Priority.Or(1<<30))
			})
		}
	}
	return b.t
}

type builder struct {
	t         *topology.Topology
	set       *resource.Set
	byAddress map[string]*resource.Instance
	of        map[string]any // what an address became
	groups    map[topology.ID]*group
	routing   routing
	// strayIngress and strayEgress are why a rule may belong to any group.
	strayIngress, strayEgress string
	strays                    [2][]topology.Rule // the rules that may, ingress and egress
	unread                    []unread
	at                        topology.Origin
	seen                      map[[2]string]bool // address and text of the notes so far
}

// declaring makes the things that others refer to, connecting what attaches
// to them. Types in read are looked up by others and need no turn of their own.
var (
	declaring = map[string]func(*builder, *resource.Instance){
		"aws_vpc":                              (*builder).vpc,
		"aws_default_vpc":                      (*builder).vpc,
		"aws_subnet":                           (*builder).subnet,
		"aws_default_subnet":                   (*builder).subnet,
		"aws_security_group":                   (*builder).securityGroup,
		"aws_default_security_group":           (*builder).securityGroup,
		"aws_instance":                         (*builder).instance,
		"aws_service_discovery_http_namespace": (*builder).namespace,
		"aws_service_discovery_private_dns_namespace": (*builder).namespace,
		"aws_service_discovery_public_dns_namespace":  (*builder).namespace,
		"aws_lb":                  (*builder).loadBalancer,
		"aws_alb":                 (*builder).loadBalancer,
		"aws_lb_target_group":     (*builder).targetGroup,
		"aws_alb_target_group":    (*builder).targetGroup,
		"aws_lb_listener":         (*builder).listener,
		"aws_alb_listener":        (*builder).listener,
		"aws_ecs_task_definition": (*builder).task,
		"aws_iam_role":            (*builder).role,
		"aws_ecs_cluster":         (*builder).cluster,
	}
	connecting = map[string]func(*builder, *resource.Instance){
		"aws_security_group":                  (*builder).inlineRules,
		"aws_default_security_group":          (*builder).inlineRules,
		"aws_security_group_rule":             (*builder).standaloneRule,
		"aws_vpc_security_group_ingress_rule": (*builder).vpcIngressRule,
		"aws_vpc_security_group_egress_rule":  (*builder).vpcEgressRule,
		"aws_route_table":                     (*builder).routeTable,
		"aws_default_route_table":             (*builder).routeTable,
		"aws_route":                           (*builder).route,
		"aws_route_table_association":         (*builder).association,
		"aws_main_route_table_association":    (*builder).mainAssociation,
		"aws_lb_listener":                     (*builder).attachListener,
		"aws_alb_listener":                    (*builder).attachListener,
		"aws_lb_listener_rule":                (*builder).listenerRule,
		"aws_alb_listener_rule":               (*builder).listenerRule,
		"aws_lb_listener_certificate":         (*builder).certificate,
		"aws_alb_listener_certificate":        (*builder).certificate,
		"aws_lb_target_group_attachment":      (*builder).attachment,
		"aws_alb_target_group_attachment":     (*builder).attachment,
		"aws_ecs_service":                     (*builder).service,
		"aws_autoscaling_group":               (*builder).fleet,
		"aws_autoscaling_attachment":          (*builder).fleetAttachment,
		"aws_service_discovery_service":       (*builder).discovery,
		"aws_route53_record":                  (*builder).route53,
		"aws_iam_role_policy":                 (*builder).rolePolicy,
		"aws_iam_role_policy_attachment":      (*builder).roleAttachment,
		"aws_iam_policy_attachment":           (*builder).policyAttachment,
	}
	read = map[string]bool{
		"aws_internet_gateway": true, "aws_iam_policy": true,
		"aws_iam_instance_profile": true, "aws_launch_template": true, "aws_launch_configuration": true,
		"aws_ecs_capacity_provider": true, "aws_ecs_cluster_capacity_providers": true, "aws_vpc_endpoint": true,
		"aws_route53_zone": true, "aws_codedeploy_deployment_group": true, "aws_egress_only_internet_gateway": true,
	}
)

func origin(inst *resource.Instance) topology.Origin {
	return topology.Origin{
		ID: topology.ID(inst.Address), Type: inst.Type, File: inst.Body.File, Line: inst.Body.Line,
		Suppress: accepted(inst.Suppress), Maybe: inst.Uncertain, When: inst.When,
	}
}

func accepted(list []resource.Suppression) []topology.Suppression {
	var out []topology.Suppression
	for _, s := range list {
		out = append(out, topology.Suppression{Rule: s.Rule, Reason: s.Reason})
	}
	return out
}

// note lists something that is not settled, once per place.
func (b *builder) note(text string) {
	o := b.at
	o.Maybe, o.When, o.Suppress = "", nil, nil
	if key := [2]string{string(o.ID), text}; !b.seen[key] {
		b.seen[key] = true
		b.t.Unknowns = append(b.t.Unknowns, topology.Note{Origin: o, Text: text})
	}
}

// standalone lists the task definitions that no service runs.
func (b *builder) standalone() {
	used := map[*topology.TaskDefinition]bool{}
	for _, s := range b.t.Services {
		used[s.Task] = true
	}
	for _, inst := range b.set.Instances {
		if d, ok := b.of[inst.Address].(*topology.TaskDefinition); ok && !used[d] {
			b.t.Standalone = append(b.t.Standalone, d)
		}
	}
}

// after fills Service.After: the services that a service refers to or
// depends on, directly or through other resources. Terraform creates those first.
func (b *builder) after() {
	static := map[string][]topology.ID{}
	for _, inst := range b.set.Instances {
		if inst.Type == "aws_ecs_service" && !inst.Data {
			static[inst.Static] = append(static[inst.Static], topology.ID(inst.Address))
		}
	}
	for _, s := range b.t.Services {
		start := b.byAddress[string(s.ID)].Static
		reached := map[string]bool{start: true}
		queue := []string{start}
		for len(queue) > 0 {
			next := b.set.Needs[queue[0]]
			queue = queue[1:]
			for _, n := range next {
				if !reached[n] {
					reached[n] = true
					queue = append(queue, n)
					s.After = append(s.After, static[n]...)
				}
			}
		}
		slices.Sort(s.After)
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// placed puts file and line of the thing at hand in front of a reason.
func (b *builder) placed(format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	if b.at.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", b.at.File, b.at.Line, text)
	}
	return fmt.Sprintf("%s: %s", b.at.ID, text)
}
