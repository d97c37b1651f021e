package terraform

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	vpcTypes    = []string{"aws_vpc", "aws_default_vpc"}
	subnetTypes = []string{"aws_subnet", "aws_default_subnet"}
	tableTypes  = []string{"aws_route_table", "aws_default_route_table"}
)

func (b *builder) vpc(inst *resource.Instance) {
	v := &topology.VPC{Origin: b.at, CIDR: b.prefix(inst.Body, "cidr_block"), CIDR6: b.prefix(inst.Body, "ipv6_cidr_block")}
	if v.CIDR.IsAbsent() {
		v.CIDR = topology.Unknown[netip.Prefix](b.placed("the VPC's address range is not in the source"))
	}
	if generated, _ := inst.Body.Bool("assign_generated_ipv6_cidr_block").Get(); generated && v.CIDR6.IsAbsent() {
		v.CIDR6 = topology.Unknown[netip.Prefix](b.placed("Amazon assigns the IPv6 range at apply"))
	}
	b.t.VPCs = append(b.t.VPCs, v)
	b.of[inst.Address] = v
}

func (b *builder) subnet(inst *resource.Instance) {
	s := &topology.Subnet{
		Origin: b.at,
		CIDR:   b.prefix(inst.Body, "cidr_block"),
		CIDR6:  b.prefix(inst.Body, "ipv6_cidr_block"),
		AZ:     b.label(inst.Body, "availability_zone"),
	}
	s.VPC, _ = b.id(inst.Body, "vpc_id", vpcTypes...).Get()
	b.t.Subnets = append(b.t.Subnets, s)
	b.of[inst.Address] = s
}

// routing is what decides which subnets are public.
type routing struct {
	routes map[topology.ID][]topology.Opt[bool]      // per route table: does a default route lead to the internet
	tables map[topology.ID]topology.Opt[topology.ID] // per subnet
	main   map[topology.ID]topology.Opt[topology.ID] // per VPC: its main table, where the source chooses one
	stray  string                                    // why a route may belong to any table
}

// routeTable reads the inline routes of a route table.
func (b *builder) routeTable(inst *resource.Instance) {
	id := topology.ID(inst.Address)
	blocks, open := b.blocks(inst.Body, "route")
	if open != "" {
		b.addRoute(id, topology.Unknown[bool](open))
	}
	for _, route := range blocks {
		b.addRoute(id, b.internetRoute(route, "cidr_block", "ipv6_cidr_block"))
	}
	if inst.Type != "aws_default_route_table" {
		return
	}
	// It adopts the main table of a VPC, which default_route_table_id names.
	if s, ok := inst.Body.Raw("default_route_table_id"); ok {
		if address, _, ok := resource.ParseSymbol(s); ok {
			b.chooseMain(topology.Known(topology.ID(address)), topology.Known(id))
			return
		}
	}
	b.chooseMain(topology.Unknown[topology.ID]("default_route_table_id"), topology.Known(id))
}

func (b *builder) route(inst *resource.Instance) {
	internet := b.internetRoute(inst.Body, "destination_cidr_block", "destination_ipv6_cidr_block")
	table, ok := b.tableOf(inst.Body).Get()
	if !ok {
		if internet.Or(true) {
			b.routing.stray = b.placed("the route may belong to any route table")
		}
		return
	}
	b.addRoute(table, internet)
}

// tableOf returns the route table that a body names: one that is declared, or
// the one that AWS makes with a VPC.
func (b *builder) tableOf(body *resource.Body) topology.Opt[topology.ID] {
	if raw, ok := body.Raw("route_table_id"); ok {
		address, attr, _ := resource.ParseSymbol(raw)
		inst := b.byAddress[address]
		if inst != nil && slices.Contains(vpcTypes, inst.Type) && (attr == "main_route_table_id" || attr == "default_route_table_id") {
			return topology.Known(mainTable(topology.ID(address)))
		}
	}
	return b.id(body, "route_table_id", tableTypes...)
}

// mainTable names the route table that AWS makes with a VPC.
func mainTable(vpc topology.ID) topology.ID { return vpc + ".main_route_table_id" }

func (b *builder) addRoute(table topology.ID, internet topology.Opt[bool]) {
	if b.routing.routes == nil {
		b.routing.routes = map[topology.ID][]topology.Opt[bool]{}
	}
	b.routing.routes[table] = append(b.routing.routes[table], internet)
}

// internetRoute reports whether a route sends everything to an internet gateway.
func (b *builder) internetRoute(body *resource.Body, v4, v6 string) topology.Opt[bool] {
	name := v4
	if !body.Has(v4) || body.String(v4).Or("x") == "" {
		name = v6
	}
	destination := b.prefix(body, name)
	if p, ok := destination.Get(); destination.IsAbsent() || ok && p.Bits() != 0 {
		return topology.Known(false)
	}
	gateway := body.Ref("gateway_id")
	target, ok := gateway.Get()
	if !ok {
		if gateway.IsUnknown() {
			return topology.Unknown[bool](gateway.Why())
		}
		return topology.Known(false)
	}
	if address, _, symbol := resource.ParseSymbol(target); symbol {
		inst := b.byAddress[address]
		ok = inst != nil && inst.Type == "aws_internet_gateway"
	} else {
		ok = strings.HasPrefix(target, "igw-")
	}
	if ok && destination.IsUnknown() {
		return topology.Unknown[bool](destination.Why())
	}
	return topology.Known(ok)
}

func (b *builder) association(inst *resource.Instance) {
	subnet, ok := b.id(inst.Body, "subnet_id", subnetTypes...).Get()
	if !ok {
		return
	}
	if b.routing.tables == nil {
		b.routing.tables = map[topology.ID]topology.Opt[topology.ID]{}
	}
	b.routing.tables[subnet] = b.tableOf(inst.Body)
}

func (b *builder) mainAssociation(inst *resource.Instance) {
	b.chooseMain(b.id(inst.Body, "vpc_id", vpcTypes...), b.id(inst.Body, "route_table_id", tableTypes...))
}

func (b *builder) chooseMain(vpc, table topology.Opt[topology.ID]) {
	if b.routing.main == nil {
		b.routing.main = map[topology.ID]topology.Opt[topology.ID]{}
	}
	b.routing.main[vpc.Or("")] = table // "" is the main table of an unknown VPC
}

// publicSubnets decides which subnets reach an internet gateway. A subnet
// without an association uses the main table of its VPC.
func (b *builder) publicSubnets() {
	vpcs := map[topology.ID]bool{}
	for _, v := range b.t.VPCs {
		vpcs[v.ID] = v.Type == "aws_vpc"
	}
	for _, s := range b.t.Subnets {
		table, associated := b.routing.tables[s.ID]
		if !associated {
			table, associated = b.routing.main[s.VPC]
		}
		switch {
		case associated && !table.IsUnknown():
			s.Public = b.reachesInternet(table)
		case associated:
			s.Public = topology.Unknown[bool](table.Why())
		case !vpcs[s.VPC]:
			s.Public = topology.Unknown[bool]("subnet " + string(s.ID) + " uses the main route table of a VPC that is not declared here")
		case len(b.routing.main) > 0:
			s.Public = topology.Unknown[bool]("subnet " + string(s.ID) + " uses the main route table of its VPC, which the source may have changed")
		default:
			s.Public = b.reachesInternet(topology.Known(mainTable(s.VPC)))
		}
	}
}

func (b *builder) reachesInternet(table topology.Opt[topology.ID]) topology.Opt[bool] {
	id, _ := table.Get()
	result := topology.Known(false)
	switch {
	case b.byAddress[string(id)] == nil && b.byAddress[strings.TrimSuffix(string(id), string(mainTable("")))] == nil:
		result = topology.Unknown[bool]("route table " + string(id) + " is not declared here")
	case b.routing.stray != "":
		result = topology.Unknown[bool](b.routing.stray)
	}
	for _, internet := range b.routing.routes[id] {
		switch yes, known := internet.Get(); {
		case yes:
			return topology.Known(true)
		case !known:
			result = internet
		}
	}
	return result
}

func (b *builder) namespace(inst *resource.Instance) {
	kinds := map[string]string{
		"aws_service_discovery_http_namespace":        "http",
		"aws_service_discovery_private_dns_namespace": "private-dns",
		"aws_service_discovery_public_dns_namespace":  "public-dns",
	}
	n := &topology.Namespace{Origin: b.at, Name: b.text(inst.Body, "name"), Kind: kinds[inst.Type]}
	b.t.Namespaces = append(b.t.Namespaces, n)
	b.of[inst.Address] = n
}

func (b *builder) instance(inst *resource.Instance) {
	i := &topology.Instance{
		Origin:   b.at,
		Subnet:   b.id(inst.Body, "subnet_id", subnetTypes...),
		Groups:   b.groupIDs(inst.Body, "vpc_security_group_ids"),
		UserData: b.label(inst.Body, "user_data"),
		PublicIP: b.boolean(inst.Body, "associate_public_ip_address"),
	}
	if tags, _ := inst.Body.Map("tags"); tags != nil {
		i.Name = tags["Name"]
	}
	if i.UserData.IsAbsent() && inst.Body.Has("user_data_base64") {
		i.UserData = b.label(inst.Body, "user_data_base64")
		if s, ok := i.UserData.Get(); ok {
			i.UserData = decodeBase64(b, s)
		}
	}
	if len(i.Groups) == 0 {
		i.Groups = []topology.Opt[topology.ID]{b.defaultGroups(inst)}
	}
	b.t.Instances = append(b.t.Instances, i)
	b.of[inst.Address] = i
}

// defaultGroups says why the groups of an instance that names none are unknown.
func (b *builder) defaultGroups(inst *resource.Instance) topology.Opt[topology.ID] {
	why := b.placed("no vpc_security_group_ids: the VPC's default security group applies, whose rules are not in the source")
	for _, other := range []string{"security_groups", "network_interface", "primary_network_interface", "launch_template"} {
		if inst.Body.Has(other) {
			why = b.placed("%s may set the security groups; it is not read", other)
		}
	}
	return settled(b, topology.Unknown[topology.ID](why))
}
