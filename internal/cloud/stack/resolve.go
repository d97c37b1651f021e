package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// env is what a template of this stack is evaluated in.
func (s *stack) env(t *template, params map[string]any) *env {
	return &env{params: params, mappings: t.mappings, conditions: t.conditions, known: map[string]bool{}, busy: map[string]bool{},
		resources: map[string]bool{}, pseudo: s.pseudo()}
}

func (s *stack) pseudo() map[string]string {
	return map[string]string{"AWS::AccountId": s.all.account, "AWS::Region": s.all.region, "AWS::Partition": "aws",
		"AWS::URLSuffix": "amazonaws.com", "AWS::StackName": s.name, "AWS::StackId": s.id}
}

// settle evaluates a template with the parameters that are given; a previous
// value is the stack's own.
func (s *stack) settle(t *template, given map[string]string, previous []string) (*settled, error) {
	var unknown, missing []string
	for name := range given {
		if _, ok := t.parameters[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, invalid("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	given = maps.Clone(given)
	if given == nil {
		given = map[string]string{}
	}
	params := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(t.parameters)) {
		def, _ := t.parameters[name].(map[string]any)
		if slices.Contains(previous, name) && s.target != nil {
			if v, ok := s.target.given[name]; ok {
				given[name] = v
			}
		}
		text, ok := given[name]
		if !ok {
			text, ok = def["Default"].(string)
		}
		if !ok {
			missing = append(missing, name)
			continue
		}
		v, err := s.parameter(def, name, text)
		if err != nil {
			return nil, err
		}
		params[name] = v
	}
	if len(missing) > 0 {
		return nil, invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	out, err := t.settle(s.env(t, params))
	if err != nil {
		return nil, err
	}
	out.given = given
	return out, nil
}

// parameter gives a parameter's text the form of its type.
func (s *stack) parameter(def map[string]any, name, text string) (any, error) {
	typ, _ := def["Type"].(string)
	if strings.HasPrefix(typ, "AWS::SSM::Parameter::Value<") {
		v, ok := s.all.provider.Parameter(text)
		if !ok {
			return nil, invalid("Unable to fetch parameters [%s] from parameter store for this account.", text)
		}
		text = v
	}
	if allowed, ok := def["AllowedValues"].([]any); ok && !slices.Contains(allowed, any(text)) {
		return nil, invalid("Template error: Parameter '%s' must be one of AllowedValues", name)
	}
	if typ != "CommaDelimitedList" && !strings.Contains(typ, "List<") {
		return text, nil
	}
	list := []any{}
	for _, f := range strings.Split(text, ",") {
		list = append(list, strings.TrimSpace(f))
	}
	return list, nil
}

// deployed resolves references by the keys of what is deployed of a stack.
type deployed struct {
	s     *stack
	byKey map[string]*physical
}

// resolver evaluates settled values whose references are keys.
func (s *stack) resolver() *env {
	d := deployed{s, map[string]*physical{}}
	e := &env{pseudo: map[string]string{}, resources: map[string]bool{}, refs: d}
	for _, p := range s.physicals() {
		d.byKey[p.Key] = p
		e.resources[p.Key] = true
	}
	return e
}

func (d deployed) ref(key string) (any, error) { return d.byKey[key].PhysicalID, nil }

func (d deployed) attribute(key, name string) (any, error) {
	p := d.byKey[key]
	if v, ok := p.Attributes[name]; ok {
		return v, nil
	}
	return nil, invalid("Template error: resource %s does not support attribute type %s in Fn::GetAtt", p.LogicalID, name)
}

func (d deployed) imported(name string) (any, error) {
	if v, ok := d.s.all.export(name); ok {
		return v, nil
	}
	return nil, invalid("No export named %s found.", name)
}

// export returns the value of an export of any stack.
func (a *Stacks) export(name string) (string, bool) {
	for _, s := range a.stacks {
		for id, o := range s.outputs {
			if o.export == name && !s.gone() {
				return s.values[id], true
			}
		}
	}
	return "", false
}

// importers lists the stacks that import an export now.
func (a *Stacks) importers(name string) (names []string) {
	for _, s := range a.stacks {
		used := false
		for _, p := range s.physicals() {
			walkImports(p.bound, func(n string) { used = used || n == name })
		}
		for _, o := range s.outputs {
			walkImports(o.value, func(n string) { used = used || n == name })
		}
		if used && !s.gone() {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return names
}

func walkImports(v any, found func(string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walkImports(e, found)
		}
	case map[string]any:
		if name, arg, ok := call(v); ok && name == "Fn::ImportValue" {
			if s, isText := arg.(string); isText {
				found(s)
			}
		}
		for _, e := range v {
			walkImports(e, found)
		}
	}
}

// bind puts the keys of what is deployed in the place of logical ids.
func (s *stack) bind(v any) any {
	return rename(v, func(id string) string {
		if p := s.current[id]; p != nil {
			return p.Key
		}
		return id
	})
}

// newKey names another resource of a logical id in the stack's view.
func (s *stack) newKey(logicalID string) string {
	s.keys[logicalID]++
	if n := s.keys[logicalID]; n > 1 {
		return fmt.Sprintf("%sR%d", logicalID, n)
	}
	return logicalID
}

// complete evaluates the outputs, when what they hang on is there.
func (s *stack) complete(outputs map[string]output) (map[string]output, map[string]string, error) {
	bound, values := map[string]output{}, map[string]string{}
	e := s.resolver()
	for id, o := range outputs {
		o.value = s.bind(o.value)
		v, err := e.eval(o.value)
		if err != nil {
			return nil, nil, err
		}
		text, ok := v.(string)
		if !ok {
			return nil, nil, invalid("Template format error: The Value field of output %s must evaluate to a String.", id)
		}
		bound[id], values[id] = o, text
	}
	return bound, values, nil
}
