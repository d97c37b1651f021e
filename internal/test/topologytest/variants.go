package topologytest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"

	"github.com/hoplab/hoplab/internal/topology"
)

// Scrambled returns the fixture with security-group rules that a careless
// person might have left: some missing, some on other ports, some for ranges
// instead of groups.
func Scrambled(seed uint64) *Fixture {
	r := rand.New(rand.NewPCG(seed, 1))
	f := Healthy()
	if r.IntN(2) == 0 {
		f.DefaultMode()
	}
	if r.IntN(4) == 0 {
		f.TargetGroup.Health.Port = topology.Known("8080")
	}
	ports := []int{80, 80, 8080, 443, 9000}
	peers := []topology.Peer{Group(f.ALBGroup), Group(f.ClientGroup), Group(f.AppGroup), CIDR("10.0.0.0/16"), CIDR("10.9.0.0/16"),
		CIDR("0.0.0.0/0")}
	for _, g := range f.SecurityGroups {
		for _, rules := range []*[]topology.Rule{&g.Ingress, &g.Egress} {
			var out []topology.Rule
			for _, rule := range *rules {
				switch r.IntN(4) {
				case 0:
					continue
				case 1:
					rule.Protocol, rule.From = "tcp", ports[r.IntN(len(ports))]
					rule.To = rule.From
				case 2:
					rule.Peer = peers[r.IntN(len(peers))]
				}
				out = append(out, rule)
			}
			*rules = out
		}
	}
	return f
}

// Open adds an ingress rule, or else an egress rule, to the group with the ID,
// for TCP on one port with another group; without one, with the range, or with
// every address when cidr is none.
func (f *Fixture) Open(group topology.ID, ingress bool, port int, peer topology.ID, cidr string) error {
	i := slices.IndexFunc(f.SecurityGroups, func(g *topology.SecurityGroup) bool { return g.ID == group })
	if i < 0 {
		return fmt.Errorf("rule for group %s, which does not exist", group)
	}
	g := f.SecurityGroups[i]
	rule := topology.Rule{Protocol: "tcp", From: port, To: port, Peer: topology.Peer{Group: peer}}
	if peer == "" {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			p = netip.MustParsePrefix("0.0.0.0/0") // "its callers"
		}
		rule.Peer = topology.Peer{CIDR: p}
	}
	if ingress {
		g.Ingress = append(g.Ingress, rule)
	} else {
		g.Egress = append(g.Egress, rule)
	}
	return nil
}

// fields calls f with every Opt and security-group rule in v, found by reflection, and its place.
func fields(v reflect.Value, place string, seen map[uintptr]bool, f func(place string, opt any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		fields(v.Elem(), place, seen, f)
	case reflect.Slice:
		for i := range v.Len() {
			fields(v.Index(i), fmt.Sprintf("%s[%d]", place, i), seen, f)
		}
	case reflect.Struct:
		switch v.Addr().Interface().(type) {
		case *topology.Rule:
			f(place+"(rule)", v.Addr().Interface())
		case *topology.Opt[int], *topology.Opt[string], *topology.Opt[bool], *topology.Opt[topology.ID], *topology.Opt[netip.Prefix]:
			f(place, v.Addr().Interface())
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fields(v.Field(i), place+"."+v.Type().Field(i).Name, seen, f)
			}
		}
	}
}

const why = "made unknown"

func makeUnknown(opt any) {
	switch o := opt.(type) {
	case *topology.Opt[int]:
		*o = topology.Unknown[int](why)
	case *topology.Opt[string]:
		*o = topology.Unknown[string](why)
	case *topology.Opt[bool]:
		*o = topology.Unknown[bool](why)
	case *topology.Opt[topology.ID]:
		*o = topology.Unknown[topology.ID](why)
	case *topology.Opt[netip.Prefix]:
		*o = topology.Unknown[netip.Prefix](why)
	case *topology.Rule:
		o.Unknown = why
	}
}

func makeAbsent(opt any) {
	reflect.ValueOf(opt).Elem().SetZero()
}

// Variants are deployments that work and deployments that do not.
func Variants() map[string]func() *Fixture {
	spoilt := func(spoil func(*Fixture)) func() *Fixture {
		return func() *Fixture {
			f := Healthy()
			spoil(f)
			return f
		}
	}
	return map[string]func() *Fixture{
		"override": Healthy,
		"default":  func() *Fixture { return Healthy().DefaultMode() },
		"forgotten rule": spoilt(func(f *Fixture) {
			f.AppGroup.Ingress[1] = TCP(80, 80, Group(f.ClientGroup))
		}),
		"no egress":      spoilt(func(f *Fixture) { f.ALBGroup.Egress = nil }),
		"tls":            spoilt(func(f *Fixture) { f.DefaultMode(); f.Endpoint().TLS = topology.Known(true) }),
		"https listener": spoilt(func(f *Fixture) { f.HTTPS() }),
		"second":         spoilt(func(f *Fixture) { f.SecondEndpoint().IngressPortOverride = topology.Known(8081) }),
		"check port":     spoilt(func(f *Fixture) { f.TargetGroup.Health.Port = topology.Known("9000") }),
		"instance": spoilt(func(f *Fixture) {
			i := &topology.Instance{Origin: Origin("Instance", "AWS::EC2::Instance"), Groups: IDs(f.AppGroup),
				Subnet: topology.Known(topology.ID("Main/Subnet"))}
			f.Instances = append(f.Instances, i)
			f.TargetGroup.Targets = []topology.Target{{Instance: topology.Known(i.ID), Port: topology.Known(80)}}
		}),
	}
}

// EachUnknown calls f with one deployment after the other that build returns,
// each with one value made unknown, and the place of that value. It returns
// how many there were.
func EachUnknown(build func() *Fixture, f func(place string, d *Fixture)) int {
	return each(build, makeUnknown, f)
}

// EachAbsent is EachUnknown with the value taken away.
func EachAbsent(build func() *Fixture, f func(place string, d *Fixture)) int {
	return each(build, makeAbsent, f)
}

func each(build func() *Fixture, change func(any), f func(place string, d *Fixture)) int {
	for i := 0; ; i++ {
		d, at, k := build(), "", 0
		fields(reflect.ValueOf(d.Topology), "", map[uintptr]bool{}, func(place string, opt any) {
			if k == i {
				at = place
				change(opt)
			}
			k++
		})
		if at == "" {
			return i
		}
		f(at, d)
	}
}

// Generated builds a topology of about n resources: blocks of a load balancer
// with listener and target group, a server with an endpoint and an override,
// three clients, their task definitions, roles and security groups; one block
// in eight has its ingress port closed. shared puts all clients into one
// security group, the worst case for whoever looks for pairs.
func Generated(n int, shared bool) *topology.Topology {
	const perBlock = 18
	t := &topology.Topology{Name: fmt.Sprintf("generated-%d", n)}
	t.VPCs = []*topology.VPC{{Origin: Origin("Vpc", "AWS::EC2::VPC"), CIDR: topology.Known(netip.MustParsePrefix("10.0.0.0/16"))}}
	t.Subnets = []*topology.Subnet{{Origin: Origin("Subnet", "AWS::EC2::Subnet"), VPC: "Main/Vpc",
		CIDR: topology.Known(netip.MustParsePrefix("10.0.1.0/24"))}}
	t.Namespaces = []*topology.Namespace{{Origin: Origin("Namespace", "AWS::ServiceDiscovery::HttpNamespace"), Name: topology.Known("ns"),
		Kind: "http"}}
	all := SecurityGroup("AllClients")
	all.Egress = []topology.Rule{AllowAll()}
	t.SecurityGroups = append(t.SecurityGroups, all)
	for b := 0; b < max(n/perBlock, 1); b++ {
		f := Healthy()
		rename := func(o *topology.Origin) { o.ID = topology.ID(fmt.Sprintf("%s-%d", o.ID, b)) }
		for _, g := range f.SecurityGroups {
			rename(&g.Origin)
		}
		rename(&f.TargetGroup.Origin)
		rename(&f.ALB.Origin)
		rename(&f.Listener.Origin)
		rename(&f.Server.Origin)
		rename(&f.Role.Origin)
		rename(&f.Server.Task.Origin)
		f.Server.Task.TaskRole = topology.Known(f.Role.ID)
		f.Listener.Default[0].Forward[0].Group = topology.Known(f.TargetGroup.ID)
		f.ALB.Groups, f.Server.Groups = IDs(f.ALBGroup), IDs(f.AppGroup)
		f.Server.LoadBalancers[0].Group = topology.Known(f.TargetGroup.ID)
		f.Server.Name = topology.Opt[string]{}
		f.Endpoint().DiscoveryName = topology.Known(fmt.Sprintf("app-%d", b))
		f.ALBGroup.Ingress = []topology.Rule{TCP(80, 80, CIDR("10.0.0.0/16"))}
		f.ALBGroup.Egress = []topology.Rule{TCP(80, 80, Group(f.AppGroup))}
		members := f.ClientGroup
		if shared {
			members = all
		}
		f.AppGroup.Ingress = []topology.Rule{TCP(80, 80, Group(f.ALBGroup)), TCP(8080, 8080, Group(members))}
		if b%8 == 7 {
			f.AppGroup.Ingress[1] = TCP(80, 80, Group(members))
		}
		t.SecurityGroups = append(t.SecurityGroups, f.ALBGroup, f.AppGroup, f.ClientGroup)
		t.TargetGroups = append(t.TargetGroups, f.TargetGroup)
		t.LoadBalancers = append(t.LoadBalancers, f.ALB)
		t.Roles = append(t.Roles, f.Role)
		t.Services = append(t.Services, f.Server)
		for c := 0; c < 3; c++ {
			s, task := *f.Client, *f.Client.Task
			s.ID, task.ID = topology.ID(fmt.Sprintf("Main/Client-%d-%d", b, c)), topology.ID(fmt.Sprintf("Main/ClientTask-%d-%d", b, c))
			s.Name, s.Groups, s.After, s.Task = topology.Opt[string]{}, IDs(members), []topology.ID{f.Server.ID}, &task
			t.Services = append(t.Services, &s)
		}
	}
	return t
}
