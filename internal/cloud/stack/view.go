package stack

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/hoplab/hoplab/internal/source/cfn"
)

// View gives what there is as one template a stack: every resource under its
// key, with the properties that it has now and references by key.
func (a *Stacks) View() ([]cfn.Template, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []cfn.Template
	for _, s := range a.stacks {
		list := slices.DeleteFunc(s.physicals(), func(p *physical) bool { return p.Key == "" })
		if len(list) == 0 {
			continue
		}
		text, err := s.view(list)
		if err != nil {
			return nil, err
		}
		out = append(out, cfn.Template{Name: s.name, Account: a.account, Region: a.region, Text: text})
	}
	return out, nil
}

func (s *stack) view(list []*physical) ([]byte, error) {
	there := map[string]bool{}
	for _, p := range list {
		there[p.Key] = true
	}
	resources := map[string]any{}
	for _, p := range list {
		r := map[string]any{"Type": p.Type, "Properties": p.bound}
		if p.Metadata != nil {
			r["Metadata"] = p.Metadata
		}
		waits := slices.DeleteFunc(slices.Clone(p.waits), func(key string) bool { return !there[key] || key == p.Key })
		if len(waits) > 0 {
			r["DependsOn"] = waits
		}
		resources[p.Key] = r
	}
	outputs := map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(s.outputs)) {
		o := s.outputs[id]
		whole := o.export != ""
		walkRefs(o.value, func(key string) { whole = whole && there[key] })
		if whole {
			outputs[id] = map[string]any{"Value": o.value, "Export": map[string]any{"Name": o.export}}
		}
	}
	return json.Marshal(map[string]any{"Resources": resources, "Outputs": outputs})
}
