package labtest

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/repo"
)

// Trials is docs/trials.md, or another document there, whose sections tests
// write and compare.
type Trials struct {
	// Update makes the tests write what they find.
	Update bool
	// File is the document's name in docs; empty for trials.md.
	File string
}

// path finds the document.
func (d Trials) path(t testing.TB) string {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(r.Root, "docs", cmp.Or(d.File, "trials.md"))
}

// section returns the text between the marks of a section of the document,
// and what stands around it.
func (d Trials) section(t testing.TB, name string) (before, text, after string) {
	t.Helper()
	b, err := os.ReadFile(d.path(t))
	if err != nil {
		t.Fatal(err)
	}
	open, end := "<!-- "+name+": generated -->\n", "<!-- end of "+name+" -->\n"
	before, rest, ok := strings.Cut(string(b), open)
	text, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no section %s", d.path(t), name)
	}
	return before + open, text, end + after
}

// Write replaces a section, if the document is to be updated and the test has
// not failed.
func (d Trials) Write(t testing.TB, name, text string) {
	t.Helper()
	if !d.Update || t.Failed() {
		return
	}
	before, _, after := d.section(t, name)
	Write(t, d.path(t), before+strings.TrimRight(text, "\n")+"\n"+after)
}

// Same compares a table with the one in the document, or writes it. Only the
// first three columns count: the case, the agent and the load balancer. Other
// programs' outcomes differ by version.
func (d Trials) Same(t testing.TB, name, table string) {
	t.Helper()
	if d.Update {
		d.Write(t, name, table)
		return
	}
	if _, have, _ := d.section(t, name); ourColumns(have) != ourColumns(table) {
		t.Errorf("%s, section %s, differs from what was observed; run with -update if that is right:\n%s", d.path(t), name, table)
	}
}

func ourColumns(table string) string {
	var b strings.Builder
	for line := range strings.Lines(table) {
		cells := strings.SplitN(strings.TrimSpace(line), "|", 5)
		b.WriteString(strings.Join(cells[:min(4, len(cells))], "|") + "\n")
	}
	return strings.TrimSpace(b.String())
}
