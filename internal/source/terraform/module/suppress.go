package module

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// suppressMark begins a comment that accepts a finding:
//
//	# hoplab:suppress alb-egress-closed: the targets are elsewhere
//
// Inside a resource block it is about that resource, outside about the whole
// configuration.
const suppressMark = "hoplab:suppress"

// suppression is such a comment at its line.
type suppression struct {
	resource.Suppression
	line int
}

// suppressions finds the marked comments of a file.
func suppressions(tokens hclsyntax.Tokens) []suppression {
	var out []suppression
	for _, t := range tokens {
		if t.Type != hclsyntax.TokenComment {
			continue
		}
		text := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(string(t.Bytes)), "#/*"))
		rest, ok := strings.CutPrefix(text, suppressMark)
		if !ok {
			continue
		}
		rule, reason, _ := strings.Cut(strings.TrimSpace(strings.TrimSuffix(rest, "*/")), ":")
		out = append(out, suppression{
			resource.Suppression{Rule: strings.TrimSpace(rule), Reason: strings.TrimSpace(reason)}, t.Range.Start.Line})
	}
	return out
}

// within takes the suppressions between the lines of a block.
func within(all []suppression, rng hcl.Range) (inside []resource.Suppression, rest []suppression) {
	for _, s := range all {
		if s.line >= rng.Start.Line && s.line <= rng.End.Line {
			inside = append(inside, s.Suppression)
		} else {
			rest = append(rest, s)
		}
	}
	return inside, rest
}
