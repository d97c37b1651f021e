package module

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// prepare readies a parsed expression for evaluation by the hclsyntax
// evaluator: comparisons learn about symbols, loops and templates are
// metered, and the attribute names that the expression reads are noted.
func (l *loader) prepare(expr hclsyntax.Expression) error {
	l.meter.where = expr.Range()
	hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		l.preparePart(n)
		return nil
	})
	return nil
}

func (l *loader) preparePart(n hclsyntax.Node) {
	switch e := n.(type) {
	case *hclsyntax.LiteralValueExpr:
		l.meter.weigh(e.Val)
		if e.Val.Type() == cty.String && !e.Val.IsNull() && !resource.IsSettled(e.Val.AsString()) {
			// Written with an escape such as \ufdd0, which checkReserved cannot see.
			e.Val = resource.Unknown("the string holds a Unicode noncharacter (U+FDD0 to U+FDD5)")
		}
	case *hclsyntax.ScopeTraversalExpr:
		l.noteNames(e.Traversal)
	case *hclsyntax.RelativeTraversalExpr:
		l.noteNames(e.Traversal)
	case *hclsyntax.IndexExpr:
		if v, diags := e.Key.Value(nil); !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
			l.names[v.AsString()] = true
		}
	case *hclsyntax.BinaryOpExpr:
		if e.Op == hclsyntax.OpEqual || e.Op == hclsyntax.OpNotEqual {
			if isNullLiteral(e.RHS) {
				e.LHS = l.present(e.LHS)
			} else if isNullLiteral(e.LHS) {
				e.RHS = l.present(e.RHS)
			}
		}
		if op := l.operation(e.Op); op != nil {
			e.Op = op
		}
	case *hclsyntax.ConditionalExpr: // makes its results one type
		e.TrueResult, e.FalseResult = l.metered(e.TrueResult), l.metered(e.FalseResult)
	case *hclsyntax.ForExpr:
		e.ValExpr = l.metered(e.ValExpr)
		if e.CondExpr != nil {
			e.CondExpr = l.metered(e.CondExpr)
		}
	case *hclsyntax.TemplateExpr:
		holes := writesJSON(e)
		for i, part := range e.Parts {
			if _, literal := part.(*hclsyntax.LiteralValueExpr); !literal {
				m := l.metered(part)
				m.holes = m.holes || holes
				e.Parts[i] = m
			}
		}
	}
}

func (l *loader) noteNames(t hcl.Traversal) {
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseAttr:
			l.names[s.Name] = true
		case hcl.TraverseIndex:
			if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() {
				l.names[s.Key.AsString()] = true
			}
		}
	}
}

// metered is an expression whose every evaluation costs. It poses as a pair
// of parentheses so that walks still see the expression inside.
type metered struct {
	*hclsyntax.ParenthesesExpr
	meter *meter
	holes bool // an unknown value becomes a hole
}

func (l *loader) metered(e hclsyntax.Expression) *metered {
	if m, done := e.(*metered); done {
		return m
	}
	return &metered{&hclsyntax.ParenthesesExpr{Expression: e, SrcRange: e.Range()}, l.meter, false}
}

// writesJSON reports that a template begins like a JSON array or object, such
// as container definitions or a policy: what is settled of it is read around
// what is not.
func writesJSON(e *hclsyntax.TemplateExpr) bool {
	if len(e.Parts) == 0 {
		return false
	}
	first, ok := e.Parts[0].(*hclsyntax.LiteralValueExpr)
	if !ok || first.Val.Type() != cty.String || !first.Val.IsKnown() || first.Val.IsNull() {
		return false
	}
	text := strings.TrimSpace(first.Val.AsString())
	return strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")
}

func (m *metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := m.ParenthesesExpr.Expression.Value(ctx)
	m.meter.spend(costCall + int64(len(diags))*costCall)
	m.meter.weighType(v.Type())
	if u, _ := v.Unmark(); u.IsKnown() && !u.IsNull() && u.Type().IsPrimitiveType() {
		m.meter.weigh(u)
	} else if m.holes && !u.IsKnown() && !diags.HasErrors() {
		return cty.StringVal(resource.Hole(resource.Why(v))), diags
	}
	return v, diags
}

// present is an operand that is compared with null: an unknown value that is
// certainly not null becomes a known one, since that is all that is asked.
type present struct {
	*hclsyntax.ParenthesesExpr
}

func (l *loader) present(e hclsyntax.Expression) hclsyntax.Expression {
	switch e.(type) {
	case *present, *metered:
		return e
	}
	return &present{&hclsyntax.ParenthesesExpr{Expression: e, SrcRange: e.Range()}}
}

func (p *present) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := p.ParenthesesExpr.Expression.Value(ctx)
	if u, _ := v.Unmark(); !diags.HasErrors() && !u.IsKnown() && isSet(v) {
		return cty.True, diags
	}
	return v, diags
}

func isNullLiteral(e hclsyntax.Expression) bool {
	l, ok := e.(*hclsyntax.LiteralValueExpr)
	return ok && l.Val.IsNull()
}

// operation returns the replacement of an operator, or nil to keep it.
func (l *loader) operation(op *hclsyntax.Operation) *hclsyntax.Operation {
	switch op {
	case hclsyntax.OpEqual:
		return &hclsyntax.Operation{Impl: equality(stdlib.EqualFunc, true), Type: cty.Bool}
	case hclsyntax.OpNotEqual:
		return &hclsyntax.Operation{Impl: equality(stdlib.NotEqualFunc, false), Type: cty.Bool}
	case hclsyntax.OpAdd, hclsyntax.OpSubtract, hclsyntax.OpMultiply, hclsyntax.OpDivide:
		return &hclsyntax.Operation{Impl: l.weighed(op.Impl), Type: op.Type}
	}
	return nil
}

// equality compares values that may hold symbols. An id is neither null nor
// empty, and equal to itself; whether it equals another is known after apply.
func equality(plain function.Function, equal bool) function.Function {
	param := function.Parameter{Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowNull: true, AllowMarked: true}
	return function.New(&function.Spec{
		Params: []function.Parameter{param, param},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (result cty.Value, err error) {
			if isNull(args[0]) && isSet(args[1]) || isSet(args[0]) && isNull(args[1]) {
				return cty.BoolVal(!equal), nil
			}
			a, marksA := args[0].UnmarkDeep()
			b, marksB := args[1].UnmarkDeep()
			args = []cty.Value{a, b}
			defer func() {
				if err == nil {
					result = result.WithMarks(marksA, marksB)
				}
			}()
			if !resource.HasSymbol(a) && !resource.HasSymbol(b) {
				return plain.Call(args)
			}
			switch {
			case isEmpty(a) && isSymbol(b), isSymbol(a) && isEmpty(b):
				return cty.BoolVal(!equal), nil
			case isSymbol(a) && isSymbol(b) && a.RawEquals(b):
				return cty.BoolVal(equal), nil
			case neverEqual(a, b), neverEqual(b, a):
				return cty.BoolVal(!equal), nil
			}
			return cty.UnknownVal(cty.Bool).Mark(resource.Cause{Text: "a comparison with an identifier is known only after apply"}), nil
		},
	})
}

func isNull(v cty.Value) bool {
	v, _ = v.Unmark()
	return v.IsKnown() && v.IsNull()
}

// isSet reports that v is certainly not null: an object that holds unknown
// values or identifiers is there all the same.
func isSet(v cty.Value) bool {
	v, marks := v.Unmark()
	if v.IsKnown() {
		return !v.IsNull()
	}
	for m := range marks {
		if c, ok := m.(resource.Cause); ok && c.Set {
			return true
		}
	}
	return v.Type() != cty.DynamicPseudoType && v.Range().DefinitelyNotNull()
}

func isSymbol(v cty.Value) bool {
	return v.IsKnown() && !v.IsNull() && v.Type() == cty.String && resource.IsExactSymbol(v.AsString())
}

func isEmpty(v cty.Value) bool {
	if !v.IsKnown() {
		return false
	}
	return v.IsNull() || v.Type() == cty.String && v.AsString() == ""
}

// weighed is an arithmetic operator whose result is checked for size.
func (l *loader) weighed(plain function.Function) function.Function {
	param := function.Parameter{Type: cty.Number, AllowUnknown: true, AllowDynamicType: true}
	return function.New(&function.Spec{
		Params: []function.Parameter{param, param},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := plain.Call(args)
			if err != nil {
				return v, err
			}
			if v.IsKnown() && !v.IsNull() {
				n := v.AsBigFloat()
				if e := n.MantExp(nil); n.IsInf() || e > maxExponent || e < -maxExponent {
					return cty.NilVal, errNumber
				}
			}
			return v, nil
		},
	})
}
