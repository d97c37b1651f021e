package render_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/test/cfntest"
)

// The lines that a flowchart of ours may consist of. A quoted string holds no
// quote and no line end; # appears only as an entity.
var mermaidLines = []*regexp.Regexp{
	regexp.MustCompile(`^flowchart LR$`),
	regexp.MustCompile(`^  subgraph (p\d+)\["((?:[^"#]|#35;|#quot;)*)"\]$`),
	regexp.MustCompile(`^    (p\d+n\d+)(?:\(\["(?:[^"#]|#35;|#quot;)*"\]\)|\["(?:[^"#]|#35;|#quot;)*"\]|\{\{"(?:[^"#]|#35;|#quot;)*"\}\})$`),
	regexp.MustCompile(`^    (p\d+n\d+) (?:-->|-\.->)\|"(?:[^"#]|#35;|#quot;)*"\| (p\d+n\d+)$`),
	regexp.MustCompile(`^    (p\d+n\d+) === (p\d+n\d+)$`),
	regexp.MustCompile(`^  end$`),
}

// parseMermaid is a strict parser of the subset that render emits: every line
// is of a known form, every node is declared once and before its edges, in
// its own subgraph, and subgraphs are closed.
func parseMermaid(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	nodes, graphs := map[string]bool{}, map[string]bool{}
	open := ""
	for i, l := range lines {
		kind := -1
		var m []string
		for k, re := range mermaidLines {
			if m = re.FindStringSubmatch(l); m != nil {
				kind = k
				break
			}
		}
		switch {
		case kind < 0:
			t.Fatalf("line %d is no line of a flowchart: %s", i+1, l)
		case kind == 0 && i != 0 || kind != 0 && i == 0:
			t.Fatalf("line %d: the header is not first and once", i+1)
		case kind == 1:
			if open != "" || graphs[m[1]] {
				t.Fatalf("line %d: subgraph %s inside another, or twice", i+1, m[1])
			}
			open, graphs[m[1]] = m[1], true
		case kind == 5:
			if open == "" {
				t.Fatalf("line %d: end without subgraph", i+1)
			}
			open = ""
		case kind == 2:
			if nodes[m[1]] || open == "" || !strings.HasPrefix(m[1], open+"n") {
				t.Fatalf("line %d: node %s twice or outside its subgraph", i+1, m[1])
			}
			nodes[m[1]] = true
		case kind == 3 || kind == 4:
			if !nodes[m[1]] || !nodes[m[2]] {
				t.Fatalf("line %d: edge of an undeclared node", i+1)
			}
		}
	}
	if open != "" {
		t.Fatalf("subgraph %s is not closed", open)
	}
}

func TestMermaid(t *testing.T) {
	for _, in := range inputs {
		for _, all := range []bool{false, true} {
			var b bytes.Buffer
			if err := render.Mermaid(&b, slices.Values(report(t, cfntest.Read(t, in.path)).Predictions), all); err != nil {
				t.Fatal(err)
			}
			parseMermaid(t, b.String())
		}
	}
}

func TestMermaidQuotes(t *testing.T) {
	r := &reach.Report{Predictions: []reach.Prediction{{
		Likely: true, What: "a \"quoted\" #1\nname", Kind: reach.KindALB,
		Outcome: reach.Outcome{Class: reach.HTTPError, Status: 503, Body: "]\"--> x\n|y|"},
	}}}
	var b bytes.Buffer
	if err := render.Mermaid(&b, slices.Values(r.Predictions), false); err != nil {
		t.Fatal(err)
	}
	parseMermaid(t, b.String())
}
