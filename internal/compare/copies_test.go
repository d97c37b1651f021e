package compare_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/summary"
)

// A copy of a file has no spread against the file: as a replicate it would make
// every difference certain. Neither name, compression nor form tells it apart.
func TestACopyIsNoReplicate(t *testing.T) {
	one := func(arm string) func(seed uint64) []byte {
		only := mixed
		only.rate = 50
		only.arm = func(int, *rand.Rand) string { return arm }
		return func(seed uint64) []byte { return ndjson(only.requests(seed)) }
	}
	slow, fast := one("slow"), one("fast")
	array := func(b []byte) []byte {
		return slices.Concat([]byte("["), bytes.ReplaceAll(bytes.TrimSpace(b), []byte("\n"), []byte(",\n")), []byte("]"))
	}
	a1, a2 := file(t, "a1.json", slow(1)), file(t, "a2.json", slow(2))
	b1, b2 := file(t, "b1.json", fast(3)), file(t, "b2.json", fast(4))
	renamed, gz, list := file(t, "x.json", slow(1)), file(t, "x.json.gz", zipped(slow(1))), file(t, "list.json", array(slow(1)))
	turns := mixed
	turns.rate = 50
	both, bothAgain := file(t, "both.json", ndjson(turns.requests(5))), file(t, "again.json.gz", zipped(ndjson(turns.requests(5))))
	for name, o := range map[string]compare.Options{
		"the same path":            {A: []string{a1, a1}, B: []string{b1, b2}},
		"a renamed copy":           {A: []string{a1, renamed}, B: []string{b1, b2}},
		"a compressed copy":        {A: []string{a1, gz}, B: []string{b1, b2}},
		"another form":             {A: []string{a1, list}, B: []string{b1, b2}},
		"on both sides":            {A: []string{a1, a2}, B: []string{b1, renamed}},
		"one run and its copy":     {A: []string{a1}, B: []string{b1, renamed}},
		"a file twice with a tag":  {A: []string{both, bothAgain}, By: "arm"},
		"both sides all the same":  {A: []string{a1, a2}, B: []string{a1, a2}},
		"vouched for all the same": {A: []string{a1, a1}, B: []string{b1, b1}, AssumeSteady: true},
	} {
		_, err := compare.Run(o)
		if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "hold the same 3,000 requests") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, compare.Options{A: []string{a1, a2}, B: []string{b1, b2}})
	for _, copied := range []string{a1, renamed, gz, list} {
		r := must(t, compare.Options{A: []string{a1}, B: []string{copied}, AssumeSteady: true})
		if !warned(&r.Summary, "same-file") || r.Summary.Verdict != summary.CannotTell {
			t.Errorf("%s beside its copy: verdict %q, %s", copied, r.Summary.Verdict, words(&r.Summary))
		}
	}
}

// A run beside itself would be within every budget.
func TestARunIsNotComparedWithItself(t *testing.T) {
	sample := filepath.Join("..", "..", "docs", "sample-run")
	copied := filepath.Join(t.TempDir(), "renamed")
	if err := os.CopyFS(copied, os.DirFS(sample)); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{sample, copied} {
		_, err := compare.Run(compare.Options{A: []string{sample}, B: []string{other}, Budgets: []string{"p99 <= 1ms"}})
		if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "are the same run") {
			t.Errorf("%s: %v", other, err)
		}
	}
}
