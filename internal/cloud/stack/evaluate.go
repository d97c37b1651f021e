package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// env is what expressions of a template are evaluated in. Without refs it
// settles: what hangs on a resource or on another stack's export stays a function.
type env struct {
	params               map[string]any
	pseudo               map[string]string
	mappings, conditions map[string]any
	known                map[string]bool // conditions that are evaluated
	busy                 map[string]bool // and those that are being evaluated
	resources            map[string]bool // that there are
	made                 int             // bytes of text that functions have built
	refs                 refs
}

// refs resolves what only a deployed resource has.
type refs interface {
	ref(id string) (any, error)
	attribute(id, name string) (any, error)
	imported(name string) (any, error)
}

// absent is what AWS::NoValue evaluates to.
type absent struct{}

// call returns the function and its argument when v is a function call.
func call(v any) (name string, arg any, ok bool) {
	m, isMap := v.(map[string]any)
	if !isMap || len(m) != 1 {
		return "", nil, false
	}
	for name, arg := range m {
		if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
			return name, arg, true
		}
	}
	return "", nil, false
}

// open reports whether a function is left anywhere in v.
func open(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, open)
	case map[string]any:
		if name, _, ok := call(v); ok && name != "Condition" {
			return true
		}
		for _, e := range v {
			if open(e) {
				return true
			}
		}
	}
	return false
}

// walkRefs reports every resource that a settled value refers to.
func walkRefs(v any, found func(id string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walkRefs(e, found)
		}
	case map[string]any:
		switch name, arg, _ := call(v); name {
		case "Ref":
			found(arg.(string))
		case "Fn::GetAtt":
			found(arg.([]any)[0].(string))
		default:
			for _, e := range v {
				walkRefs(e, found)
			}
		}
	}
}

// rename returns a settled value with every resource under another name.
func rename(v any, to func(id string) string) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = rename(e, to)
		}
		return out
	case map[string]any:
		switch name, arg, _ := call(v); name {
		case "Ref":
			return map[string]any{"Ref": to(arg.(string))}
		case "Fn::GetAtt":
			list := arg.([]any)
			return map[string]any{"Fn::GetAtt": []any{to(list[0].(string)), list[1]}}
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = rename(e, to)
		}
		return out
	}
	return v
}

func (e *env) eval(v any) (any, error) {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "{{resolve:") {
			return nil, invalid("hoplab cloud does not resolve dynamic references, as in %.80q", v)
		}
		return v, nil
	case []any:
		return e.list(v)
	case map[string]any:
		if name, arg, ok := call(v); ok && name != "Condition" {
			return e.call(name, arg)
		}
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			x, err := e.eval(v[k])
			if err != nil {
				return nil, err
			}
			if _, none := x.(absent); !none && x != nil {
				out[k] = x
			}
		}
		return out, nil
	}
	return v, nil
}

func (e *env) list(v []any) (any, error) {
	out := make([]any, 0, len(v))
	for _, item := range v {
		x, err := e.eval(item)
		if err != nil {
			return nil, err
		}
		if _, none := x.(absent); !none {
			out = append(out, x)
		}
	}
	return out, nil
}

func (e *env) call(name string, arg any) (any, error) {
	switch name {
	case "Ref":
		id, ok := arg.(string)
		if !ok {
			return nil, invalid("Template format error: Every Ref object must have a single String value.")
		}
		return e.ref(id)
	case "Fn::GetAtt":
		return e.getAtt(arg)
	case "Fn::If":
		return e.choose(arg)
	case "Fn::Sub":
		return e.sub(arg)
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		b, err := e.truth(map[string]any{name: arg})
		return fmt.Sprint(b), err
	}
	f, ok := functions[name]
	if !ok {
		return nil, invalid("Template format error: hoplab cloud does not know the function %s", name)
	}
	a, err := e.eval(arg)
	if err != nil {
		return nil, err
	}
	if open(a) || name == "Fn::ImportValue" && e.refs == nil {
		if name == "Fn::Join" {
			a = joinKnown(a)
		}
		return map[string]any{name: a}, nil
	}
	return f(e, a)
}

func (e *env) ref(id string) (any, error) {
	if id == "AWS::NoValue" {
		return absent{}, nil
	}
	if v, ok := e.pseudo[id]; ok {
		return v, nil
	}
	if v, ok := e.params[id]; ok {
		return v, nil
	}
	if !e.resources[id] {
		return nil, invalid("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", id)
	}
	if e.refs == nil {
		return map[string]any{"Ref": id}, nil
	}
	return e.refs.ref(id)
}

func (e *env) getAtt(arg any) (any, error) {
	var id, name string
	switch arg := arg.(type) {
	case string:
		id, name, _ = strings.Cut(arg, ".")
	case []any:
		if len(arg) == 2 {
			n, err := e.eval(arg[1])
			if err != nil {
				return nil, err
			}
			id, _ = arg[0].(string)
			name, _ = n.(string)
		}
	}
	if id == "" || name == "" {
		return nil, invalid("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
	}
	if !e.resources[id] {
		return nil, invalid("Template error: instance of Fn::GetAtt references undefined resource %s", id)
	}
	if e.refs == nil {
		return map[string]any{"Fn::GetAtt": []any{id, name}}, nil
	}
	return e.refs.attribute(id, name)
}

func (e *env) choose(arg any) (any, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 3 {
		return nil, invalid("Template error: Fn::If requires a list argument with three items")
	}
	name, _ := list[0].(string)
	b, err := e.condition(name)
	if err != nil {
		return nil, err
	}
	if b {
		return e.eval(list[1])
	}
	return e.eval(list[2])
}

// condition evaluates a condition of the template, once.
func (e *env) condition(name string) (bool, error) {
	if b, ok := e.known[name]; ok {
		return b, nil
	}
	src, ok := e.conditions[name]
	if !ok || e.busy[name] {
		return false, invalid("Template format error: Unresolved condition dependency %s in the Conditions block of the template", name)
	}
	e.busy[name] = true
	defer delete(e.busy, name)
	b, err := e.truth(src)
	if err == nil {
		e.known[name] = b
	}
	return b, err
}

func (e *env) truth(v any) (bool, error) {
	name, arg, ok := call(v)
	if !ok {
		s, isText := v.(string)
		if !isText {
			return false, invalid("Template format error: Every Condition member must be a function.")
		}
		return s == "true", nil
	}
	list, _ := arg.([]any)
	switch name {
	case "Condition":
		id, _ := arg.(string)
		return e.condition(id)
	case "Fn::Not":
		if len(list) != 1 {
			break
		}
		b, err := e.truth(list[0])
		return !b, err
	case "Fn::And", "Fn::Or":
		for _, x := range list {
			b, err := e.truth(x)
			if err != nil || b == (name == "Fn::Or") {
				return b, err
			}
		}
		return name == "Fn::And", nil
	case "Fn::Equals":
		if len(list) != 2 {
			break
		}
		a, err := e.eval(list[0])
		if err != nil {
			return false, err
		}
		b, err := e.eval(list[1])
		return fmt.Sprint(a) == fmt.Sprint(b), err
	default:
		x, err := e.eval(v)
		return x == "true", err
	}
	return false, invalid("Template error: every %s object has a list of conditions", name)
}

// sub turns Fn::Sub into the join of its parts.
func (e *env) sub(arg any) (any, error) {
	text, ok := arg.(string)
	vars := map[string]any{}
	if list, isList := arg.([]any); isList && len(list) == 2 {
		text, ok = list[0].(string)
		vars, _ = list[1].(map[string]any)
	}
	if !ok {
		return nil, invalid("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments.")
	}
	var parts []any
	for {
		before, rest, found := strings.Cut(text, "${")
		parts = append(parts, before)
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, invalid("Template error: variable names in Fn::Sub syntax must end with }")
		}
		text = after
		v, err := e.variable(strings.TrimSpace(name), vars)
		if err != nil {
			return nil, err
		}
		parts = append(parts, v)
	}
	return e.call("Fn::Join", []any{"", parts})
}

// variable evaluates ${NAME} of a Fn::Sub to an expression that is settled.
func (e *env) variable(name string, vars map[string]any) (any, error) {
	if literal, ok := strings.CutPrefix(name, "!"); ok {
		return "${" + literal + "}", nil
	}
	if v, ok := vars[name]; ok {
		return e.eval(v)
	}
	if strings.Contains(name, ".") {
		return e.getAtt(name)
	}
	return e.ref(name)
}
