package planfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// target is a resource attribute that an expression refers to.
type target struct {
	inst *resource.Instance
	attr string
}

func (t target) symbol() string { return resource.Symbol(t.inst.Address, t.attr) }

// isExpression reports that x is how a plan writes an expression: an object
// with references or a constant value. A nested block is an object of those.
func isExpression(x any) bool {
	m, ok := x.(map[string]any)
	if !ok {
		return false
	}
	if _, ok := m["constant_value"]; ok {
		return true
	}
	_, ok = m["references"].([]any)
	return ok
}

// references lists the references of an expression as written.
func references(x any) []string {
	m, _ := x.(map[string]any)
	list, _ := m["references"].([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok && len(s) < 1024 {
			out = append(out, s)
		}
	}
	return out
}

// allReferences lists the references of an expression, or of all expressions
// in a block.
func allReferences(x any) []string {
	switch x := x.(type) {
	case map[string]any:
		if isExpression(x) {
			return references(x)
		}
		var out []string
		for _, k := range sortedKeys(x) {
			out = append(out, allReferences(x[k])...)
		}
		return out
	case []any:
		var out []string
		for _, e := range x {
			out = append(out, allReferences(e)...)
		}
		return out
	}
	return nil
}

// follower collects the targets of an expression through variables and outputs.
type follower struct {
	r       *reader
	key     string // what each.key selects here: `["a"]`
	found   []target
	problem string
	// choice is set when the expression may select among the targets: it reads
	// something else too, or refers to several instances at once.
	choice bool
	// identifiers is set to pass over references to addresses.
	identifiers bool
	steps       int
}

// addresses are attributes that are certainly no identifier.
var addresses = map[string]bool{"cidr_block": true, "ipv6_cidr_block": true, "private_ip": true, "public_ip": true}

const maxFollow = 200

// targets returns the resource attributes that make up the value of an
// expression. problem is not empty when that cannot be told: a plan holds
// references, but neither expressions nor locals. choice tells that the
// expression may take some of several targets and leave others. Of a shared
// expression the references to addresses are left out, which stand beside
// the identifiers in the rules of a security group.
func (r *reader) targets(it *item, expr any, shared bool) (found []target, choice bool, problem string) {
	m := r.modules[staticPath(it.module)]
	if expr == nil || m == nil {
		return nil, false, "known only after apply"
	}
	f := &follower{r: r, key: indexOf(it.value.Index), identifiers: shared}
	f.expression(expr, m, it.module)
	if len(f.found) == 0 && f.problem == "" {
		f.problem = "known only after apply"
	}
	return f.found, f.choice && len(f.found) > 1, f.problem
}

func (f *follower) expression(expr any, m *module, address string) {
	refs := references(expr)
	for _, ref := range refs {
		if f.steps++; f.steps > maxFollow {
			f.fail("the references lead too far")
			return
		}
		t, diags := hclsyntax.ParseTraversalAbs([]byte(ref), "", hcl.InitialPos)
		if diags.HasErrors() || len(t) < 2 {
			f.fail(fmt.Sprintf("through %q", ref))
			return
		}
		f.reference(ref, t, refs, m, address)
	}
}

func (f *follower) fail(problem string) {
	if f.problem == "" {
		f.problem = "known only after apply: " + problem
	}
}

func (f *follower) reference(ref string, t hcl.Traversal, all []string, m *module, address string) {
	switch root, name := t.RootName(), step(t, 1); root {
	case "var":
		if m.call == nil {
			f.choice = true
			return // the root's variables are known in a plan
		}
		parent := parentAddress(address)
		expr, ok := m.call.Expressions[name]
		if !ok || len(references(expr)) == 0 {
			f.choice = true
			return // a default or a constant
		}
		own := f.key
		f.key = strings.TrimPrefix(address, join(parent, "module."+m.name))
		f.expression(expr, m.parent, parent)
		f.key = own
	case "module":
		f.output(t, all, m, address)
	case "local":
		f.fail("through local." + name + ", which a plan does not hold")
	case "each":
		f.choice = true
		if name != "key" {
			f.fail("through each." + name)
		}
	case "count", "path", "terraform":
		f.choice = true
	case "data":
		f.resource(ref, strings.Join([]string{root, name, step(t, 2)}, "."), t[min(3, len(t)):], all, address)
	default:
		f.resource(ref, root+"."+name, t[2:], all, address)
	}
}

// resource follows a reference to a resource. rest is what comes after its
// name: an instance key, an attribute.
func (f *follower) resource(ref, key string, rest hcl.Traversal, all []string, address string) {
	index, rest := splitIndex(rest)
	attr := step(rest, 0)
	if attr == "" {
		if longer(ref, all) {
			return // a plan lists a.b.c and a.b for one reference
		}
		attr = "id" // a splat or an index by expression hides the attribute
	}
	instances := f.instances(join(staticPath(address), key), join(address, key), index)
	if len(instances) > 1 && slices.Contains(all, "each.key") {
		instances = f.own(instances)
	}
	if len(instances) == 0 {
		f.fail(ref + " has no instance in the plan")
		return
	}
	if f.identifiers && addresses[attr] {
		return
	}
	if !slices.Contains(resource.Symbolic(instances[0].Type), attr) {
		f.fail(fmt.Sprintf("through %s.%s", key, attr))
		return
	}
	f.choice = f.choice || len(instances) > 1
	for _, inst := range instances {
		if !slices.ContainsFunc(f.found, func(t target) bool { return t.inst == inst }) {
			f.found = append(f.found, target{inst, attr})
		}
	}
}

// instances returns the instances of a block in one module instance, or the
// one with the key.
func (f *follower) instances(static, address, index string) []*resource.Instance {
	var out []*resource.Instance
	for _, inst := range f.r.static[static] {
		rest, ok := strings.CutPrefix(inst.Address, address)
		if ok && (index == "" && (rest == "" || rest[0] == '[') || index != "" && rest == index) {
			out = append(out, inst)
		}
	}
	return out
}

// own returns the instance with the key of the resource at hand, for
// aws_x.y[each.key]. When another key contains it the choice is open, since
// the index may be made from each.key; then all are returned. There is no
// such reading of count.index, with which people calculate.
func (f *follower) own(instances []*resource.Instance) []*resource.Instance {
	if !strings.HasPrefix(f.key, `["`) {
		return instances
	}
	var same []*resource.Instance
	for _, inst := range instances {
		switch {
		case strings.HasSuffix(inst.Address, f.key):
			same = append(same, inst)
		case strings.Contains(inst.Address, strings.Trim(f.key, `[]"`)):
			return instances
		}
	}
	if len(same) == 1 {
		return same
	}
	return instances
}

// indexOf writes the index of an instance as in its address.
func indexOf(index any) string {
	switch x := index.(type) {
	case string:
		return "[" + strconv.Quote(x) + "]"
	case fmt.Stringer:
		return "[" + x.String() + "]"
	}
	return ""
}

// output follows a reference to a module's output.
func (f *follower) output(t hcl.Traversal, all []string, m *module, address string) {
	name := step(t, 1)
	child := f.r.modules[join(m.path, "module."+name)]
	index, rest := splitIndex(t[2:])
	out := step(rest, 0)
	if out == "" {
		if longer("module."+name, all) {
			return
		}
		f.fail("through module." + name)
		return
	}
	if child == nil {
		f.fail("through module." + name)
		return
	}
	call := join(address, "module."+name)
	callers := f.moduleInstances(child.path, call, index)
	f.choice = f.choice || len(callers) > 1
	own := f.key
	f.key = "" // an output has neither each nor count
	for _, a := range callers {
		f.expression(child.config.Outputs[out].Expression, child, a)
	}
	f.key = own
}

// moduleInstances returns the addresses of a call's instances that hold resources.
func (f *follower) moduleInstances(static, call, index string) []string {
	if index != "" {
		return []string{call + index}
	}
	seen := map[string]bool{}
	for path, instances := range f.r.static {
		if !strings.HasPrefix(path, static+".") {
			continue
		}
		for _, inst := range instances {
			rest, ok := strings.CutPrefix(inst.Address, call)
			switch {
			case !ok:
			case strings.HasPrefix(rest, "."):
				seen[call] = true
			case strings.HasPrefix(rest, "["):
				if end := strings.Index(rest, "]."); end > 0 {
					seen[call+rest[:end+1]] = true
				}
			}
		}
	}
	return sortedKeys(seen)
}

// parentAddress drops the last module step of an instance address.
func parentAddress(address string) string {
	cut := 0
	for i, c := range outsideKeys(address) {
		if c == '.' && strings.HasPrefix(address[i:], ".module.") {
			cut = i
		}
	}
	return address[:cut]
}

// longer reports that all holds a reference that continues ref.
func longer(ref string, all []string) bool {
	return slices.ContainsFunc(all, func(s string) bool {
		return len(s) > len(ref) && strings.HasPrefix(s, ref) && (s[len(ref)] == '.' || s[len(ref)] == '[')
	})
}

func splitIndex(t hcl.Traversal) (index string, rest hcl.Traversal) {
	if len(t) == 0 {
		return "", nil
	}
	s, ok := t[0].(hcl.TraverseIndex)
	if !ok {
		return "", t
	}
	if s.Key.Type() == cty.String {
		return "[" + strconv.Quote(s.Key.AsString()) + "]", t[1:]
	}
	return "[" + s.Key.AsBigFloat().Text('f', -1) + "]", t[1:]
}

// step returns the attribute name at a place of a traversal, or "".
func step(t hcl.Traversal, i int) string {
	if i < len(t) {
		if a, ok := t[i].(hcl.TraverseAttr); ok {
			return a.Name
		}
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// needs fills the set's graph from the references of the configuration.
func (r *reader) needs() {
	for _, path := range sortedKeys(r.modules) {
		m := r.modules[path]
		for _, c := range m.config.Resources {
			node := join(path, c.Address)
			r.link(node, m, allReferences(c.Expressions))
			r.link(node, m, append(append(references(c.Count), references(c.ForEach)...), c.DependsOn...))
			if m.call != nil {
				r.add(node, path)
			}
		}
		for _, name := range sortedKeys(m.config.Outputs) {
			o := m.config.Outputs[name]
			r.link(join(path, "output."+name), m, append(references(o.Expression), o.DependsOn...))
		}
		for _, name := range sortedKeys(m.config.Calls) {
			call := m.config.Calls[name]
			child := join(path, "module."+name)
			r.link(child, m, append(append(references(call.Count), references(call.ForEach)...), call.DependsOn...))
			for _, v := range sortedKeys(call.Expressions) {
				r.link(join(child, "var."+v), m, allReferences(call.Expressions[v]))
			}
		}
	}
}

func (r *reader) link(node string, m *module, refs []string) {
	for _, ref := range refs {
		t, diags := hclsyntax.ParseTraversalAbs([]byte(ref), "", hcl.InitialPos)
		if diags.HasErrors() || len(t) < 2 {
			continue
		}
		switch root, name := t.RootName(), step(t, 1); root {
		case "var":
			r.add(node, join(m.path, "var."+name))
		case "module":
			child := join(m.path, "module."+name)
			r.add(node, child)
			_, rest := splitIndex(t[2:])
			if out := step(rest, 0); out != "" {
				r.add(node, join(child, "output."+out))
			} else if sub := r.modules[child]; sub != nil {
				for _, out := range sortedKeys(sub.config.Outputs) {
					r.add(node, join(child, "output."+out))
				}
			}
		case "local", "each", "count", "path", "terraform", "self":
		case "data":
			r.add(node, join(m.path, "data."+name+"."+step(t, 2)))
		default:
			r.add(node, join(m.path, root+"."+name))
		}
	}
}

func (r *reader) add(from, to string) {
	if from != to && !slices.Contains(r.set.Needs[from], to) {
		r.set.Needs[from] = append(r.set.Needs[from], to)
	}
}
