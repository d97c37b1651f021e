package module

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/hoplab/hoplab/internal/fail"
)

// graph is who refers to whom, by static address: resources, data sources,
// locals ("local.name"), variables ("var.name"), outputs ("output.name") and
// module calls ("module.name"). Terraform refuses a cycle in it.
type graph struct {
	needs map[string][]string
	at    map[string]hcl.Range
	seen  map[[2]string]bool
}

// graph checks every reference of the tree and returns how they connect. An
// error names the first reference to something that is not declared, or a cycle.
func (t *tree) graph() (*graph, error) {
	g := &graph{needs: map[string][]string{}, at: map[string]hcl.Range{}, seen: map[[2]string]bool{}}
	if err := g.add(t); err != nil {
		return nil, err
	}
	return g, g.cycle()
}

func (g *graph) add(t *tree) error {
	c := t.config
	for _, name := range sortedKeys(c.variables) {
		node := t.static("var." + name)
		g.at[node] = c.variables[name].rng
		if t.call == nil {
			continue
		}
		if a, ok := t.call.body.attrs[name]; ok {
			if err := g.refs(t.parent, node, a, nil); err != nil {
				return err
			}
		}
		g.link(node, t.path)
	}
	for _, name := range sortedKeys(c.locals) {
		node := t.static("local." + name)
		g.at[node] = c.locals[name].rng
		if err := g.refs(t, node, c.locals[name], nil); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(c.outputs) {
		node := t.static("output." + name)
		g.at[node] = c.outputs[name].rng
		if err := g.refs(t, node, c.outputs[name], nil); err != nil {
			return err
		}
	}
	for _, key := range sortedKeys(c.resources) {
		node := t.static(key)
		g.at[node] = c.resources[key].rng
		if t.call != nil {
			g.link(node, t.path)
			g.link(whole(t.path), node)
		}
		if err := g.body(t, node, c.resources[key].body, nil); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(c.calls) {
		call, node := c.calls[name], t.static("module."+name)
		g.at[node] = call.rng
		for _, meta := range []string{"count", "for_each", "depends_on"} {
			if a, ok := call.body.attrs[meta]; ok {
				if err := g.refs(t, node, a, nil); err != nil {
					return err
				}
				if meta == "depends_on" {
					g.dependsOn(t, node, a)
				}
			}
		}
		child := t.children[name]
		if child == nil {
			continue
		}
		if t.call != nil {
			g.link(whole(t.path), whole(child.path))
		}
		for _, arg := range sortedKeys(call.body.attrs) {
			a := call.body.attrs[arg]
			if arg != "source" && arg != "version" && !metaAttrs[arg] && child.config.variables[arg] == nil {
				return fail.Newf(fail.Usage, "declare the variable in the module, or drop the argument", "%s: module %q has no variable %q", place(a.rng), name, arg)
			}
		}
		if err := g.add(child); err != nil {
			return err
		}
	}
	return nil
}

// body adds the references of a block. bound names the iterators of the
// dynamic blocks around it.
func (g *graph) body(t *tree, node string, b *body, bound []string) error {
	for _, name := range sortedKeys(b.attrs) {
		if name == "provider" || name == "providers" || name == "iterator" {
			continue
		}
		if err := g.refs(t, node, b.attrs[name], bound); err != nil {
			return err
		}
		if name == "depends_on" {
			g.dependsOn(t, node, b.attrs[name])
		}
	}
	for _, d := range b.blocks {
		if metaBlocks[d.typ] && bound == nil {
			continue
		}
		if d.typ != "dynamic" {
			if err := g.body(t, node, d.body, bound); err != nil {
				return err
			}
			continue
		}
		forEach, iterator, content, ok := d.dynamic()
		if !ok {
			return fail.Newf(fail.Usage, "a dynamic block has a label, for_each and a content block", "%s: malformed dynamic block", place(d.rng))
		}
		if err := g.refs(t, node, forEach, bound); err != nil {
			return err
		}
		if err := g.body(t, node, content, append(slices.Clone(bound), iterator)); err != nil {
			return err
		}
	}
	return nil
}

// whole stands for every resource of a module and of the modules that it calls.
func whole(path string) string { return path + "#all" }

// dependsOn links to all resources of a module that depends_on names.
func (g *graph) dependsOn(t *tree, node string, a attr) {
	traversals := a.expr.Variables()
	if list, diags := hcl.ExprList(a.raw); !diags.HasErrors() && len(traversals) == 0 {
		for _, item := range list {
			if tr, diags := hcl.AbsTraversalForExpr(item); !diags.HasErrors() {
				traversals = append(traversals, tr)
			}
		}
	}
	for _, tr := range traversals {
		if child := t.children[attrName(tr, 1)]; tr.RootName() == "module" && child != nil && len(tr) < 4 {
			if len(tr) == 3 {
				if _, isAttr := tr[2].(hcl.TraverseAttr); isAttr {
					continue // an output orders what it reads
				}
			}
			g.link(node, whole(child.path))
		}
	}
}

func (g *graph) refs(t *tree, node string, a attr, bound []string) error {
	traversals := a.expr.Variables()
	if list, diags := hcl.ExprList(a.raw); !diags.HasErrors() && len(traversals) == 0 {
		// depends_on of the JSON syntax: strings that are references.
		for _, item := range list {
			if tr, diags := hcl.AbsTraversalForExpr(item); !diags.HasErrors() && len(tr) > 1 && t.declares(tr) {
				traversals = append(traversals, tr)
			}
		}
	}
	for _, tr := range traversals {
		if slices.Contains(bound, tr.RootName()) {
			continue
		}
		targets, err := t.resolve(tr)
		if err != nil {
			return err
		}
		for _, target := range targets {
			g.link(node, target)
		}
	}
	return nil
}

func (g *graph) link(from, to string) {
	if edge := [2]string{from, to}; !g.seen[edge] {
		g.seen[edge] = true
		g.needs[from] = append(g.needs[from], to)
	}
}

// declares reports that a traversal names a resource, data source or module of t.
func (t *tree) declares(tr hcl.Traversal) bool {
	switch root := tr.RootName(); root {
	case "module":
		return t.config.calls[attrName(tr, 1)] != nil
	case "data":
		return t.config.resources["data."+attrName(tr, 1)+"."+attrName(tr, 2)] != nil
	default:
		return t.config.resources[root+"."+attrName(tr, 1)] != nil
	}
}

// resolve returns the static addresses that a reference leads to.
func (t *tree) resolve(tr hcl.Traversal) ([]string, error) {
	undeclared := func(what, how string) error {
		return fail.Newf(fail.Usage, how, "%s: %s is not declared", place(tr.SourceRange()), what)
	}
	c, name := t.config, attrName(tr, 1)
	switch root := tr.RootName(); root {
	case "var":
		if c.variables[name] == nil {
			return nil, undeclared("var."+name, "declare the variable, or correct the name")
		}
		return []string{t.static("var." + name)}, nil
	case "local":
		if _, ok := c.locals[name]; !ok {
			return nil, undeclared("local."+name, "add it to a locals block, or correct the name")
		}
		return []string{t.static("local." + name)}, nil
	case "module":
		call := c.calls[name]
		if call == nil {
			return nil, undeclared("module."+name, "add the module block, or correct the name")
		}
		child := t.children[name]
		if child == nil {
			return []string{t.static("module." + name)}, nil
		}
		out := []string{child.path}
		for _, o := range child.outputsOf(tr[2:]) {
			out = append(out, child.static("output."+o))
		}
		return out, nil
	case "each", "count", "path", "terraform", "self", "ephemeral", "provider":
		return nil, nil
	case "data":
		key := strings.Join([]string{"data", name, attrName(tr, 2)}, ".")
		if c.resources[key] == nil {
			return nil, undeclared(key, "add the data block, or correct the name")
		}
		return []string{t.static(key)}, nil
	default:
		key := root + "." + name
		if c.resources[key] == nil {
			if name == "" {
				return nil, undeclared(root, "a reference has at least two parts, such as local.name")
			}
			return nil, undeclared(key, "add the resource block, or correct the name")
		}
		return []string{t.static(key)}, nil
	}
}

// outputsOf returns the outputs that the rest of a reference to a module
// reads: the one it names, or all.
func (t *tree) outputsOf(rest hcl.Traversal) []string {
	for _, step := range rest {
		switch s := step.(type) {
		case hcl.TraverseAttr:
			if _, ok := t.config.outputs[s.Name]; ok {
				return []string{s.Name}
			}
			return nil
		case hcl.TraverseIndex:
			continue
		}
		break
	}
	return sortedKeys(t.config.outputs)
}

// cycle returns an error that names the resources of a cycle, if there is one.
func (g *graph) cycle() error {
	const (
		unseen = iota
		open
		done
	)
	state := map[string]int{}
	var stack []string
	var visit func(n string) error
	visit = func(n string) error {
		state[n] = open
		stack = append(stack, n)
		for _, m := range g.needs[n] {
			switch state[m] {
			case open:
				loop := append(slices.Clone(stack[slices.Index(stack, m):]), m)
				if len(loop) > 12 {
					loop = append(append(loop[:6:6], "..."), loop[len(loop)-5:]...)
				}
				return fail.Newf(fail.Usage,
					"break the cycle: between two security groups, use aws_vpc_security_group_ingress_rule resources instead of inline rules",
					"%s: a cycle of references: %s", place(g.at[m]), strings.Join(loop, " -> "))
			case unseen:
				if err := visit(m); err != nil {
					return err
				}
			}
		}
		stack = stack[:len(stack)-1]
		state[n] = done
		return nil
	}
	nodes := sortedKeys(g.needs)
	for _, n := range nodes {
		if state[n] == unseen {
			if err := visit(n); err != nil {
				return err
			}
		}
	}
	return nil
}
