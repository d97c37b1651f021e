package deployment

import (
	"encoding/base64"
	"net/netip"
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

func (b *builder) vpc(r *cfn.Resource) *topology.VPC {
	v := &topology.VPC{Origin: b.at, CIDR: b.prefix(r.Prop("CidrBlock"))}
	if v.CIDR.IsAbsent() && !r.Prop("Ipv4IpamPoolId").IsAbsent() {
		v.CIDR = topology.Unknown[netip.Prefix](r.Pos().String() + ": the VPC takes its range from a pool at deploy")
	}
	return v
}

// vpcCIDR adds a range to a VPC. The model holds one range per family; the
// first IPv4 range is the VPC's own.
func (b *builder) vpcCIDR(r *cfn.Resource) {
	target, ok := isRef(r.Prop("VpcId"), "AWS::EC2::VPC", "", "VpcId")
	if !ok {
		b.why(r.Prop("VpcId"), "a VPC of the templates")
		return
	}
	v := b.of[target].(*topology.VPC)
	switch {
	case !r.Prop("Ipv6CidrBlock").IsAbsent():
		v.CIDR6 = b.prefix(r.Prop("Ipv6CidrBlock"))
	case r.Prop("CidrBlock").IsAbsent():
		v.CIDR6 = topology.Unknown[netip.Prefix](r.Pos().String() + ": Amazon assigns the IPv6 range at deploy")
	default:
		b.note("%s: a further IPv4 range of the VPC is not modelled", r.Pos())
	}
}

func (b *builder) subnet(r *cfn.Resource) *topology.Subnet {
	s := &topology.Subnet{
		Origin: b.at,
		CIDR:   b.prefix(r.Prop("CidrBlock")),
		CIDR6:  quietly(b, b.prefix, r.Prop("Ipv6CidrBlock")),
		AZ:     b.label(r.Prop("AvailabilityZone")),
	}
	s.VPC, _ = b.id(r.Prop("VpcId"), "AWS::EC2::VPC", "VpcId").Get()
	return s
}

// tableOf is the route table of a subnet.
type tableOf struct {
	table    topology.Opt[topology.ID]
	declared bool
}

// route keeps the default routes, the only ones that make a subnet public.
func (b *builder) route(r *cfn.Resource) {
	table, ok := b.id(r.Prop("RouteTableId"), "AWS::EC2::RouteTable", "RouteTableId").Get()
	if !ok {
		return
	}
	destination := b.destination(r)
	if p, ok := destination.Get(); destination.IsAbsent() || ok && p.Bits() != 0 {
		return
	}
	internet := b.gateway(r.Prop("GatewayId"))
	if destination.IsUnknown() && internet.Or(true) {
		internet = topology.Unknown[bool](destination.Why())
	}
	if b.routes == nil {
		b.routes = map[topology.ID][]topology.Opt[bool]{}
	}
	b.routes[table] = append(b.routes[table], internet)
}

func (b *builder) destination(r *cfn.Resource) topology.Opt[netip.Prefix] {
	if v := r.Prop("DestinationCidrBlock"); !v.IsAbsent() {
		return b.prefix(v)
	}
	return b.prefix(r.Prop("DestinationIpv6CidrBlock"))
}

// gateway reports whether a route's target is an internet gateway. A NAT
// gateway, an instance or an endpoint stands in another property.
func (b *builder) gateway(v cfn.Value) topology.Opt[bool] {
	if v.IsAbsent() {
		return topology.Known(false)
	}
	if _, ok := isRef(v, "AWS::EC2::InternetGateway", "", "InternetGatewayId"); ok {
		return topology.Known(true)
	}
	if t, ok := v.Text(); ok {
		return topology.Known(strings.HasPrefix(t, "igw-"))
	}
	if ref, ok := v.Ref(); ok { // a VPN gateway or the like
		return topology.Known(strings.Contains(ref.Resource.Type, "InternetGateway"))
	}
	return open[bool](b, v, "a gateway")
}

func (b *builder) association(r *cfn.Resource) {
	subnet, ok := b.id(r.Prop("SubnetId"), "AWS::EC2::Subnet", "SubnetId").Get()
	if !ok {
		return
	}
	v := r.Prop("RouteTableId")
	_, declared := isRef(v, "AWS::EC2::RouteTable", "", "RouteTableId")
	if b.tables == nil {
		b.tables = map[topology.ID]tableOf{}
	}
	b.tables[subnet] = tableOf{b.id(v, "AWS::EC2::RouteTable", "RouteTableId"), declared}
}

// publicSubnets decides which subnets reach an internet gateway. A subnet
// without a route table of its own uses the main table of its VPC, which a
// template cannot add routes to.
func (b *builder) publicSubnets() {
	vpcs := map[topology.ID]bool{}
	for _, v := range b.t.VPCs {
		vpcs[v.ID] = true
	}
	for _, s := range b.t.Subnets {
		t, associated := b.tables[s.ID]
		switch {
		case !associated && vpcs[s.VPC]:
			s.Public = topology.Known(false)
		case !associated:
			s.Public = topology.Unknown[bool]("subnet " + string(s.ID) + " uses the main route table of a VPC that is not declared here")
		case t.table.IsUnknown():
			s.Public = topology.Unknown[bool](t.table.Why())
		default:
			s.Public = b.reachesInternet(t)
		}
	}
}

func (b *builder) reachesInternet(t tableOf) topology.Opt[bool] {
	id, _ := t.table.Get()
	result := topology.Known(false)
	if !t.declared {
		result = topology.Unknown[bool]("route table " + string(id) + " is not declared here")
	}
	for _, internet := range b.routes[id] {
		switch yes, known := internet.Get(); {
		case yes:
			return topology.Known(true)
		case !known:
			result = internet
		}
	}
	return result
}

func (b *builder) namespace(r *cfn.Resource, kind string) *topology.Namespace {
	return &topology.Namespace{Origin: b.at, Name: b.text(r.Prop("Name")), Kind: kind}
}

func (b *builder) instance(r *cfn.Resource) *topology.Instance {
	i := &topology.Instance{
		Origin:   b.at,
		Subnet:   b.id(r.Prop("SubnetId"), "AWS::EC2::Subnet", "SubnetId"),
		Groups:   b.groupIDs(r.Prop("SecurityGroupIds")),
		UserData: b.userData(r.Prop("UserData")),
	}
	for _, tag := range r.Prop("Tags").Items() {
		if k, _ := tag.Get("Key").Text(); k == "Name" {
			i.Name = b.label(tag.Get("Value"))
		}
	}
	if nic := r.Prop("NetworkInterfaces"); !nic.IsAbsent() {
		b.primaryInterface(i, nic)
	}
	if len(i.Groups) == 0 {
		v := r.Prop("LaunchTemplate")
		if !v.IsAbsent() {
			i.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID](v.Pos().String() + ": the launch template may set the security groups")}
		}
	}
	return i
}

// primaryInterface reads what an instance says on its first network interface
// instead of on itself.
func (b *builder) primaryInterface(i *topology.Instance, nics cfn.Value) {
	if nics.Kind() != cfn.List {
		i.Groups = []topology.Opt[topology.ID]{open[topology.ID](b, nics, "a list of network interfaces")}
		return
	}
	for n, nic := range nics.Items() {
		index := nic.Get("DeviceIndex")
		if d, ok := index.Int(); ok && d != 0 || index.IsAbsent() && n > 0 {
			continue
		}
		if s := nic.Get("SubnetId"); !s.IsAbsent() {
			i.Subnet = b.id(s, "AWS::EC2::Subnet", "SubnetId")
		}
		i.Groups = append(i.Groups, b.groupIDs(nic.Get("GroupSet"))...)
		i.PublicIP = b.boolean(nic.Get("AssociatePublicIpAddress"))
	}
}

// userData returns the script of an instance; the template holds it in base64.
func (b *builder) userData(v cfn.Value) topology.Opt[string] {
	o := b.label(v)
	t, ok := o.Get()
	if !ok {
		return o
	}
	script, err := base64.StdEncoding.DecodeString(t)
	if err != nil {
		return topology.Unknown[string](v.Pos().String() + ": the user data is not base64")
	}
	return topology.Known(string(script))
}
