package api

import (
	"context"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// Cloud Map's operations have three members each that anybody asks for, so they
// are types of our own in the place of another module of the SDK.

type namespaceSummary struct {
	ID   string `json:"Id"`
	ARN  string `json:"Arn"`
	Name string `json:"Name"`
	Type string `json:"Type"`
}

type discoverySummary struct {
	ID   string `json:"Id"`
	ARN  string `json:"Arn"`
	Name string `json:"Name"`
}

type discovered struct {
	InstanceID    string            `json:"InstanceId"`
	NamespaceName string            `json:"NamespaceName"`
	ServiceName   string            `json:"ServiceName"`
	HealthStatus  string            `json:"HealthStatus"`
	Attributes    map[string]string `json:"Attributes"`
}

type discoveryFilter struct {
	Name      string
	Condition string
	Values    []string
}

type listOf struct {
	Filters    []discoveryFilter
	MaxResults *int32
	NextToken  *string
}

func (a *API) registerDiscovery(s *wire.Server) {
	const service = "servicediscovery"
	wire.Handle(s, service, "ListNamespaces", a.listNamespaces)
	wire.Handle(s, service, "ListServices", a.listDiscoveryServices)
	wire.Handle(s, service, "DiscoverInstances", a.discoverInstances)
}

// discoveryID is the id of a Cloud Map service.
func discoveryID(namespace, name string) string { return hexID("srv-", 16, namespace, name) }

// namespaceName is the name of a service's Service Connect namespace, which its
// properties give as an ARN or a name.
func namespaceName(v *view, properties map[string]any) string {
	ref := account.Text(properties, "ServiceConnectConfiguration", "Namespace")
	for _, r := range v.of(typeNamespace) {
		if ref == r.PhysicalID || ref == r.ARN || ref == account.Text(r.Attributes, "Arn") {
			return account.Text(r.Properties, "Name")
		}
	}
	return ref
}

type listNamespacesOutput struct {
	Namespaces []namespaceSummary
	NextToken  *string `json:",omitempty"`
}

func (a *API) listNamespaces(_ context.Context, in *listOf) (*listNamespacesOutput, error) {
	v := a.resources()
	out := []namespaceSummary{}
	for _, r := range v.of(typeNamespace) {
		n := namespaceSummary{ID: r.PhysicalID, ARN: r.ARN, Name: account.Text(r.Properties, "Name"), Type: "HTTP"}
		if n.ARN == "" {
			n.ARN = account.Text(r.Attributes, "Arn")
		}
		ok, err := passes(in.Filters, map[string]string{"NAME": n.Name, "TYPE": n.Type, "HTTP_NAME": n.Name})
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, n)
		}
	}
	out, next := page(out, in.NextToken, or32(in.MaxResults, 100), func(n namespaceSummary) string { return n.ID })
	return &listNamespacesOutput{Namespaces: out, NextToken: next}, nil
}

// passes reports whether values by filter name pass all filters.
func passes(filters []discoveryFilter, values map[string]string) (bool, error) {
	for _, f := range filters {
		v, ok := values[f.Name]
		if !ok {
			return false, refusal("InvalidInput", "hoplab cloud does not filter by %s", f.Name)
		}
		match := slices.Contains(f.Values, v)
		if f.Condition == "BEGINS_WITH" {
			match = slices.ContainsFunc(f.Values, func(p string) bool { return strings.HasPrefix(v, p) })
		}
		if !match {
			return false, nil
		}
	}
	return true, nil
}

type listDiscoveryServicesOutput struct {
	Services  []discoverySummary
	NextToken *string `json:",omitempty"`
}

func (a *API) listDiscoveryServices(_ context.Context, in *listOf) (*listDiscoveryServicesOutput, error) {
	v := a.look()
	out := []discoverySummary{}
	for _, n := range v.status.Namespaces {
		id := n.Name
		for _, r := range v.of(typeNamespace) {
			if account.Text(r.Properties, "Name") == n.Name {
				id = r.PhysicalID
			}
		}
		ok, err := passes(in.Filters, map[string]string{"NAMESPACE_ID": id})
		if err != nil {
			return nil, err
		}
		for _, e := range n.Entries {
			if ok {
				id := discoveryID(n.Name, e.Name)
				out = append(out, discoverySummary{ID: id, ARN: v.arn("servicediscovery", "service/"+id), Name: e.Name})
			}
		}
	}
	out, next := page(out, in.NextToken, or32(in.MaxResults, 100), func(s discoverySummary) string { return s.ID })
	return &listDiscoveryServicesOutput{Services: out, NextToken: next}, nil
}

type discoverInstancesInput struct {
	NamespaceName, ServiceName          string
	HealthStatus                        string
	MaxResults                          *int32
	QueryParameters, OptionalParameters map[string]string
}

type discoverInstancesOutput struct {
	Instances         []discovered
	InstancesRevision int64
}

func (a *API) discoverInstances(_ context.Context, in *discoverInstancesInput) (*discoverInstancesOutput, error) {
	v := a.look()
	i := slices.IndexFunc(v.of(typeNamespace), func(r account.Resource) bool { return account.Text(r.Properties, "Name") == in.NamespaceName })
	if i < 0 {
		return nil, refusal("NamespaceNotFound", "No namespace with name %s exists", in.NamespaceName)
	}
	for _, n := range v.status.Namespaces {
		for _, e := range n.Entries {
			if n.Name != in.NamespaceName || e.Name != in.ServiceName {
				continue
			}
			out := &discoverInstancesOutput{Instances: []discovered{}, InstancesRevision: int64(len(e.Instances))}
			for _, attributes := range e.Instances {
				out.Instances = append(out.Instances, discovered{InstanceID: uuid(attributes["AWS_INSTANCE_IPV4"], attributes["DeploymentId"]),
					NamespaceName: n.Name, ServiceName: e.Name, HealthStatus: "UNKNOWN", Attributes: attributes})
			}
			return out, nil
		}
	}
	return nil, refusal("ServiceNotFound", "No service with name %s exists in namespace %s", in.ServiceName, in.NamespaceName)
}
