package situation_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/test/differential"
	"github.com/hoplab/hoplab/internal/test/golden"
)

//go:generate go test . -run TestSituations -count=1 -update

// page is docs/situations.md: the three columns for people.
type page struct {
	rows bytes.Buffer
	n    int
}

const head = `# Situations

What a caller sees, and what a load balancer says of its target, in deployments whose outcome is known. Row numbers are
those of the table in [semantics.md](semantics.md). Three columns must agree: what is documented, what ` + "`hoplab explain`" + `
predicts, and what the lab shows. Written by ` + "`go test ./internal/situation -update`" + ` from a run; the test fails when a
column differs.

` + "`hoplab lab up --situation NAME --scale 20`" + ` starts one, with its timers 20 times faster.

| row | situation | what | documented | predicted | observed |
| ---: | --- | --- | --- | --- | --- |
`

func (p *page) add(s situation.Situation, r differential.Row) {
	observed := r.Observed
	if strings.Contains(s.Curl, situation.Or) { // either will do, so neither is a result to keep
		observed, _, _ = strings.Cut(observed, ":")
	}
	what := s.What
	if strings.HasPrefix(r.ID, "health/") {
		what += ": the target"
	}
	p.n++
	fmt.Fprintf(&p.rows, "| %d | `%s` | %s | %s | %s | %s |\n", s.Row, s.Name, what, cell(documented(s, r)), cell(r.Predicted), cell(observed))
}

// cell shortens a page of the load balancer to its title and keeps Markdown from reading the rest.
func cell(s string) string {
	if status, rest, ok := strings.Cut(s, ` "<html>`); ok {
		_, title, _ := strings.Cut(rest, "<title>")
		title, _, _ = strings.Cut(title, "</title>")
		s = status + ` "` + title + `"`
	}
	if text := []rune(s); len(text) > 90 {
		s = string(text[:90]) + "…"
	}
	return "`" + strings.NewReplacer("|", `\|`, "`", "'", `\r`, "", `\n`, " ").Replace(s) + "`"
}

func (p *page) compare(t *testing.T) {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join(r.Root, "docs", "situations.md"), append([]byte(head), p.rows.Bytes()...))
}
