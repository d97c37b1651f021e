package stack

import (
	"maps"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
)

// MaxTemplate bounds a template, in bytes: CloudFormation takes 1 MB from S3.
const MaxTemplate = 1 << 20

// maxResources is CloudFormation's limit of a template.
const maxResources = 500

// template is a template as data, nothing evaluated.
type template struct {
	text                                      string
	parameters, mappings, conditions, outputs map[string]any
	resources                                 map[string]map[string]any
}

func parseTemplate(text string) (*template, error) {
	if len(text) > MaxTemplate {
		return nil, invalid("Template may not exceed %d bytes in size.", MaxTemplate)
	}
	data, err := cfn.Plain("template", []byte(text))
	if err != nil {
		return nil, invalid("Template format error: %v", err)
	}
	root, ok := data.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: unsupported structure.")
	}
	t := &template{text: text, resources: map[string]map[string]any{}}
	sections := map[string]*map[string]any{"Parameters": &t.parameters, "Mappings": &t.mappings,
		"Conditions": &t.conditions, "Outputs": &t.outputs}
	for name, to := range sections {
		v, ok := root[name]
		if !ok {
			continue
		}
		if *to, ok = v.(map[string]any); !ok {
			return nil, invalid("Template format error: Every %s object must be a map.", name)
		}
	}
	for _, name := range []string{"Transform", "Hooks"} {
		if _, ok := root[name]; ok {
			return nil, invalid("hoplab cloud does not run a template's %s", name)
		}
	}
	resources, ok := root["Resources"].(map[string]any)
	if !ok || len(resources) == 0 {
		return nil, invalid("Template format error: At least one Resources member must be defined.")
	}
	if len(resources) > maxResources {
		return nil, invalid("Template format error: Number of resources, %d, is greater than maximum allowed, %d", len(resources), maxResources)
	}
	for id, v := range resources {
		body, ok := v.(map[string]any)
		if typ, _ := body["Type"].(string); !ok || typ == "" {
			return nil, invalid("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", id)
		}
		t.resources[id] = body
	}
	return t, nil
}

// body is a resource whose parameters, conditions and mappings are settled:
// functions are left where they hang on a resource or on an export.
type body struct {
	typ                string
	properties         map[string]any
	dependsOn          []string
	metadata           any
	onDelete, onUpdate string // DeletionPolicy and UpdateReplacePolicy; empty is Delete
}

// output is an entry of Outputs, settled likewise.
type output struct {
	value               any
	export, description string
}

// settled is a template with the values of its parameters.
type settled struct {
	template *template
	given    map[string]string // values of parameters that were given
	params   map[string]any    // of all of them: text, or a list of texts
	bodies   map[string]*body
	outputs  map[string]output
	order    []string // of creation
	uses     map[string][]string
}

// settle evaluates what does not hang on resources.
func (t *template) settle(e *env) (*settled, error) {
	s := &settled{template: t, params: e.params, bodies: map[string]*body{}, outputs: map[string]output{}, uses: map[string][]string{}}
	for _, id := range slices.Sorted(maps.Keys(t.resources)) {
		there, err := e.exists(t.resources[id])
		if err != nil {
			return nil, err
		}
		if there {
			e.resources[id] = true
		}
	}
	for id := range e.resources {
		b, err := e.body(t.resources[id])
		if err != nil {
			return nil, err
		}
		s.bodies[id] = b
		s.uses[id] = b.uses()
	}
	for _, name := range slices.Sorted(maps.Keys(t.outputs)) {
		if err := s.output(e, name); err != nil {
			return nil, err
		}
	}
	return s, s.sort()
}

func (s *settled) output(e *env, name string) error {
	m, ok := s.template.outputs[name].(map[string]any)
	if !ok {
		return invalid("Template format error: Output %s must be a map.", name)
	}
	if there, err := e.exists(m); err != nil || !there {
		return err
	}
	v, err := e.eval(m["Value"])
	if err != nil {
		return err
	}
	o := output{value: v}
	o.description, _ = m["Description"].(string)
	if ex, ok := m["Export"].(map[string]any); ok {
		n, err := e.eval(ex["Name"])
		if err != nil {
			return err
		}
		if o.export, ok = n.(string); !ok {
			return invalid("Template format error: Output %s is malformed. The Name field of every Export member must be specified.", name)
		}
	}
	s.outputs[name] = o
	return nil
}

// body settles one resource.
func (e *env) body(src map[string]any) (*body, error) {
	b := &body{metadata: src["Metadata"]}
	b.typ, _ = src["Type"].(string)
	b.onDelete, _ = src["DeletionPolicy"].(string)
	b.onUpdate, _ = src["UpdateReplacePolicy"].(string)
	switch d := src["DependsOn"].(type) {
	case string:
		b.dependsOn = []string{d}
	case []any:
		for _, v := range d {
			if id, ok := v.(string); ok {
				b.dependsOn = append(b.dependsOn, id)
			}
		}
	}
	b.dependsOn = slices.DeleteFunc(b.dependsOn, func(id string) bool { return !e.resources[id] })
	v, err := e.eval(src["Properties"])
	if err != nil {
		return nil, err
	}
	b.properties, _ = v.(map[string]any)
	return b, nil
}

// uses lists the resources that a body waits for.
func (b *body) uses() []string {
	found := map[string]bool{}
	walkRefs(b.properties, func(id string) { found[id] = true })
	for _, id := range b.dependsOn {
		found[id] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// sort puts the resources into the order of creation: by dependency, and by name.
func (s *settled) sort() error {
	placed := map[string]bool{}
	for len(placed) < len(s.bodies) {
		var ready []string
		for id := range s.bodies {
			if !placed[id] && !slices.ContainsFunc(s.uses[id], func(u string) bool { return !placed[u] }) {
				ready = append(ready, id)
			}
		}
		if len(ready) == 0 {
			var left []string
			for id := range s.bodies {
				if !placed[id] {
					left = append(left, id)
				}
			}
			slices.Sort(left)
			return invalid("Circular dependency between resources: [%s]", strings.Join(left, ", "))
		}
		slices.Sort(ready)
		for _, id := range ready {
			placed[id] = true
		}
		s.order = append(s.order, ready...)
	}
	return nil
}

// exists evaluates the condition of a resource or an output.
func (e *env) exists(m map[string]any) (bool, error) {
	name, ok := m["Condition"].(string)
	if !ok {
		return true, nil
	}
	return e.condition(name)
}
