// Package module reads a directory of Terraform files into resource
// instances, as far as that is possible without Terraform, its providers and
// AWS: it evaluates variables, locals, count, for_each, dynamic blocks, local
// modules and functions, and leaves unknown, with the reason and the place,
// whatever a data source or the apply would tell.
//
// Expressions are evaluated lazily by hclsyntax; this package supplies the
// values. References to resources are symbols, see package resource. The
// work is bounded: see limits.go.
package module

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// Read reads the root module in dir with the given inputs.
//
// Errors carry fail.Usage and begin with file and line where there is one:
// syntax, undeclared references, cycles, values of the wrong type, limits.
func Read(dir string, in Inputs) (*resource.Set, error) {
	return read(disk{}, dir, in)
}

func read(f files, dir string, in Inputs) (set *resource.Set, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case overrun:
			set, err = nil, p.err
		case abort:
			set, err = nil, p.err
		default:
			panic(p)
		}
	}()
	r, t, g, err := open(f, dir, in)
	if err != nil {
		return nil, err
	}
	set = &resource.Set{Name: dir, Needs: g.needs}
	root := r.newScope(t, nil, "")
	root.validate()
	r.gather(root, set)
	set.Given = map[string]string{}
	for _, name := range sortedKeys(t.config.outputs) {
		resource.EachSymbol(root.output(name), func(address, _ string) {
			set.Given[address] = fmt.Sprintf("%s: output %s gives it to others, which are not read", place(t.config.outputs[name].rng), name)
		})
	}
	set.Notes = append(set.Notes, r.notes...)
	set.Sort()
	return set, nil
}

// open loads and checks a configuration, ready to be evaluated.
func open(f files, dir string, in Inputs) (*reader, *tree, *graph, error) {
	m := &meter{left: maxSteps}
	l := &loader{files: f, meter: m, configs: map[string]*config{}, names: map[string]bool{}}
	r := &reader{files: f, loader: l, meter: m, root: filepath.Clean(dir), tables: map[string]functionTable{}}
	t, err := l.tree(r.root, l.installed(r.root))
	if err != nil {
		return nil, nil, nil, err
	}
	g, err := t.graph()
	if err != nil {
		return nil, nil, nil, err
	}
	r.workspace = workspace(f, r.root, in.Env)
	r.given, err = r.inputs(t.config, in)
	return r, t, g, err
}

// workspace returns the selected workspace: the one in the environment, or
// the one that `terraform workspace select` left in the directory.
func workspace(f files, dir string, env []string) string {
	for _, pair := range env {
		if name, ok := strings.CutPrefix(pair, "TF_WORKSPACE="); ok && name != "" {
			return name
		}
	}
	if src, err := f.readBelow(dir, filepath.Join(dir, ".terraform", "environment")); err == nil {
		if name := strings.TrimSpace(string(src)); name != "" && resource.IsSettled(name) {
			return name
		}
	}
	return "default"
}

func (r *reader) note(n resource.Note) { r.notes = append(r.notes, n) }

// gather collects the instances of a module and of the modules it calls.
func (r *reader) gather(s *scope, set *resource.Set) {
	c := s.tree.config
	for _, accepted := range c.suppress {
		if !slices.Contains(set.Suppress, accepted) {
			set.Suppress = append(set.Suppress, accepted)
		}
	}
	for _, key := range sortedKeys(c.resources) {
		set.Instances = append(set.Instances, s.expand(key).all...)
	}
	for _, name := range sortedKeys(c.calls) {
		call := c.calls[name]
		if s.tree.children[name] == nil {
			r.note(resource.Note{Address: s.at("module." + name), Type: "module", File: call.rng.Filename, Line: call.rng.Start.Line,
				Text: fmt.Sprintf("the module comes from %q, which is not a local path and not installed by terraform init: its resources are not read", call.source)})
			set.Unread = append(set.Unread, s.unread(call))
			continue
		}
		for _, child := range s.call(name).scopes {
			child.validate()
			r.gather(child, set)
		}
	}
}

// unread says what a module that is not at hand is given.
func (s *scope) unread(call *moduleCall) resource.Unread {
	why := fmt.Sprintf("%s: the resources of module.%s are not read, for it comes from %q", place(call.rng), call.name, call.source)
	u := resource.Unread{Uses: map[string]bool{}, Why: why}
	// each and count of the call itself have no value here; what they select is not needed.
	for _, name := range sortedKeys(call.body.attrs) {
		if !metaAttrs[name] && name != "source" && name != "version" {
			resource.EachSymbol(s.eval(call.body.attrs[name], nil), func(address, _ string) { u.Uses[address] = true })
			s.usesRoles(call.body.attrs[name], u.Uses)
		}
	}
	return u
}

// usesRoles adds the roles that an argument refers to. A role is named where
// others are identified, so its value may be known and show no reference.
func (s *scope) usesRoles(a attr, uses map[string]bool) {
	if a.expr == nil {
		return
	}
	for _, v := range a.expr.Variables() {
		if len(v) < 2 || v.RootName() != "aws_iam_role" {
			continue
		}
		if name, ok := v[1].(hcl.TraverseAttr); ok {
			uses[s.at("aws_iam_role."+name.Name)] = true
		}
	}
}

// validate evaluates the validation blocks of the module's variables, and
// refuses a value that one of them certainly rejects.
func (s *scope) validate() {
	for _, name := range sortedKeys(s.tree.config.variables) {
		v := s.tree.config.variables[name]
		for _, block := range v.validations {
			condition, ok := block.attrs["condition"]
			if !ok {
				continue
			}
			if result, _ := s.eval(condition, nil).UnmarkDeep(); result.IsKnown() && !result.IsNull() && result.Type().FriendlyName() == "bool" && result.False() {
				panic(abort{fail.Newf(fail.Usage, fmt.Sprintf("the rule is at %s", place(condition.rng)), "variable %q: %s", name, s.message(block))})
			}
		}
		s.variable(name) // so that a value of the wrong type is refused, used or not
	}
}

func (s *scope) message(block *body) string {
	a, ok := block.attrs["error_message"]
	if !ok {
		return "the value breaks a validation rule"
	}
	if v, _ := s.eval(a, nil).UnmarkDeep(); v.IsKnown() && !v.IsNull() && v.Type().FriendlyName() == "string" {
		return resource.Render(v.AsString())
	}
	return "the value breaks a validation rule"
}
