package module

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/fail"
)

// The limits on what is read. A configuration that people wrote stays far
// below each; one that does not would exhaust memory or stack instead of
// being read, and is refused by name.
const (
	maxFileBytes   = 1 << 20  // one file
	maxTotalBytes  = 16 << 20 // all files of a configuration
	maxNesting     = 100      // brackets, blocks and templates inside each other
	maxRun         = 2000     // tokens of one expression without a comma or line end
	maxInstances   = 10_000   // resource instances of a configuration, and of one count or for_each
	maxModules     = 500      // module calls, nested ones included
	maxModuleDepth = 16       // module in module
	maxDepth       = 500      // references through references, and templates in templates
	maxSteps       = 20 << 20 // work units, see meter
	maxExponent    = 2000     // binary exponent of a number: beyond, its decimal form alone is a burden
)

// meter bounds the work of evaluating a configuration. Each function call,
// each round of a for expression and each byte of a value costs a unit or
// more. When the budget is gone it panics with overrun, because neither the
// hclsyntax evaluator nor its loops can be stopped otherwise; Read recovers it.
type meter struct {
	left  int64
	where hcl.Range // the expression under evaluation, for the message
	err   error     // set once stopped; cty swallows panics inside functions, so check raises it again
}

type overrun struct{ err error }

const (
	costCall = 200 // a function call or a round of a loop, beside the size of its values
	costNode = 8   // an element of a collection
	costType = 64  // a type that holds others
)

func (m *meter) spend(n int64) {
	if m.left -= n; m.left < 0 {
		m.stop("the configuration takes more work to evaluate than the limit of %d million units", maxSteps>>20)
	}
}

func (m *meter) stop(format string, args ...any) {
	if m.err == nil {
		m.err = fail.Newf(fail.Usage,
			"read the JSON of `terraform show -json PLAN` instead, in which Terraform has done the evaluation",
			"%s: %s", place(m.where), fmt.Sprintf(format, args...))
	}
	panic(overrun{m.err})
}

// check panics again when the meter has stopped.
func (m *meter) check() {
	if m.err != nil {
		panic(overrun{m.err})
	}
}

// weigh spends the size of v, of its type where there is no more of it, and
// refuses numbers that are too long to write.
func (m *meter) weigh(v cty.Value) {
	m.spend(costNode)
	v, _ = v.Unmark()
	t := v.Type()
	if v.IsNull() || !v.IsKnown() {
		m.weighType(t)
		return
	}
	switch {
	case t == cty.String:
		m.spend(int64(len(v.AsString())))
	case t == cty.Number:
		m.checkNumber(v.AsBigFloat())
	case t.IsCollectionType(), t.IsTupleType(), t.IsObjectType():
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			if t.IsMapType() || t.IsObjectType() {
				m.weigh(k)
			}
			m.weigh(e)
		}
	}
}

// weighType spends the size of a type, which is what two values cost that are
// made one type. It may double with every reference, also where nothing is known
// of the values.
func (m *meter) weighType(t cty.Type) {
	switch {
	case t.IsCollectionType():
		m.spend(costType)
		m.weighType(t.ElementType())
	case t.IsTupleType():
		m.spend(costType)
		for _, e := range t.TupleElementTypes() {
			m.weighType(e)
		}
	case t.IsObjectType():
		m.spend(costType)
		for name, e := range t.AttributeTypes() {
			m.spend(costNode + int64(len(name)))
			m.weighType(e)
		}
	}
}

func (m *meter) checkNumber(n *big.Float) {
	if e := n.MantExp(nil); n.IsInf() || e > maxExponent || e < -maxExponent {
		m.stop("a number is beyond 2^±%d", maxExponent)
	}
}

// checkTokens refuses source whose nesting would overflow the parser's or
// the evaluator's stack. It looks at tokens only, so it comes first.
func checkTokens(tokens hclsyntax.Tokens) error {
	runs := []int{0} // tokens since the last separator, one counter per open bracket
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			runs[len(runs)-1]++
			runs = append(runs, 0)
			if len(runs) > maxNesting {
				return tooDeep(t.Range, "brackets, blocks and templates nest deeper than %d", maxNesting)
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen,
			hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			if len(runs) > 1 {
				runs = runs[:len(runs)-1]
			}
		case hclsyntax.TokenComma, hclsyntax.TokenNewline:
			// A line end inside parentheses separates nothing, but there an
			// expression of thousands of lines is no more likely.
			runs[len(runs)-1] = 0
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
		default:
			if runs[len(runs)-1]++; runs[len(runs)-1] > maxRun {
				return tooDeep(t.Range, "an expression has more than %d parts in a row", maxRun)
			}
		}
	}
	return nil
}

// checkJSON is checkTokens for JSON: it counts open brackets outside strings.
func checkJSON(file string, src []byte) error {
	depth, line, inString := 0, 1, false
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case c == '\n':
			line++
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return tooDeep(hcl.Range{Filename: file, Start: hcl.Pos{Line: line}}, "brackets nest deeper than %d", maxNesting)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func tooDeep(rng hcl.Range, format string, args ...any) error {
	return fail.Newf(fail.Usage, "split the expression into locals", "%s: %s", place(rng), fmt.Sprintf(format, args...))
}

// place renders "main.tf:12".
func place(rng hcl.Range) string {
	if rng.Filename == "" {
		return "the configuration"
	}
	return fmt.Sprintf("%s:%d", rng.Filename, rng.Start.Line)
}

// errNumber is returned where a function would panic on purpose: cty turns
// panics inside functions into errors of its own.
var errNumber = errors.New("the number is too large or too small to be meant")
