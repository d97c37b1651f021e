package api

import (
	"context"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// EC2 is asked for networks and security groups only. Its module is the largest
// of the SDK, so these are types of our own, with the names of its XML.

type ec2Filter struct {
	Name  string
	Value []string
}

type describeEC2Input struct {
	GroupID    []string `xml:"-"`
	SubnetID   []string `xml:"-"`
	VpcID      []string `xml:"-"`
	Filter     []ec2Filter
	MaxResults *int32
	NextToken  *string
}

type securityGroups struct {
	Groups []securityGroup `xml:"securityGroupInfo>item"`
}

type securityGroup struct {
	OwnerID     string       `xml:"ownerId"`
	GroupID     string       `xml:"groupId"`
	GroupName   string       `xml:"groupName"`
	Description string       `xml:"groupDescription"`
	VpcID       string       `xml:"vpcId"`
	Ingress     []permission `xml:"ipPermissions>item"`
	Egress      []permission `xml:"ipPermissionsEgress>item"`
}

type permission struct {
	Protocol string       `xml:"ipProtocol"`
	From     *int         `xml:"fromPort,omitempty"`
	To       *int         `xml:"toPort,omitempty"`
	Groups   []groupPeer  `xml:"groups>item"`
	Ranges   []rangePeer  `xml:"ipRanges>item"`
	Ranges6  []range6Peer `xml:"ipv6Ranges>item"`
	Prefixes []prefixPeer `xml:"prefixListIds>item"`
}

type groupPeer struct {
	UserID      string `xml:"userId"`
	GroupID     string `xml:"groupId"`
	Description string `xml:"description,omitempty"`
}

type rangePeer struct {
	CIDR        string `xml:"cidrIp"`
	Description string `xml:"description,omitempty"`
}

type range6Peer struct {
	CIDR        string `xml:"cidrIpv6"`
	Description string `xml:"description,omitempty"`
}

type prefixPeer struct {
	ID          string `xml:"prefixListId"`
	Description string `xml:"description,omitempty"`
}

type subnets struct {
	Subnets []subnet `xml:"subnetSet>item"`
}

type subnet struct {
	SubnetID string `xml:"subnetId"`
	State    string `xml:"state"`
	VpcID    string `xml:"vpcId"`
	CIDR     string `xml:"cidrBlock"`
	Zone     string `xml:"availabilityZone"`
	Public   bool   `xml:"mapPublicIpOnLaunch"`
	OwnerID  string `xml:"ownerId"`
}

type vpcs struct {
	VPCs []vpc `xml:"vpcSet>item"`
}

type vpc struct {
	VpcID   string `xml:"vpcId"`
	State   string `xml:"state"`
	CIDR    string `xml:"cidrBlock"`
	OwnerID string `xml:"ownerId"`
	Default bool   `xml:"isDefault"`
}

func (a *API) registerEC2(s *wire.Server) {
	wire.Handle(s, "ec2", "DescribeSecurityGroups", a.describeSecurityGroups)
	wire.Handle(s, "ec2", "DescribeSubnets", a.describeSubnets)
	wire.Handle(s, "ec2", "DescribeVpcs", a.describeVPCs)
}

// lets reports whether ids and filters let a resource through; values are its
// own by filter name.
func (in *describeEC2Input) lets(ids []string, id string, values map[string]string) (bool, error) {
	if len(ids) > 0 && !slices.Contains(ids, id) {
		return false, nil
	}
	for _, f := range in.Filter {
		v, ok := values[f.Name]
		if !ok {
			return false, refusal("InvalidParameterValue", "hoplab cloud does not filter by %s", f.Name)
		}
		if !slices.Contains(f.Value, v) {
			return false, nil
		}
	}
	return true, nil
}

// chosenEC2 are the resources of a type that a request means. An id that there
// is not is an error, as in EC2.
func (v *view) chosenEC2(in *describeEC2Input, kind, missing string, ids []string, values func(account.Resource) map[string]string) (
	out []account.Resource, err error,
) {
	for _, id := range ids {
		if _, ok := v.find(kind, id); !ok {
			return nil, refusal(missing, "The %s ID '%s' does not exist", strings.ToLower(kind[strings.LastIndexByte(kind, ':')+1:]), id)
		}
	}
	for _, r := range v.of(kind) {
		ok, err := in.lets(ids, r.PhysicalID, values(r))
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
}

func (a *API) describeVPCs(_ context.Context, in *describeEC2Input) (*vpcs, error) {
	list, err := a.resources().chosenEC2(in, typeVPC, "InvalidVpcID.NotFound", in.VpcID, func(r account.Resource) map[string]string {
		return map[string]string{"vpc-id": r.PhysicalID, "cidr": account.Text(r.Properties, "CidrBlock")}
	})
	out := &vpcs{}
	for _, r := range list {
		out.VPCs = append(out.VPCs, vpc{VpcID: r.PhysicalID, State: "available", CIDR: account.Text(r.Properties, "CidrBlock"),
			OwnerID: account.ID})
	}
	return out, err
}

func (a *API) describeSubnets(_ context.Context, in *describeEC2Input) (*subnets, error) {
	list, err := a.resources().chosenEC2(in, typeSubnet, "InvalidSubnetID.NotFound", in.SubnetID, func(r account.Resource) map[string]string {
		return map[string]string{"vpc-id": account.Text(r.Properties, "VpcId"), "subnet-id": r.PhysicalID, "availability-zone": zoneOf(r)}
	})
	out := &subnets{}
	for _, r := range list {
		out.Subnets = append(out.Subnets, subnet{SubnetID: r.PhysicalID, State: "available", VpcID: account.Text(r.Properties, "VpcId"),
			CIDR: account.Text(r.Properties, "CidrBlock"), Zone: zoneOf(r), Public: account.Flag(r.Properties, "MapPublicIpOnLaunch"),
			OwnerID: account.ID})
	}
	return out, err
}

// groupName is a security group's name: its own, or one that CloudFormation makes up.
func groupName(r account.Resource) string {
	return *or(account.Text(r.Properties, "GroupName"), r.Stack+"-"+r.LogicalID)
}

func (a *API) describeSecurityGroups(_ context.Context, in *describeEC2Input) (*securityGroups, error) {
	v := a.resources()
	list, err := v.chosenEC2(in, typeGroup, "InvalidGroup.NotFound", in.GroupID, func(r account.Resource) map[string]string {
		return map[string]string{"vpc-id": account.Text(r.Properties, "VpcId"), "group-id": r.PhysicalID, "group-name": groupName(r)}
	})
	out := &securityGroups{}
	for _, r := range list {
		g := securityGroup{OwnerID: account.ID, GroupID: r.PhysicalID, GroupName: groupName(r), VpcID: account.Text(r.Properties, "VpcId"),
			Description: account.Text(r.Properties, "GroupDescription")}
		for _, rule := range v.rulesOf(r, "Ingress") {
			g.Ingress = append(g.Ingress, permissionOf(rule, "Source"))
		}
		for _, rule := range v.rulesOf(r, "Egress") {
			g.Egress = append(g.Egress, permissionOf(rule, "Destination"))
		}
		out.Groups = append(out.Groups, g)
	}
	return out, err
}

// rulesOf are a group's rules of one direction: inline and standalone, and
// CloudFormation's for a group that has no inline one outwards.
func (v *view) rulesOf(r account.Resource, direction string) []any {
	rules := slices.Clone(account.List(r.Properties, "SecurityGroup"+direction))
	if len(rules) == 0 && direction == "Egress" {
		rules = append(rules, map[string]any{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"})
	}
	for _, s := range v.of("AWS::EC2::SecurityGroup" + direction) {
		if account.Text(s.Properties, "GroupId") == r.PhysicalID {
			rules = append(rules, s.Properties)
		}
	}
	return rules
}

// permissionOf is a rule; side is Source or Destination.
func permissionOf(rule any, side string) permission {
	p := permission{Protocol: account.Text(rule, "IpProtocol")}
	about := account.Text(rule, "Description")
	if n, ok := account.Int(rule, "FromPort"); ok && p.Protocol != "-1" {
		p.From = &n
	}
	if n, ok := account.Int(rule, "ToPort"); ok && p.Protocol != "-1" {
		p.To = &n
	}
	if id := account.Text(rule, side+"SecurityGroupId"); id != "" {
		p.Groups = append(p.Groups, groupPeer{UserID: account.ID, GroupID: id, Description: about})
	}
	if cidr := account.Text(rule, "CidrIp"); cidr != "" {
		p.Ranges = append(p.Ranges, rangePeer{CIDR: cidr, Description: about})
	}
	if cidr := account.Text(rule, "CidrIpv6"); cidr != "" {
		p.Ranges6 = append(p.Ranges6, range6Peer{CIDR: cidr, Description: about})
	}
	if id := account.Text(rule, side+"PrefixListId"); id != "" {
		p.Prefixes = append(p.Prefixes, prefixPeer{ID: id, Description: about})
	}
	return p
}
