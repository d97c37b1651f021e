package module

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

type functionTable = map[string]function.Function

func relative(root, dir string) (string, error) {
	rel, err := filepath.Rel(root, dir)
	return filepath.ToSlash(rel), err
}

// repetition is what count or for_each make of a block.
type repetition struct {
	kind string // "" for a single instance, "count", "for_each"
	keys []cty.Value
	each []cty.Value // values of for_each, in the order of keys
	// unknown is why the keys are not known; the block then stands for any
	// number of instances. when says when it is one, if that can be said.
	unknown string
	when    *topology.When
}

// repetition reads count and for_each of a block.
func (s *scope) repetition(b *body) repetition {
	if a, ok := b.attrs["count"]; ok {
		return s.repeatCount(a)
	}
	if a, ok := b.attrs["for_each"]; ok {
		return s.repeatEach(a)
	}
	for _, d := range b.blocks {
		if a, ok := d.body.attrs["enabled"]; ok && d.typ == "lifecycle" {
			return s.repeatEnabled(a)
		}
	}
	return repetition{}
}

// repeatEnabled reads lifecycle.enabled, which OpenTofu has: false makes no
// instance, and a reference to the resource is null.
func (s *scope) repeatEnabled(a attr) repetition {
	marked := s.eval(a, nil)
	v, _ := marked.UnmarkDeep()
	if on, err := convert.Convert(v, cty.Bool); err == nil && on.IsKnown() && !on.IsNull() {
		if on.True() {
			return repetition{}
		}
		return repetition{kind: "enabled"}
	}
	return repetition{kind: "enabled", unknown: fmt.Sprintf("%s: enabled: %s", place(a.rng), resource.Why(marked))}
}

func (s *scope) repeatCount(a attr) repetition {
	marked := s.eval(a, nil)
	v, _ := marked.UnmarkDeep()
	if !v.IsKnown() || resource.HasSymbol(v) {
		return repetition{kind: "count", unknown: fmt.Sprintf("%s: count: %s", place(a.rng), resource.Why(marked)), when: s.whenCount(a)}
	}
	wrong := func(what string) repetition {
		panic(abort{fail.Newf(fail.Usage, "give count a whole number that is not negative", "%s: count is %s", place(a.rng), what)})
	}
	if v.IsNull() {
		return wrong("null")
	}
	n, err := convert.Convert(v, cty.Number)
	if err != nil {
		return wrong("of type " + v.Type().FriendlyName())
	}
	var count int
	if f := n.AsBigFloat(); f.IsInt() && f.Cmp(cty.NumberIntVal(maxInstances).AsBigFloat()) > 0 {
		panic(abort{s.tooMany(a, n.AsBigFloat().Text('g', 10))})
	}
	if gocty.FromCtyValue(n, &count) != nil || count < 0 {
		return wrong(n.AsBigFloat().Text('g', 10))
	}
	r := repetition{kind: "count"}
	for i := range count {
		r.keys = append(r.keys, cty.NumberIntVal(int64(i)))
	}
	return r
}

func (s *scope) tooMany(a attr, n string) error {
	return fail.Newf(fail.Usage, "read a smaller configuration, or set the variable behind it lower", "%s: %s instances; the limit is %d", place(a.rng), n, maxInstances)
}

func (s *scope) repeatEach(a attr) repetition {
	marked := s.eval(a, nil)
	v, _ := marked.Unmark()
	unknown := repetition{kind: "for_each", unknown: fmt.Sprintf("%s: for_each: %s", place(a.rng), resource.Why(marked))}
	if !v.IsKnown() {
		return unknown
	}
	t := v.Type()
	switch {
	case v.IsNull(), !t.IsMapType() && !t.IsObjectType() && !t.IsSetType():
		what := "null"
		if !v.IsNull() {
			what = "of type " + t.FriendlyName()
		}
		panic(abort{fail.Newf(fail.Usage, "give for_each a map or a set of strings; toset() makes a set of a list", "%s: for_each is %s", place(a.rng), what)})
	case v.LengthInt() > maxInstances:
		panic(abort{s.tooMany(a, strconv.Itoa(v.LengthInt()))})
	case t.IsSetType() && !v.IsWhollyKnown():
		return unknown
	}
	r := repetition{kind: "for_each"}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if t.IsSetType() {
			if e.IsNull() || e.Type() != cty.String {
				panic(abort{fail.Newf(fail.Usage, "give for_each a map or a set of strings", "%s: for_each is a set with an element that is not a string", place(a.rng))})
			}
			k = e
		}
		k, _ = k.Unmark()
		r.keys, r.each = append(r.keys, k), append(r.each, e)
	}
	return r
}

// iteration returns the values of each and count in instance i.
func (r repetition) iteration(i int) map[string]cty.Value {
	switch {
	case r.kind == "":
		return nil
	case r.kind == "enabled":
		return nil
	case r.unknown != "" && r.kind == "count":
		return map[string]cty.Value{"count": cty.ObjectVal(map[string]cty.Value{"index": cty.UnknownVal(cty.Number).Mark(resource.Cause{Text: r.unknown})})}
	case r.unknown != "":
		return map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{
			"key":   cty.UnknownVal(cty.String).Mark(resource.Cause{Text: r.unknown}),
			"value": resource.Unknown(r.unknown)})}
	case r.kind == "count":
		return map[string]cty.Value{"count": cty.ObjectVal(map[string]cty.Value{"index": r.keys[i]})}
	}
	return map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": r.keys[i], "value": r.each[i]})}
}

// size is the number of instances to build: one when it is not known.
func (r repetition) size() int {
	if r.kind == "" || r.unknown != "" {
		return 1
	}
	return len(r.keys)
}

// suffix is the instance key in an address: "", "[0]", `["a"]`.
func (r repetition) suffix(i int) string {
	switch {
	case r.kind == "" || r.unknown != "":
		return ""
	case r.kind == "count":
		return fmt.Sprintf("[%d]", i)
	}
	return "[" + strconv.Quote(resource.Render(r.keys[i].AsString())) + "]"
}

// assemble makes the value of a repeated block from those of its instances.
func (r repetition) assemble(values []cty.Value) cty.Value {
	switch {
	case r.unknown != "":
		return resource.Unknown(r.unknown)
	case r.kind == "enabled":
		return cty.NullVal(cty.DynamicPseudoType)
	case r.kind == "":
		return values[0]
	case r.kind == "count":
		return cty.TupleVal(values)
	}
	byKey := map[string]cty.Value{}
	for i, k := range r.keys {
		byKey[k.AsString()] = values[i]
	}
	return cty.ObjectVal(byKey)
}

// callInstances is a module call with its instances.
type callInstances struct {
	repetition repetition
	scopes     []*scope
}

// call expands the module call of that name.
func (s *scope) call(name string) *callInstances {
	if c, ok := s.calls[name]; ok {
		return c
	}
	call := s.tree.config.calls[name]
	c := &callInstances{repetition: s.repetition(call.body)}
	s.calls[name] = c
	for i := range c.repetition.size() {
		child := s.r.newScope(s.tree.children[name], s, s.at("module."+name)+c.repetition.suffix(i))
		child.iteration = c.repetition.iteration(i)
		child.uncertain = s.uncertain
		if c.repetition.unknown != "" {
			child.uncertain = c.repetition.unknown
		}
		s.r.countInstance(call.rng)
		c.scopes = append(c.scopes, child)
	}
	return c
}

// moduleValue is what module.name stands for, with the outputs that are read.
func (s *scope) moduleValue(name string, outputs map[string]bool) cty.Value {
	child := s.tree.children[name]
	if child == nil {
		call := s.tree.config.calls[name]
		if call == nil {
			return resource.Unknown("module." + name + " is not declared")
		}
		return resource.Unknown(fmt.Sprintf("%s: module.%s comes from %q, which is not a local path and not installed by terraform init", place(call.rng), name, call.source))
	}
	c := s.call(name)
	if c.repetition.unknown != "" {
		return resource.Unknown(c.repetition.unknown)
	}
	var values []cty.Value
	for _, sub := range c.scopes {
		object := map[string]cty.Value{}
		for _, o := range sortedKeys(outputs) {
			object[o] = sub.output(o)
		}
		values = append(values, cty.ObjectVal(object))
	}
	return c.repetition.assemble(values)
}

// instances is a resource or data block with its instances.
type instances struct {
	repetition repetition
	all        []*resource.Instance
	built      bool
}

// expand builds the instances of the resource block with that key.
func (s *scope) expand(key string) *instances {
	if in, ok := s.resources[key]; ok {
		return in
	}
	decl := s.tree.config.resources[key]
	in := &instances{}
	s.resources[key] = in
	in.repetition = s.repetition(decl.body)
	for i := range in.repetition.size() {
		s.r.countInstance(decl.rng)
		inst := &resource.Instance{
			Address: s.at(key) + in.repetition.suffix(i), Static: s.tree.static(key),
			Type: decl.typ, Data: decl.data, Uncertain: s.uncertain, Suppress: decl.body.suppress,
		}
		if in.repetition.unknown != "" {
			if inst.Uncertain == "" { // the module's own instances are certain
				inst.When = in.repetition.when
			}
			inst.Uncertain = in.repetition.unknown
		}
		inst.Body = s.body(decl.body, in.repetition.iteration(i))
		if decl.data && decl.typ == "template_file" {
			s.rendered(inst.Body)
		}
		in.all = append(in.all, inst)
	}
	in.built = true
	return in
}

func (r *reader) countInstance(rng hcl.Range) {
	if r.count++; r.count > maxInstances {
		panic(abort{fail.Newf(fail.Usage, "read a smaller configuration, or set the variable behind it lower",
			"%s: the configuration has more than %d resource and module instances", place(rng), maxInstances)})
	}
}

// resourceValue is what a reference to the resource block with that key reads.
func (s *scope) resourceValue(key string) cty.Value {
	if s.tree.config.resources[key] == nil {
		return resource.Unknown(key + " is not declared")
	}
	return s.once(key, func() cty.Value {
		in := s.expand(key)
		if !in.built {
			return resource.Unknown(s.at(key) + " refers to itself")
		}
		values := make([]cty.Value, len(in.all))
		for i, inst := range in.all {
			values[i] = s.r.object(inst)
		}
		return in.repetition.assemble(values)
	})
}

// object is what a reference to an instance reads: its arguments, its
// identity as symbols, and unknown values for everything that AWS computes.
func (r *reader) object(inst *resource.Instance) cty.Value {
	r.meter.spend(int64(len(r.loader.names)) * costNode)
	attrs := inst.Body.Object()
	for name := range r.loader.names {
		v, ok := attrs[name]
		if u, _ := v.Unmark(); ok && !(u.IsKnown() && u.IsNull()) {
			continue
		}
		if inst.Data {
			attrs[name] = resource.UnknownSet(fmt.Sprintf("%s.%s is read from AWS when Terraform plans", inst.Address, name))
		} else {
			attrs[name] = resource.UnknownSet(fmt.Sprintf("%s.%s is known only after apply", inst.Address, name))
		}
	}
	for _, name := range resource.Symbolic(inst.Type) {
		if a, ok := inst.Body.Attrs[name]; ok {
			if u, _ := a.Value.Unmark(); !u.IsKnown() || !u.IsNull() {
				continue
			}
		}
		attrs[name] = cty.StringVal(resource.Symbol(inst.Address, name))
	}
	if name := resource.Naming(inst.Type); name != "" && !inst.Data {
		if u, _ := attrs[name].Unmark(); u != cty.NilVal && !u.IsKnown() {
			attrs[name] = cty.StringVal(resource.Symbol(inst.Address, name))
		}
	}
	return cty.ObjectVal(attrs)
}

// rendered adds what a template_file makes of its template: the provider has
// been archived, and its data source lives on in many configurations.
func (s *scope) rendered(body *resource.Body) {
	vars := map[string]cty.Value{}
	for _, b := range body.Blocks["vars"] {
		maps.Copy(vars, b.Object())
	}
	given := cty.ObjectVal(vars)
	if a, ok := body.Attrs["vars"]; ok {
		given, _ = a.Value.Unmark()
	}
	template := body.Attrs["template"]
	text, _ := template.Value.Unmark()
	if text == cty.NilVal || !text.IsKnown() || text.IsNull() || text.Type() != cty.String || !given.IsKnown() || !given.CanIterateElements() {
		return
	}
	at := hcl.Range{Filename: template.File, Start: hcl.Pos{Line: template.Line, Column: 1}}
	out, err := s.r.render(s.tree.config.dir, text.AsString(), at, given)
	if err != nil {
		out = resource.Unknown(err.Error())
	}
	body.Attrs["rendered"] = resource.Attr{Value: out, File: template.File, Line: template.Line}
}

// body evaluates the arguments and nested blocks of a block.
func (s *scope) body(b *body, iteration map[string]cty.Value) *resource.Body {
	out := resource.NewBody(b.rng.Filename, b.rng.Start.Line)
	for _, name := range sortedKeys(b.attrs) {
		if metaAttrs[name] {
			continue
		}
		a := b.attrs[name]
		out.Attrs[name] = resource.Attr{Value: s.eval(a, iteration), File: a.rng.Filename, Line: a.rng.Start.Line}
	}
	for _, d := range b.blocks {
		switch {
		case metaBlocks[d.typ]:
		case d.typ == "dynamic":
			s.dynamic(out, d, iteration)
		default:
			out.Blocks[d.typ] = append(out.Blocks[d.typ], s.body(d.body, iteration))
		}
	}
	return out
}

// dynamic expands a dynamic block into out.
func (s *scope) dynamic(out *resource.Body, d *blockDecl, iteration map[string]cty.Value) {
	forEach, iterator, content, ok := d.dynamic()
	if !ok {
		return // the graph has refused it
	}
	typ := d.labels[0]
	open := func(why string) {
		if out.OpenBlocks == nil {
			out.OpenBlocks = map[string]string{}
		}
		out.OpenBlocks[typ] = fmt.Sprintf("%s: dynamic %q: %s", place(forEach.rng), typ, why)
	}
	marked := s.eval(forEach, iteration)
	v, _ := marked.Unmark()
	switch {
	case !v.IsKnown():
		open(resource.Why(marked))
		return
	case v.IsNull() || !v.CanIterateElements():
		open("for_each is not a collection")
		return
	case v.Type().IsSetType() && !v.IsWhollyKnown():
		open(resource.Why(marked))
		return
	}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if v.Type().IsSetType() {
			k = e
		}
		inner := maps.Clone(iteration)
		if inner == nil {
			inner = map[string]cty.Value{}
		}
		inner[iterator] = cty.ObjectVal(map[string]cty.Value{"key": k, "value": e})
		s.r.meter.where = d.rng
		s.r.meter.spend(costCall)
		out.Blocks[typ] = append(out.Blocks[typ], s.body(content, inner))
	}
}
