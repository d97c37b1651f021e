package deployment

import (
	"fmt"
	"sort"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// FromTemplates builds the deployment that the templates of an assembly
// describe, all stacks together. What a template leaves open becomes an
// unknown value with its reason, file and line, and is listed in Unknowns;
// resources of types that play no part are counted in Ignored. A resource
// whose condition is false is not there; one whose condition is open has
// Origin.Maybe set.
func FromTemplates(a *cfn.Assembly) (*topology.Topology, error) {
	b := &builder{
		t:          &topology.Topology{Name: a.Name, Ignored: map[string]int{}},
		asm:        a,
		seen:       map[string]bool{},
		of:         map[*cfn.Resource]any{},
		groups:     map[topology.ID]*topology.SecurityGroup{},
		undeclared: map[topology.ID]*topology.Listener{},
		outside:    map[string]topology.ID{}, taken: map[topology.ID]bool{},
	}
	for _, n := range a.Notes {
		b.t.Unknowns = append(b.t.Unknowns, topology.Note{
			Origin: topology.Origin{Stack: n.Stack, File: n.Pos.File, Line: n.Pos.Line}, Text: n.Text,
		})
	}
	for _, s := range a.Stacks {
		b.t.Suppressions = append(b.t.Suppressions, suppressions(s.Metadata("hoplab"))...)
	}
	b.eachResource(b.declare)
	b.eachResource(b.connect)
	b.eachResource(b.attach)
	b.fleets()
	b.defaultGroups()
	b.markOpen()
	b.settleEgress()
	b.publicSubnets()
	b.standalone()
	b.after()
	for _, lb := range b.t.LoadBalancers {
		for _, l := range lb.Listeners {
			sort.SliceStable(l.Rules, func(i, j int) bool { return l.Rules[i].Priority.Or(1<<30) < l.Rules[j].Priority.Or(1<<30) })
		}
	}
	return b.t, nil
}

// builder turns resources into things of the topology, in two rounds: first
// everything that others refer to, then what attaches to it.
type builder struct {
	t    *topology.Topology
	asm  *cfn.Assembly
	seen map[string]bool // unknowns already noted
	// of finds the thing that a resource became.
	of         map[*cfn.Resource]any
	groups     map[topology.ID]*topology.SecurityGroup // declared or external
	outside    map[string]topology.ID                  // what is not declared, by the key of its value
	taken      map[topology.ID]bool                    // the IDs of outside
	named      map[string]topology.ID                  // groups by GroupName
	undeclared map[topology.ID]*topology.Listener      // listeners that are not declared, by the ID of their balancer
	balancers  map[topology.ID]*topology.LoadBalancer  // not declared
	egress     map[*topology.SecurityGroup]*egress
	symbols    map[string]string // by the key of the value
	symbolUsed map[string]bool
	vpcOf      map[topology.ID]*cfn.Resource // by subnet; nil until asked for
	// strayIngress and strayEgress are set when a standalone rule may belong to any group.
	strayIngress, strayEgress string
	routes                    map[topology.ID][]topology.Opt[bool] // per route table: does a default route lead to the internet
	tables                    map[topology.ID]tableOf              // per subnet
	at                        topology.Origin                      // the resource at hand, for notes
	quiet                     bool                                 // do not note
}

// declare makes the things that other resources refer to.
func (b *builder) declare(r *cfn.Resource) {
	switch r.Type {
	case "AWS::EC2::VPC":
		add(b, r, &b.t.VPCs, b.vpc(r))
	case "AWS::EC2::Subnet":
		add(b, r, &b.t.Subnets, b.subnet(r))
	case "AWS::EC2::SecurityGroup":
		add(b, r, &b.t.SecurityGroups, b.group(r))
	case "AWS::EC2::Instance":
		add(b, r, &b.t.Instances, b.instance(r))
	case "AWS::ServiceDiscovery::HttpNamespace":
		add(b, r, &b.t.Namespaces, b.namespace(r, "http"))
	case "AWS::ServiceDiscovery::PrivateDnsNamespace":
		add(b, r, &b.t.Namespaces, b.namespace(r, "private-dns"))
	case "AWS::ServiceDiscovery::PublicDnsNamespace":
		add(b, r, &b.t.Namespaces, b.namespace(r, "public-dns"))
	case "AWS::ElasticLoadBalancingV2::LoadBalancer":
		add(b, r, &b.t.LoadBalancers, b.loadBalancer(r))
	case "AWS::ElasticLoadBalancingV2::TargetGroup":
		add(b, r, &b.t.TargetGroups, b.targetGroup(r))
	case "AWS::ElasticLoadBalancingV2::Listener":
		b.of[r] = b.listener(r)
	case "AWS::ECS::TaskDefinition":
		b.of[r] = b.task(r)
	case "AWS::ECS::Cluster":
		add(b, r, &b.t.Clusters, &topology.Cluster{Origin: b.at, Name: b.label(r.Prop("ClusterName"))})
	case "AWS::IAM::Role":
		add(b, r, &b.t.Roles, b.role(r))
	}
}

// connect makes what attaches to the things of the first round.
func (b *builder) connect(r *cfn.Resource) {
	switch r.Type {
	case "AWS::EC2::SecurityGroup":
		b.inlineRules(r, b.of[r].(*topology.SecurityGroup))
	case "AWS::EC2::SecurityGroupIngress":
		b.standaloneIngress(r)
	case "AWS::EC2::SecurityGroupEgress":
		b.standaloneEgress(r)
	case "AWS::EC2::VPCCidrBlock":
		b.vpcCIDR(r)
	case "AWS::EC2::Route":
		b.route(r)
	case "AWS::EC2::SubnetRouteTableAssociation":
		b.association(r)
	case "AWS::ElasticLoadBalancingV2::Listener":
		b.attachListener(r, b.of[r].(*topology.Listener))
	case "AWS::ElasticLoadBalancingV2::ListenerRule":
		b.listenerRule(r)
	case "AWS::ECS::Service":
		add(b, r, &b.t.Services, b.service(r))
	case "AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy":
		b.policy(r)
	case "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::Instance", "AWS::EC2::RouteTable",
		"AWS::EC2::InternetGateway", "AWS::EC2::VPCGatewayAttachment", "AWS::ECS::Cluster",
		"AWS::ServiceDiscovery::HttpNamespace", "AWS::ServiceDiscovery::PrivateDnsNamespace",
		"AWS::ServiceDiscovery::PublicDnsNamespace", "AWS::ElasticLoadBalancingV2::LoadBalancer",
		"AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::ECS::TaskDefinition", "AWS::IAM::Role":
	default:
		b.t.Ignored[r.Type]++
	}
	if len(b.at.Suppress) > 0 && !shown[r.Type] {
		b.note("%s: the suppression in the metadata of %s has no effect: nothing is checked on %s", r.Pos(), r.LogicalID, r.Type)
	}
}

// shown are the types that the topology shows with their Origin, where a
// check finds their suppressions.
var shown = map[string]bool{
	"AWS::EC2::VPC": true, "AWS::EC2::Subnet": true, "AWS::EC2::Instance": true,
	"AWS::EC2::SecurityGroup": true, "AWS::EC2::SecurityGroupIngress": true, "AWS::EC2::SecurityGroupEgress": true,
	"AWS::ServiceDiscovery::HttpNamespace": true, "AWS::ServiceDiscovery::PrivateDnsNamespace": true,
	"AWS::ServiceDiscovery::PublicDnsNamespace": true,
	typeBalancer: true, typeListener: true, typeTargets: true, typeListener + "Rule": true,
	"AWS::ECS::TaskDefinition": true, "AWS::ECS::Service": true, "AWS::IAM::Role": true,
}

// add appends a thing to its list and remembers which resource it came from.
func add[T any](b *builder, r *cfn.Resource, list *[]*T, v *T) {
	*list = append(*list, v)
	b.of[r] = v
}

// eachResource calls f for every resource that exists or may exist.
func (b *builder) eachResource(f func(*cfn.Resource)) {
	for _, s := range b.asm.Stacks {
		for _, r := range s.Resources {
			if exists, known, _ := r.Exists(); known && !exists {
				continue
			}
			b.at = origin(r)
			f(r)
		}
	}
}

// origin says where a resource is declared.
func origin(r *cfn.Resource) topology.Origin {
	o := topology.Origin{
		ID: topology.ID(r.Name()), Stack: r.Stack.Name, Type: r.Type, Path: r.Path,
		File: r.Stack.File, Line: r.Line, Suppress: suppressions(r.Metadata("hoplab")),
	}
	if _, known, why := r.Exists(); !known {
		o.Maybe, o.When = why, r.When()
	}
	return o
}

// suppressions reads Metadata.hoplab.suppress: [{rule, reason}].
func suppressions(meta cfn.Value) []topology.Suppression {
	if meta.Kind() != cfn.Map {
		return nil
	}
	var out []topology.Suppression
	for _, v := range meta.Get("suppress").Items() {
		rule, _ := v.Get("rule").Text()
		reason, _ := v.Get("reason").Text()
		out = append(out, topology.Suppression{Rule: rule, Reason: reason})
	}
	return out
}

// note lists something that is not settled, once.
func (b *builder) note(format string, args ...any) {
	if b.quiet {
		return
	}
	text := fmt.Sprintf(format, args...)
	key := string(b.at.ID) + "\x00" + text
	if b.seen[key] {
		return
	}
	b.seen[key] = true
	o := b.at
	o.Suppress = nil
	b.t.Unknowns = append(b.t.Unknowns, topology.Note{Origin: o, Text: text})
}

// standalone lists the task definitions that no service runs.
func (b *builder) standalone() {
	used := map[*topology.TaskDefinition]bool{}
	for _, s := range b.t.Services {
		used[s.Task] = true
	}
	b.eachResource(func(r *cfn.Resource) {
		if d, ok := b.of[r].(*topology.TaskDefinition); ok && !used[d] {
			b.t.Standalone = append(b.t.Standalone, d)
		}
	})
}

// after fills Service.After from the order of creation.
func (b *builder) after() {
	for r, list := range b.asm.Before("AWS::ECS::Service") {
		s := b.of[r].(*topology.Service)
		for _, before := range list {
			s.After = append(s.After, topology.ID(before.Name()))
		}
	}
	b.beforeListeners()
	for r, list := range b.asm.Before("AWS::ECS::Cluster", "AWS::ServiceDiscovery::HttpNamespace",
		"AWS::ServiceDiscovery::PrivateDnsNamespace", "AWS::ServiceDiscovery::PublicDnsNamespace") {
		if k, ok := b.of[r].(*topology.Cluster); ok {
			for _, before := range list {
				k.After = append(k.After, topology.ID(before.Name()))
			}
		}
	}
}

// beforeListeners fills Service.BeforeListeners.
func (b *builder) beforeListeners() {
	type use struct {
		at    topology.ID
		under topology.Origin // the balancer or listener it belongs to
	}
	using := map[topology.ID][]use{} // by target group
	note := func(at topology.ID, under topology.Origin, actions []topology.Action) {
		for _, a := range actions {
			for _, f := range a.Forward {
				if id, ok := f.Group.Get(); ok {
					using[id] = append(using[id], use{at, under})
				}
			}
		}
	}
	for _, lb := range b.t.LoadBalancers {
		for _, l := range lb.Listeners {
			note(l.ID, lb.Origin, l.Default)
			for _, r := range l.Rules {
				note(r.ID, l.Origin, r.Actions)
			}
		}
	}
	for r, list := range b.asm.MayBefore(typeService, typeBalancer, typeListener, typeListener+"Rule") {
		s, ok := b.of[r].(*topology.Service)
		if !ok {
			continue
		}
		before := map[topology.ID]bool{}
		for _, l := range list {
			before[topology.ID(l.Name())] = true
		}
		for _, t := range s.LoadBalancers {
			id, _ := t.Group.Get()
			for _, u := range using[id] {
				// After the balancer, or a rule's listener, both take a moment and
				// either may be first; what is not declared here has been there before.
				if !before[u.at] && !before[u.under.ID] && u.under.Type != "" {
					s.BeforeListeners = append(s.BeforeListeners, u.at)
				}
			}
		}
	}
}

// isRef reports that v refers to a resource of the type by one of the attributes.
func isRef(v cfn.Value, typ string, attrs ...string) (*cfn.Resource, bool) {
	ref, ok := v.Ref()
	if !ok || ref.Resource.Type != typ {
		return nil, false
	}
	for _, a := range attrs {
		if ref.Attr == a {
			return ref.Resource, true
		}
	}
	return nil, false
}
