package analysis_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/summary"
)

// TestReplicatesLeftOut: a run from which replicates were taken claims while it
// sees nearly what it was planned to see; from then on only when it is asked to.
func TestReplicatesLeftOut(t *testing.T) {
	for gone, want := range map[int]string{1: summary.Different, 2: summary.CannotTell, 4: summary.CannotTell} {
		t.Run(fmt.Sprint(gone), func(t *testing.T) {
			d := write(t, recording(t))
			for i := range gone {
				if err := os.RemoveAll(filepath.Join(d.Path, "replicates", fmt.Sprintf("%02d", i+1))); err != nil {
					t.Fatal(err)
				}
			}
			s := analyze(t, d).Summary
			if s.Verdict != want || s.Partial == nil || s.Partial.Replicates != 6-gone {
				t.Errorf("verdict %q, partial %+v; want %q", s.Verdict, s.Partial, want)
			}
			said := fmt.Sprint(s.Warnings)
			if strings.Contains(said, "report --partial") != (want == summary.CannotTell) {
				t.Errorf("warnings %s", said)
			}
			opened, err := run.Open(d.Path)
			if err != nil {
				t.Fatal(err)
			}
			asked, err := analysis.AnalyzeWith(opened, analysis.Options{Partial: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := asked.Summary.Verdict; got != summary.Different {
				t.Errorf("with Partial the verdict is %q, want %q", got, summary.Different)
			}
		})
	}
}
