package module

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/fail"
)

// declare adds a top-level block to the configuration. A block of an
// override file changes the block that it names instead.
func (c *config) declare(block *hcl.Block, b *body, override bool) error {
	switch block.Type {
	case "resource", "data":
		r := &resourceDecl{key: strings.Join(block.Labels, "."), typ: block.Labels[0], data: block.Type == "data", body: b, rng: block.DefRange}
		if r.data {
			r.key = "data." + r.key
		}
		if old := c.resources[r.key]; old != nil {
			return merge(block, override, old.body, b, old.rng)
		}
		c.resources[r.key] = r
	case "variable":
		return c.declareVariable(block, b, override)
	case "locals":
		for name, a := range b.attrs {
			if old, ok := c.locals[name]; ok && !override {
				return duplicate(a.rng, "local."+name, old.rng)
			}
			c.locals[name] = a
		}
	case "output":
		name := block.Labels[0]
		value, ok := b.attrs["value"]
		if !ok {
			if override {
				return nil
			}
			return fail.Newf(fail.Usage, "give the output a value", "%s: output %q has no value", place(block.DefRange), name)
		}
		if old, ok := c.outputs[name]; ok && !override {
			return duplicate(value.rng, "output "+name, old.rng)
		}
		c.outputs[name] = value
	case "module":
		name := block.Labels[0]
		if old := c.calls[name]; old != nil {
			return merge(block, override, old.body, b, old.rng)
		}
		call := &moduleCall{name: name, body: b, rng: block.DefRange}
		source, ok := b.attrs["source"]
		if !ok {
			return fail.Newf(fail.Usage, "give the module a source", "%s: module %q has no source", place(block.DefRange), name)
		}
		v, diags := source.expr.Value(nil)
		if diags.HasErrors() || v.IsNull() || v.Type() != cty.String || !v.IsKnown() {
			return fail.Newf(fail.Usage, "write the source as a plain string", "%s: the source of module %q is not a literal", place(source.rng), name)
		}
		call.source = v.AsString()
		c.calls[name] = call
	}
	return nil
}

func duplicate(rng hcl.Range, what string, first hcl.Range) error {
	return fail.Newf(fail.Usage, "remove one of the two", "%s: %s is declared twice, first at %s", place(rng), what, place(first))
}

// merge applies a block of an override file: its attributes replace those of
// the same name, and its nested blocks all those of the same type.
func merge(block *hcl.Block, override bool, old, b *body, first hcl.Range) error {
	if !override {
		return duplicate(block.DefRange, strings.Join(append([]string{block.Type}, block.Labels...), " "), first)
	}
	for name, a := range b.attrs {
		old.attrs[name] = a
	}
	old.suppress = append(old.suppress, b.suppress...)
	kind := func(d *blockDecl) string {
		if d.typ == "dynamic" && len(d.labels) == 1 {
			return d.labels[0]
		}
		return d.typ
	}
	replaced := map[string]bool{}
	for _, d := range b.blocks {
		replaced[kind(d)] = true
	}
	kept := b.blocks
	for _, d := range old.blocks {
		if !replaced[kind(d)] {
			kept = append(kept, d)
		}
	}
	old.blocks = kept
	return nil
}

func (c *config) declareVariable(block *hcl.Block, b *body, override bool) error {
	name := block.Labels[0]
	v := &variable{name: name, typ: cty.DynamicPseudoType, nullable: true, rng: block.DefRange}
	if old := c.variables[name]; old != nil {
		if !override {
			return duplicate(block.DefRange, "variable "+name, old.rng)
		}
		v = old
	}
	if a, ok := b.attrs["type"]; ok {
		// Before Terraform 0.12 types were written in quotes.
		expr := a.raw
		if lit, diags := expr.Value(nil); !diags.HasErrors() && lit.Type() == cty.String && !lit.IsNull() {
			switch lit.AsString() {
			case "string":
				v.typ, v.declared = cty.String, true
			case "list":
				v.typ, v.declared = cty.List(cty.DynamicPseudoType), true
			case "map":
				v.typ, v.declared = cty.Map(cty.DynamicPseudoType), true
			default:
				// JSON syntax: the string is an expression, yet unparsed.
				tokens, _ := hclsyntax.LexExpression([]byte(lit.AsString()), a.rng.Filename, a.rng.Start)
				if err := checkTokens(tokens); err != nil {
					return err
				}
			}
		}
		switch hcl.ExprAsKeyword(expr) { // of any element, as Terraform still takes it
		case "list":
			v.typ, v.defaults, v.declared = cty.List(cty.DynamicPseudoType), nil, true
		case "map":
			v.typ, v.defaults, v.declared = cty.Map(cty.DynamicPseudoType), nil, true
		}
		if bare := hcl.ExprAsKeyword(expr); bare != "list" && bare != "map" && (!v.declared || override) {
			typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(expr)
			if diags.HasErrors() {
				return syntaxError(diags)
			}
			v.typ, v.defaults, v.declared = typ, defaults, true
		}
	}
	if a, ok := b.attrs["nullable"]; ok {
		if n, diags := a.raw.Value(nil); !diags.HasErrors() && n.Type() == cty.Bool && n.IsKnown() && !n.IsNull() {
			v.nullable = n.True()
		}
	}
	if a, ok := b.attrs["default"]; ok {
		def, diags := a.raw.Value(nil)
		if diags.HasErrors() {
			return syntaxError(diags)
		}
		v.def = &def
	}
	for _, d := range b.blocks {
		if d.typ == "validation" {
			v.validations = append(v.validations, d.body)
		}
	}
	c.variables[name] = v
	return nil
}
