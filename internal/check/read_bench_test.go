package check_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
)

// repeated returns a template with the article's resources over and over, at
// least n of them, under logical ids of their own.
func repeated(b *testing.B, n int) ([]byte, int) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(article, "override-closed.template.json"))
	if err != nil {
		b.Fatal(err)
	}
	var one struct {
		Parameters json.RawMessage
		Resources  map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &one); err != nil {
		b.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	for i := 0; len(all) < n; i++ {
		var pairs []string
		for id := range one.Resources {
			pairs = append(pairs, `"`+id+`"`, fmt.Sprintf(`"%sC%d"`, id, i))
		}
		rename := strings.NewReplacer(pairs...)
		for id, r := range one.Resources {
			all[fmt.Sprintf("%sC%d", id, i)] = json.RawMessage(rename.Replace(string(r)))
		}
	}
	out, err := json.Marshal(map[string]any{"Parameters": one.Parameters, "Resources": all})
	if err != nil {
		b.Fatal(err)
	}
	return out, len(all)
}

// BenchmarkReadAndCheck is a whole hoplab check: parse the template, build the
// topology, predict, apply the rules.
func BenchmarkReadAndCheck(b *testing.B) {
	for _, n := range []int{500, 5000, 20000} {
		text, have := repeated(b, n)
		b.Run(fmt.Sprintf("resources=%d", have), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				a, err := cfn.Parse("big.template.json", text, cfn.Options{})
				if err != nil {
					b.Fatal(err)
				}
				t, err := deployment.FromTemplates(a)
				if err != nil {
					b.Fatal(err)
				}
				fs, err := check.Run(t, check.Options{})
				if err != nil || len(fs) == 0 {
					b.Fatal(err, len(fs))
				}
			}
		})
	}
}
