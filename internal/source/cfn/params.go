package cfn

import (
	"strings"
)

// pseudo resolves a pseudo-parameter. What only the deployment settles is
// unknown but equal to itself within one environment.
func (s *Stack) pseudo(name string, line int32) Value {
	if name == "AWS::NoValue" {
		return Value{}
	}
	if v, ok := s.asm.param(s, name); ok {
		return s.known(line, v)
	}
	known := ""
	switch name {
	case "AWS::Region":
		known = s.Region
	case "AWS::AccountId":
		known = s.Account
	case "AWS::StackName":
		known = s.StackName
	}
	if known != "" {
		return s.known(line, known)
	}
	switch name {
	case "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix":
		return s.unknown(line, name+"@"+s.env(), "%s is settled at deploy; settle it with --param %s=VALUE", name, name)
	case "AWS::StackName", "AWS::StackId", "AWS::NotificationARNs":
		return s.unknown(line, name+"@"+s.Name, "%s is settled at deploy; settle it with --param %s:%s=VALUE", name, s.Name, name)
	}
	return s.unknown(line, "", "%s is no pseudo-parameter", name)
}

// env names the environment; stacks whose environment is open are taken to
// be deployed together, as `cdk deploy` and one pair of credentials do it.
func (s *Stack) env() string { return s.Account + "/" + s.Region }

// param returns a value the caller gave: for the stack alone or for all. A
// nested stack gets its parameters from its parent, so only its own name
// reaches it; pseudo-parameters hold for every stack.
func (a *Assembly) param(s *Stack, name string) (string, bool) {
	if v, ok := a.params[s.Name+":"+name]; ok {
		return v, true
	}
	if s.Nested != nil && !strings.HasPrefix(name, "AWS::") {
		return "", false
	}
	v, ok := a.params[name]
	return v, ok
}

// parameter resolves a template parameter: the value given for it, else what
// the parent stack or the manifest passes, else its default.
func (s *Stack) parameter(name string, p *node, line int32) Value {
	typ, _ := p.get("Type").scalar()
	list := strings.Contains(typ, "List<") || typ == "CommaDelimitedList"
	if v, ok := s.asm.param(s, name); ok {
		return s.typed(v, list, line)
	}
	same := "param:" + s.Name + "/" + name
	if s.Nested != nil {
		if v, ok := s.passed(name); ok {
			if t, known := v.Text(); known && list {
				return s.typed(t, list, line)
			}
			return v
		}
	}
	text, ok := s.given[name]
	if !ok {
		d := p.get("Default")
		if text, ok = d.scalar(); !ok {
			v := s.unknown(line, same, "parameter %s has no default; settle it with --param %s=VALUE", name, name)
			return v
		}
	}
	if strings.HasPrefix(typ, "AWS::SSM::Parameter::Value<") {
		return s.fromSSM(text, "parameter "+name, list, line)
	}
	return s.typed(text, list, line)
}

// passed returns what the parent stack gives for a parameter of a nested stack.
func (s *Stack) passed(name string) (Value, bool) {
	r := s.Nested
	params := r.body.get("Properties").get("Parameters")
	if params == nil {
		return Value{}, false
	}
	n := params.get(name)
	if n == nil {
		if params.kind == nMap {
			if _, _, isCall := call(params); !isCall {
				return Value{}, false
			}
		}
		v := r.Stack.eval(params).Get(name)
		return v, !v.IsAbsent()
	}
	v := r.Stack.once(n, "parameter "+name+" of "+r.LogicalID)
	return v, !v.IsAbsent()
}

// typed returns the text, cut at its commas for a list type.
func (s *Stack) typed(text string, list bool, line int32) Value {
	if !list {
		return s.known(line, text)
	}
	fields := strings.Split(text, ",")
	if len(fields) > maxItems {
		return s.unknown(line, "", "a list of more than %d items", maxItems)
	}
	items := make([]Value, len(fields))
	for i, f := range fields {
		items[i] = s.known(line, strings.TrimSpace(f))
	}
	return s.list(line, items)
}

// fromSSM resolves the name of an SSM parameter against the parameters that
// the assembly itself creates.
func (s *Stack) fromSSM(name, what string, list bool, line int32) Value {
	if found := s.asm.ssmValues(s, name); len(found) == 1 {
		if t, ok := found[0].Text(); ok {
			return s.typed(t, list, line)
		}
		if !list {
			return found[0]
		}
	}
	return s.unknown(line, "ssm:"+name+"@"+s.env(), "%s reads SSM parameter %s, which is settled at deploy", what, name)
}

// ssmValues returns the values of the AWS::SSM::Parameter resources with
// that name in the environment of s.
func (a *Assembly) ssmValues(s *Stack, name string) []Value {
	if a.ssm == nil {
		a.ssm = map[string][]*Resource{}
		for _, st := range a.Stacks {
			for _, r := range st.Resources {
				if r.Type != "AWS::SSM::Parameter" || r.exist != yes {
					continue
				}
				if n, ok := r.Prop("Name").Text(); ok {
					k := st.env() + " " + n
					a.ssm[k] = append(a.ssm[k], r)
				}
			}
		}
	}
	var out []Value
	for _, r := range a.ssm[s.env()+" "+name] {
		out = append(out, r.Stack.once(r.body.get("Properties").get("Value"), "SSM parameter "+name))
	}
	return out
}

// dynamic resolves a string with dynamic references, {{resolve:service:key}}.
func (s *Stack) dynamic(text string, line int32) Value {
	name, ok := strings.CutPrefix(text, "{{resolve:ssm:")
	if ok {
		if name, ok = strings.CutSuffix(name, "}}"); ok && !strings.ContainsAny(name, ":{}") {
			return s.fromSSM(name, "a dynamic reference", false, line)
		}
	}
	return s.unknown(line, "dynamic:"+text+"@"+s.env(), "the dynamic reference %.80q is settled at deploy", text)
}
