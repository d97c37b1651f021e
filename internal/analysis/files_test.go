package analysis_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
)

func TestTheResultIsAFunctionOfTheDirectory(t *testing.T) {
	d := write(t, recording(t))
	var first []byte
	for range 3 {
		b, err := json.Marshal(analyze(t, d))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if !bytes.Equal(first, b) {
			t.Fatal("two analyses of one directory differ")
		}
	}
	// Also at another place.
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.CopyFS(moved, os.DirFS(d.Path)); err != nil {
		t.Fatal(err)
	}
	m, err := run.Open(moved)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(analyze(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, b) {
		t.Error("the result depends on where the directory lies")
	}
}

// Several generators' files must give exactly what one file with all records gives.
func TestGeneratorsMergeExactly(t *testing.T) {
	one := recording(t)
	several := recording(t)
	several.Plan.Generators = 3
	a, b := analyze(t, write(t, one)).Summary, analyze(t, write(t, several)).Summary
	x, _ := json.Marshal([]any{a.Arms, a.Differences, a.NoiseFloorUs, a.Ledger})
	y, _ := json.Marshal([]any{b.Arms, b.Differences, b.NoiseFloorUs, b.Ledger})
	if !bytes.Equal(x, y) {
		t.Errorf("three generators give\n%s\none gives\n%s", y, x)
	}
}

func TestFilesThatDoNotBelongTogetherAreRefusedByName(t *testing.T) {
	other := func(change func(*sim.Recording)) *run.Dir {
		rec := recording(t)
		rec.Plan.Generators = 2
		rec.Plan.Replicates = 2
		change(rec)
		return write(t, rec)
	}
	d := other(func(*sim.Recording) {})
	for _, c := range []struct {
		name, want string
		from       *run.Dir
		src, dst   string
	}{
		{"another plan", "plan_hash", other(func(r *sim.Recording) { r.Plan.Seed = 9 }), "01/samples-001.hop", "01/samples-001.hop"},
		{"another build in one replicate", "build", other(func(r *sim.Recording) { r.Build = "k6 v9" }),
			"01/samples-001.hop", "01/samples-001.hop"},
		{"another target", "target", other(func(r *sim.Recording) { r.Plan.Target, r.Plan.Fabric, r.Plan.Agent = "aws", "", "" }),
			"01/samples-001.hop", "01/samples-001.hop"},
		{"another length", "duration_s", other(func(r *sim.Recording) { r.Plan.ReplicateS = 12 }), "01/samples-001.hop", "01/samples-001.hop"},
		{"another rate", "rate_per_s", other(func(r *sim.Recording) { r.Plan.RatePerS = 499 }), "01/samples-001.hop", "01/samples-001.hop"},
		{"another replicate", "replicate", d, "02/samples-000.hop", "01/samples-000.hop"},
		{"the same share twice", "generator", d, "01/samples-000.hop", "01/samples-001.hop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mixed(t, d, c.from, c.src, c.dst)
			_, err := analysis.Analyze(m)
			if err == nil || !strings.Contains(err.Error(), c.want) || fail.CodeOf(err) != fail.Usage {
				t.Fatalf("got %v; want a usage error that names %q", err, c.want)
			}
		})
	}
	t.Run("another build in another replicate", func(t *testing.T) {
		from := other(func(r *sim.Recording) { r.Build = "k6 v9" })
		m := mixed(t, d, from, "02/samples-000.hop", "02/samples-000.hop")
		m = mixed(t, m, from, "02/samples-001.hop", "02/samples-001.hop")
		if _, err := analysis.Analyze(m); err == nil || !strings.Contains(err.Error(), "build") {
			t.Fatalf("got %v; want an error that names the build", err)
		}
	})
	t.Run("a missing share", func(t *testing.T) {
		m := mixed(t, d, d, "01/samples-000.hop", "01/samples-000.hop")
		if err := os.Remove(filepath.Join(m.Path, "replicates/01/samples-001.hop")); err != nil {
			t.Fatal(err)
		}
		if _, err := analysis.Analyze(m); err == nil || !strings.Contains(err.Error(), "1 sample files; the plan has 2") {
			t.Fatalf("got %v; want an error that counts the files", err)
		}
	})
}

// mixed is a copy of d with one file from another run.
func mixed(t *testing.T, d, from *run.Dir, src, dst string) *run.Dir {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mixed")
	if err := os.CopyFS(path, os.DirFS(d.Path)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(from.Path, "replicates", src))
	if err == nil {
		err = os.WriteFile(filepath.Join(path, "replicates", dst), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestADamagedFileIsNamedWithItsOffset(t *testing.T) {
	rec := recording(t)
	rec.Plan.Replicates = 2
	d := write(t, rec)
	path := filepath.Join(d.Path, "replicates", "02", "samples.hop")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string][]byte{"cut": data[:len(data)/2],
		"changed": append(append([]byte{}, data[:5000]...), append([]byte{0xff ^ data[5000]}, data[5001:]...)...)} {
		if err := os.WriteFile(path, damage, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := analysis.Analyze(d)
		if err == nil || !strings.Contains(err.Error(), "02/samples.hop") || !strings.Contains(err.Error(), "offset") || fail.CodeOf(err) != fail.Usage {
			t.Errorf("%s: got %v; want a usage error with file and offset", name, err)
		}
	}
}
