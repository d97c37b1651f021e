package module

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// reader evaluates one configuration.
type reader struct {
	files  files
	loader *loader
	meter  *meter
	root   string // directory of the root module
	tables map[string]functionTable
	depth  int // of references and templates inside each other
	count  int // resource instances so far
	given  map[string]input
	notes  []resource.Note
	// workspace is what terraform.workspace stands for.
	workspace string
}

// scope is one instance of a module.
type scope struct {
	r         *reader
	tree      *tree
	parent    *scope
	address   string               // "", "module.web", `module.web["a"]`
	iteration map[string]cty.Value // each and count of the call
	uncertain string               // why the module instance may not exist

	memo      map[string]cty.Value // variables, locals, outputs
	calls     map[string]*callInstances
	resources map[string]*instances
}

func (r *reader) newScope(t *tree, parent *scope, address string) *scope {
	return &scope{r: r, tree: t, parent: parent, address: address,
		memo: map[string]cty.Value{}, calls: map[string]*callInstances{}, resources: map[string]*instances{}}
}

func (s *scope) at(key string) string {
	if s.address == "" {
		return key
	}
	return s.address + "." + key
}

// abort is the panic by which an error inside lazy evaluation reaches Read:
// the evaluator in between knows values and diagnostics only.
type abort struct{ err error }

// eval evaluates an expression. iteration holds each, count and the
// iterators of dynamic blocks. A failure is an unknown value that says why.
func (s *scope) eval(a attr, iteration map[string]cty.Value) cty.Value {
	v, diags := s.evalDiags(a.expr, iteration)
	if diags.HasErrors() {
		for _, d := range diags {
			if d.Severity == hcl.DiagError {
				return resource.Unknown(diagText(d))
			}
		}
	}
	return v
}

func (s *scope) evalDiags(expr hclsyntax.Expression, iteration map[string]cty.Value) (cty.Value, hcl.Diagnostics) {
	s.r.depth++
	defer func() { s.r.depth-- }()
	s.r.meter.where = expr.Range()
	if s.r.depth > maxDepth {
		s.r.meter.stop("references lead through more than %d steps", maxDepth)
	}
	ctx := s.context(expr, iteration)
	s.r.meter.where = expr.Range()
	v, diags := expr.Value(ctx)
	s.r.meter.check()
	if !diags.HasErrors() {
		s.r.meter.weigh(v)
	}
	if u, marks := v.Unmark(); !u.IsKnown() && len(marks) == 0 {
		v = s.explain(v, expr, ctx)
	}
	return v, diags
}

// explain marks an unknown value whose cause the evaluator lost (it does in
// a few places) with the causes of what the expression reads.
func (s *scope) explain(v cty.Value, expr hclsyntax.Expression, ctx *hcl.EvalContext) cty.Value {
	for _, tr := range expr.Variables() {
		part, diags := tr.TraverseAbs(ctx)
		if diags.HasErrors() {
			continue
		}
		if _, marks := part.UnmarkDeep(); !part.IsWhollyKnown() && len(marks) > 0 {
			return v.WithMarks(marks)
		}
	}
	return v.Mark(resource.Cause{Text: fmt.Sprintf("%s is known only after apply", place(expr.Range()))})
}

// context gathers the values that an expression refers to, and nothing else,
// so that evaluation is lazy and follows the references.
func (s *scope) context(expr hclsyntax.Expression, iteration map[string]cty.Value) *hcl.EvalContext {
	vars := map[string]map[string]cty.Value{}
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: s.r.functions(s.tree.config.dir)}
	put := func(root, name string, value func() cty.Value) {
		if vars[root] == nil {
			vars[root] = map[string]cty.Value{}
		}
		if _, done := vars[root][name]; !done {
			vars[root][name] = value()
		}
	}
	data := map[string]map[string]cty.Value{}
	modules := map[string]map[string]bool{}
	for _, tr := range expr.Variables() {
		root, name := tr.RootName(), attrName(tr, 1)
		if v, ok := iteration[root]; ok {
			ctx.Variables[root] = v
			continue
		}
		switch root {
		case "var":
			put(root, name, func() cty.Value { return s.variable(name) })
		case "local":
			put(root, name, func() cty.Value { return s.local(name) })
		case "path":
			put(root, name, func() cty.Value { return s.path(name) })
		case "terraform":
			put(root, name, func() cty.Value {
				if name == "workspace" {
					return cty.StringVal(s.r.workspace)
				}
				return resource.Unknown("terraform." + name + " is known to Terraform only")
			})
		case "module":
			if modules[name] == nil {
				modules[name] = map[string]bool{}
			}
			if child := s.tree.children[name]; child != nil {
				for _, o := range child.outputsOf(tr[2:]) {
					modules[name][o] = true
				}
			}
		case "data":
			typ, label := name, attrName(tr, 2)
			if data[typ] == nil {
				data[typ] = map[string]cty.Value{}
			}
			if _, done := data[typ][label]; !done {
				data[typ][label] = s.resourceValue("data." + typ + "." + label)
			}
		case "each", "count", "self", "ephemeral", "provider":
			ctx.Variables[root] = resource.Unknown(fmt.Sprintf("%s: %s has no value here", place(tr.SourceRange()), root))
		default:
			put(root, name, func() cty.Value { return s.resourceValue(root + "." + name) })
		}
	}
	for _, name := range sortedKeys(modules) {
		put("module", name, func() cty.Value { return s.moduleValue(name, modules[name]) })
	}
	for typ, labels := range data {
		put("data", typ, func() cty.Value { return cty.ObjectVal(labels) })
	}
	for root, values := range vars {
		ctx.Variables[root] = cty.ObjectVal(values)
	}
	return ctx
}

// once evaluates a node of the module, keeping its value.
func (s *scope) once(node string, value func() cty.Value) cty.Value {
	if v, ok := s.memo[node]; ok {
		return v
	}
	// The graph is free of cycles; this stands in for one that it missed.
	s.memo[node] = resource.Unknown(s.at(node) + " refers to itself")
	v := value()
	s.memo[node] = v
	return v
}

func (s *scope) local(name string) cty.Value {
	a, ok := s.tree.config.locals[name]
	if !ok {
		return resource.Unknown("local." + name + " is not declared")
	}
	return s.once("local."+name, func() cty.Value { return s.eval(a, nil) })
}

func (s *scope) output(name string) cty.Value {
	return s.once("output."+name, func() cty.Value { return s.eval(s.tree.config.outputs[name], nil) })
}

func (s *scope) variable(name string) cty.Value {
	v := s.tree.config.variables[name]
	if v == nil {
		return resource.Unknown("var." + name + " is not declared")
	}
	return s.once("var."+name, func() cty.Value {
		value := s.argument(v)
		s.r.meter.where = v.rng
		s.r.meter.weigh(value)
		return value
	})
}

// argument returns the value that the caller of the module gives a variable.
func (s *scope) argument(v *variable) cty.Value {
	if s.parent == nil {
		given, set := s.r.given[v.name]
		value, err := s.r.rootVariable(v, given, set)
		if err != nil {
			panic(abort{err})
		}
		return value
	}
	a, set := s.tree.call.body.attrs[v.name]
	if set {
		value := s.parent.eval(a, s.iteration)
		if u, _ := value.Unmark(); u.IsKnown() && u.IsNull() && !v.nullable {
			set = false
		} else if typed, err := v.typed(value); err == nil {
			return typed
		} else if resource.HasSymbol(value) || !value.IsWhollyKnown() {
			return cty.UnknownVal(v.typ).Mark(resource.Cause{Text: fmt.Sprintf("%s: known only after apply", place(a.rng))})
		} else {
			panic(abort{fail.Newf(fail.Usage, fmt.Sprintf("the variable is declared at %s", place(v.rng)), "%s: not a value for variable %q: %v", place(a.rng), v.name, err)})
		}
	}
	value, err := s.r.rootVariable(v, input{}, false)
	if err != nil {
		panic(abort{err})
	}
	if v.def == nil {
		return cty.UnknownVal(v.typ).Mark(resource.Cause{Text: fmt.Sprintf("%s: %s gives no value for its variable %q", place(s.tree.call.rng), s.tree.path, v.name)})
	}
	return value
}

// path returns path.module and path.root relative to the root module, so
// that a reading does not depend on where it is done.
func (s *scope) path(name string) cty.Value {
	switch name {
	case "module":
		rel, err := relative(s.r.root, s.tree.config.dir)
		if err == nil {
			return cty.StringVal(rel)
		}
	case "root":
		return cty.StringVal(".")
	}
	return resource.Unknown("path." + name + " depends on the machine")
}
