package api

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// Types of resources that handlers look for.
const (
	typeCluster      = "AWS::ECS::Cluster"
	typeService      = "AWS::ECS::Service"
	typeDefinition   = "AWS::ECS::TaskDefinition"
	typeLoadBalancer = "AWS::ElasticLoadBalancingV2::LoadBalancer"
	typeListener     = "AWS::ElasticLoadBalancingV2::Listener"
	typeRule         = "AWS::ElasticLoadBalancingV2::ListenerRule"
	typeTargetGroup  = "AWS::ElasticLoadBalancingV2::TargetGroup"
	typeLogGroup     = "AWS::Logs::LogGroup"
	typeNamespace    = "AWS::ServiceDiscovery::HttpNamespace"
	typeVPC          = "AWS::EC2::VPC"
	typeSubnet       = "AWS::EC2::Subnet"
	typeGroup        = "AWS::EC2::SecurityGroup"
)

// view is one look at the account: its resources, and the lab's status. A
// request takes one, so that all of its answer is of one moment.
type view struct {
	region    string
	resources []account.Resource
	lab       *lab.Lab
	status    lab.Status // the zero value while nothing runs
}

// look reads the resources, and what runs.
func (a *API) look() *view {
	v := a.resources()
	if v.lab != nil {
		v.status = v.lab.Status()
		a.revisions.note(v)
	}
	return v
}

// resources reads the resources alone, which asks no process of the lab.
func (a *API) resources() *view {
	return &view{region: a.account.Region(), resources: a.account.Resources(), lab: a.account.Lab()}
}

// of lists the resources of a type.
func (v *view) of(kind string) (out []account.Resource) {
	for _, r := range v.resources {
		if r.Type == kind {
			out = append(out, r)
		}
	}
	return out
}

// find returns the resource of a type with that physical id or ARN.
func (v *view) find(kind, id string) (account.Resource, bool) {
	for _, r := range v.resources {
		if r.Type == kind && id != "" && (r.PhysicalID == id || r.ARN == id) {
			return r, true
		}
	}
	return account.Resource{}, false
}

// arn makes an ARN of the account.
func (v *view) arn(service, rest string) string {
	return strings.Join([]string{"arn:aws", service, v.region, account.ID, rest}, ":")
}

// service is what runs of a service; nil when nothing does.
func (v *view) service(id topology.ID) *lab.ServiceStatus { return v.status.Service(id, "") }

// group is a target group's state at the load balancer that uses it; nil without one.
func (v *view) group(id topology.ID) *groupState {
	for i := range v.status.LoadBalancers {
		lb := &v.status.LoadBalancers[i]
		for j := range lb.Groups {
			if lb.Groups[j].ID == string(id) {
				return &groupState{balancer: lb, GroupStatus: &lb.Groups[j]}
			}
		}
	}
	return nil
}

// lastPart is what follows the last slash: the name in an ARN, or the name itself.
func lastPart(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// page cuts a list to what one answer has: most entries from where the token
// says, which is the last name of the page before. next is nil after the last page.
func page[T any](all []T, token *string, most int32, name func(T) string) (out []T, next *string) {
	if token != nil {
		i := slices.IndexFunc(all, func(e T) bool { return name(e) == *token })
		all = all[i+1:] // from the beginning when it is gone
	}
	if most > 0 && len(all) > int(most) {
		last := name(all[most-1])
		return all[:most], &last
	}
	return all, nil
}
