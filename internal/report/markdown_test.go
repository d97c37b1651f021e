package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/golden"
)

func markdown(t *testing.T, r *summary.Result) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.Markdown(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestMarkdownGolden(t *testing.T) {
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			got := markdown(t, f.build())
			golden.Check(t, "testdata/"+f.name+"/report.md", []byte(got))
			// GitHub cuts comments at 65,536 characters.
			if len(got) > 20_000 {
				t.Errorf("%d bytes are too many for a comment", len(got))
			}
		})
	}
}

func TestMarkdownShowsHostileTextAsText(t *testing.T) {
	got := markdown(t, fixtureNamed("hostile"))
	for _, line := range strings.Split(got, "\n") {
		if strings.HasPrefix(line, "    ") {
			continue // a command as indented code
		}
		if strings.Contains(line, "<script") || strings.Contains(line, "--> |`") {
			t.Errorf("not escaped: %s", line)
		}
		if cells := strings.Count(line, "|") - strings.Count(line, `\|`); strings.HasPrefix(line, "| ") && cells != 6 {
			t.Errorf("%d bars in a row of 5 cells: %s", cells, line)
		}
	}
}

func TestMarkdownKeepsCodeSpans(t *testing.T) {
	if got := markdown(t, fixtureNamed("refused")); !strings.Contains(got, "`bypass` requests") {
		t.Errorf("the name lost its code span:\n%s", got)
	}
}
