package module

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/hoplab/hoplab/internal/topology"
)

// maxWhen bounds how deep an expression is followed.
const maxWhen = 16

// whenCount returns the formula under which a count that is not settled makes
// an instance, for the forms "condition ? 1 : 0" and "condition ? 0 : 1"; nil
// for any other.
func (s *scope) whenCount(a attr) *topology.When {
	e := inner(a.expr)
	c, ok := e.(*hclsyntax.ConditionalExpr)
	if !ok {
		return nil
	}
	yes, no := s.whole(c.TrueResult), s.whole(c.FalseResult)
	w := s.when(c.Condition, 0)
	switch {
	case yes == 1 && no == 0:
	case yes == 0 && no == 1:
		w = &topology.When{Op: topology.WhenNot, Parts: []*topology.When{w}}
	default:
		return nil
	}
	return w
}

// whole returns the number that an expression is, or -1.
func (s *scope) whole(e hclsyntax.Expression) int {
	v, diags := inner(e).Value(nil)
	if diags.HasErrors() {
		return -1
	}
	switch n, err := convert.Convert(v, cty.Number); {
	case err != nil || n.IsNull() || !n.IsKnown():
	case n.RawEquals(cty.Zero):
		return 0
	case n.RawEquals(cty.NumberIntVal(1)):
		return 1
	}
	return -1
}

// when returns the formula of an expression of type bool.
func (s *scope) when(e hclsyntax.Expression, depth int) *topology.When {
	e = inner(e)
	if depth > maxWhen {
		return s.opaque(e)
	}
	switch e := e.(type) {
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpLogicalNot {
			return &topology.When{Op: topology.WhenNot, Parts: []*topology.When{s.when(e.Val, depth+1)}}
		}
	case *hclsyntax.BinaryOpExpr:
		switch e.Op {
		case hclsyntax.OpLogicalAnd:
			return &topology.When{Op: topology.WhenAll, Parts: []*topology.When{s.when(e.LHS, depth+1), s.when(e.RHS, depth+1)}}
		case hclsyntax.OpLogicalOr:
			return &topology.When{Op: topology.WhenAny, Parts: []*topology.When{s.when(e.LHS, depth+1), s.when(e.RHS, depth+1)}}
		case hclsyntax.OpEqual:
			return s.equal(e)
		case hclsyntax.OpNotEqual:
			return &topology.When{Op: topology.WhenNot, Parts: []*topology.When{s.equal(e)}}
		}
	case *hclsyntax.ScopeTraversalExpr:
		if name := dotted(e.Traversal); name != "" {
			return (&topology.When{Value: s.at(name), Text: "true"}).Named(s.at(name))
		}
	}
	return s.opaque(e)
}

// equal returns the formula of a comparison: of a reference with a text, a
// number or null.
func (s *scope) equal(e *hclsyntax.BinaryOpExpr) *topology.When {
	left, right := inner(e.LHS), inner(e.RHS)
	ref, ok := left.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		ref, ok = right.(*hclsyntax.ScopeTraversalExpr)
		right = left
	}
	if !ok || dotted(ref.Traversal) == "" {
		return s.opaque(e)
	}
	v, diags := right.Value(nil)
	if diags.HasErrors() || !v.IsKnown() {
		return s.opaque(e)
	}
	text, shown := "null", "null"
	if !v.IsNull() {
		t, err := convert.Convert(v, cty.String)
		if err != nil {
			return s.opaque(e)
		}
		if text, shown = "="+t.AsString(), t.AsString(); v.Type() == cty.Bool {
			text = shown // as a reference alone is compared
		}
	}
	name := s.at(dotted(ref.Traversal))
	return (&topology.When{Value: name, Text: text}).Named(fmt.Sprintf("%s == %s", name, shown))
}

// opaque is an expression of which nothing is known but where it stands.
func (s *scope) opaque(e hclsyntax.Expression) *topology.When {
	at := place(e.Range())
	return (&topology.When{Value: s.at(fmt.Sprintf("%s:%d", at, e.Range().Start.Column))}).Named("at " + at)
}

// inner takes the parentheses off.
func inner(e hclsyntax.Expression) hclsyntax.Expression {
	for {
		p, ok := e.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return e
		}
		e = p.Expression
	}
}

// dotted writes a reference made of names only, or "".
func dotted(t hcl.Traversal) string {
	out := t.RootName()
	for _, step := range t[1:] {
		a, ok := step.(hcl.TraverseAttr)
		if !ok {
			return ""
		}
		out += "." + a.Name
	}
	return out
}
