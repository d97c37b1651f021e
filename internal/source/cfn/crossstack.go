package cfn

import "strings"

// fnImportValue resolves an import against the exports of the assembly.
func (s *Stack) fnImportValue(arg *node, line int32) Value {
	name := s.eval(arg)
	key := name.Same()
	if key == "" {
		v := s.unknown(line, "", "Fn::ImportValue: the name is %s", name.describe())
		if name.kind == Unknown {
			v.x.why = name.x.why
		}
		return v
	}
	s.asm.indexExports()
	found := s.asm.exports[s.env()+" "+key]
	switch len(found) {
	case 1:
		s.needs(found[0].stack)
		found[0].imported = true
		return found[0].eval()
	case 0:
		return s.notExported(name, key, line)
	}
	return s.unknown(line, "import:"+key+"@"+s.env(), "export %s is defined by %s and by %s",
		name.Pattern(), found[0].stack.Name, found[1].stack.Name)
}

func (s *Stack) notExported(name Value, key string, line int32) Value {
	same := "import:" + key + "@" + s.env()
	open := func(format string, args ...any) Value {
		v := s.unknown(line, same, format, args...)
		v.x.label = "import:" + name.Pattern()
		return v
	}
	for _, o := range s.asm.unnamed {
		if o.stack == s {
			continue // a stack does not import what it exports itself
		}
		return open("no template exports %s for certain; the name of output %s of stack %s is open: %s",
			name.Pattern(), o.id, o.stack.Name, o.name.Why())
	}
	return open("no template here exports %s; give the template that does, too", name.Pattern())
}

// indexExports evaluates the names of all exports once.
func (a *Assembly) indexExports() {
	if a.exports != nil {
		return
	}
	a.exports = map[string][]*output{}
	for _, s := range a.Stacks {
		for _, id := range s.outputIDs {
			o := s.outputs[id]
			n := s.root.get("Outputs").get(id).get("Export").get("Name")
			if n == nil {
				continue
			}
			o.name = s.eval(n)
			if key := o.name.Same(); key != "" {
				k := s.env() + " " + key
				a.exports[k] = append(a.exports[k], o)
			}
			if o.name.kind != Scalar {
				a.unnamed = append(a.unnamed, o)
			}
		}
	}
}

// needs records that s uses a value of another stack. A nested stack makes
// the stack that holds it wait.
func (s *Stack) needs(other *Stack) {
	if s.depends == nil {
		s.depends = map[*Stack]bool{}
	}
	s.depends[other] = true
}

// fnGetStackOutput resolves the weak reference of newer CDK versions: an
// output of another stack, by the name the stack is deployed under.
func (s *Stack) fnGetStackOutput(arg *node, line int32) Value {
	if arg == nil || arg.kind != nMap {
		return s.unknown(line, "", "Fn::GetStackOutput wants StackName and OutputName")
	}
	stack, okS := s.eval(arg.get("StackName")).Text()
	id, okO := s.eval(arg.get("OutputName")).Text()
	if !okS || !okO {
		return s.unknown(line, "", "Fn::GetStackOutput: the stack or the output is not settled")
	}
	region := s.Region
	if n := arg.get("Region"); n != nil {
		r := s.eval(n)
		if t, ok := r.Text(); ok {
			region = t
		} else if r.Same() != "AWS::Region@"+s.env() {
			return s.unknown(line, "", "Fn::GetStackOutput: the region is not settled")
		}
	}
	var found []*Stack
	for _, o := range s.asm.Stacks {
		if o.StackName == stack && o.Nested == nil && o.Region == region {
			found = append(found, o)
		}
	}
	same := "output:" + stack + "." + id + "@" + region
	if len(found) > 1 && arg.get("RoleArn") == nil { // several accounts: its own is meant
		found = ownAccount(found, s)
	}
	if len(found) != 1 {
		return s.unknown(line, same, "Fn::GetStackOutput: %d stacks here are deployed as %s; one is wanted", len(found), stack)
	}
	o := found[0].outputs[id]
	if o == nil {
		return s.unknown(line, same, "Fn::GetStackOutput: stack %s has no output %s", stack, id)
	}
	s.needs(found[0])
	o.imported = true
	return o.eval()
}

func ownAccount(list []*Stack, s *Stack) []*Stack {
	var out []*Stack
	for _, o := range list {
		if o.Account == s.Account {
			out = append(out, o)
		}
	}
	return out
}

// carried resolves an attribute of CDK's Custom::CrossRegionExportReader:
// the value that a Custom::CrossRegionExportWriter of another stack writes
// under the same name.
func (a *Assembly) carried(name string) (Value, bool) {
	if !strings.HasPrefix(name, "/cdk/exports/") {
		return Value{}, false
	}
	if a.writers == nil {
		a.writers = map[string]scoped{}
		for _, s := range a.Stacks {
			for _, r := range s.Resources {
				if r.Type != "Custom::CrossRegionExportWriter" {
					continue
				}
				all := r.body.get("Properties").get("WriterProps").get("exports")
				if all == nil {
					continue
				}
				for i := range all.keys {
					a.writers[all.keys[i].name] = scoped{s, all.kids[i]}
				}
			}
		}
	}
	w, ok := a.writers[name]
	if !ok {
		return Value{}, false
	}
	return w.stack.once(w.node, "cross-region export "+name), true
}
