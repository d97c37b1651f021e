package analysis_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/summary"
)

// kept are whole run directories as earlier versions wrote them, with the
// summary that they made. None is ever recorded anew: a change of a format
// adds one, and those that are there go on being read.
const kept = "testdata/kept/*"

// TestKeptRuns: what an earlier version recorded, this one reads, and counts
// the same.
func TestKeptRuns(t *testing.T) {
	dirs, err := filepath.Glob(kept)
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no kept run: %v", err)
	}
	for _, path := range dirs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			d, err := run.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := d.Left(); n != 0 {
				t.Errorf("%d replicates are not read as complete", n)
			}
			got, err := analysis.Analyze(d)
			if err != nil {
				t.Fatal(err)
			}
			var was summary.Summary
			allKnown(t, filepath.Join(path, run.SummaryFile), &was)
			sameSummary(t, &was, &got.Summary)
		})
	}
}

// TestKeptFields: every field that an earlier version wrote still has a
// meaning. One that was renamed would be read as zero, without an error.
func TestKeptFields(t *testing.T) {
	for pattern, fresh := range map[string]func() any{
		run.PlanFile:                       func() any { return new(plan.Plan) },
		run.EnvironmentFile:                func() any { return new(run.Environment) },
		run.StateFile:                      func() any { return new(run.State) },
		"replicates/*/" + run.EvidenceFile: func() any { return new(run.Evidence) },
		run.SummaryFile:                    func() any { return new(summary.Summary) },
	} {
		files, err := filepath.Glob(filepath.Join(kept, pattern))
		if err != nil || len(files) == 0 {
			t.Errorf("no kept %s: %v", pattern, err)
		}
		for _, file := range files {
			allKnown(t, file, fresh())
		}
	}
}

// allKnown reads a JSON file into v and reports a field that v does not have.
func allKnown(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Errorf("%s: %v; read the earlier form too, as Replicate.Evidence does", path, err)
	}
}

// sameSummary compares what follows from the files alone. Sentences and
// warnings may be worded anew.
func sameSummary(t *testing.T, was, got *summary.Summary) {
	t.Helper()
	for _, part := range []struct {
		name     string
		was, got any
	}{
		{"schema", was.Schema, got.Schema},
		{"plan", was.Plan, got.Plan},
		{"arms", was.Arms, got.Arms},
		{"differences", was.Differences, got.Differences},
		{"budgets", was.Budgets, got.Budgets},
		{"verdict", was.Verdict, got.Verdict},
	} {
		a, b := text(t, part.was), text(t, part.got)
		if a != b {
			t.Errorf("%s was %s, is read as %s", part.name, a, b)
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
