package cfntest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Among returns a template with n more services beside those that it has: copies
// of its first service with a Service Connect endpoint, behind no load
// balancer, each with a name of its own, deployed before the others so that
// these know their names.
func Among(template []byte, n int) ([]byte, error) {
	var t map[string]any
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, err
	}
	resources, _ := t["Resources"].(object)
	var original object
	var services []object
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		r, _ := resources[id].(object)
		if r["Type"] != "AWS::ECS::Service" {
			continue
		}
		services = append(services, r)
		if original == nil && endpointOf(r) != nil {
			original = r
		}
	}
	if original == nil {
		return nil, fmt.Errorf("the template has no service with a Service Connect endpoint to copy")
	}
	for i := range n {
		id, name := fmt.Sprintf("More%d", i), fmt.Sprintf("more%d", i)
		more, err := clone(original)
		if err != nil {
			return nil, err
		}
		for _, key := range []string{"DependsOn", "Metadata"} {
			delete(more, key)
		}
		p := more["Properties"].(object)
		for _, key := range []string{"LoadBalancers", "HealthCheckGracePeriodSeconds"} {
			delete(p, key)
		}
		p["ServiceName"] = name
		e := endpointOf(more)
		e["DiscoveryName"], e["ClientAliases"] = name, []any{object{"Port": 80}}
		resources[id] = more
		for _, s := range services {
			before, _ := s["DependsOn"].([]any)
			s["DependsOn"] = append(before, id)
		}
	}
	return json.MarshalIndent(t, "", " ")
}

// endpointOf is the first Service Connect endpoint of a service, or nil.
func endpointOf(service object) object {
	p, _ := service["Properties"].(object)
	connect, _ := p["ServiceConnectConfiguration"].(object)
	list, _ := connect["Services"].([]any)
	if len(list) == 0 {
		return nil
	}
	e, _ := list[0].(object)
	return e
}

func clone(o object) (out object, err error) {
	raw, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	return out, err
}
