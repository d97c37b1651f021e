package trial

import (
	"os"
	"strings"
	"testing"
)

const document = "../../docs/trials.md"

// section returns the text between the marks of a section of the document,
// and what stands around it.
func section(t testing.TB, name string) (before, text, after string) {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	open, end := "<!-- "+name+": generated -->\n", "<!-- end of "+name+" -->\n"
	before, rest, ok := strings.Cut(string(b), open)
	text, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no section %s", document, name)
	}
	return before + open, text, end + after
}

// writeSection replaces a section of the document.
func writeSection(t testing.TB, name, text string) {
	t.Helper()
	before, _, after := section(t, name)
	if err := os.WriteFile(document, []byte(before+strings.TrimRight(text, "\n")+"\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ourColumns keeps the first three columns of a table's lines: the case, the
// agent and the load balancer. Other programs' outcomes differ by version.
func ourColumns(table string) string {
	var b strings.Builder
	for line := range strings.Lines(table) {
		cells := strings.SplitN(strings.TrimSpace(line), "|", 5)
		b.WriteString(strings.Join(cells[:min(4, len(cells))], "|") + "\n")
	}
	return strings.TrimSpace(b.String())
}

// sameSection compares a table with what was observed, or writes it.
func sameSection(t testing.TB, name, text string) {
	t.Helper()
	if *update {
		writeSection(t, name, text)
		return
	}
	if _, have, _ := section(t, name); ourColumns(have) != ourColumns(text) {
		t.Errorf("%s, section %s, differs from what was observed; run with -update if that is right:\n%s", document, name, text)
	}
}
