package run_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/run"
)

// FuzzDirectory: a run directory with any text in its files is read, or refused
// with the name of the file; it never ends the program.
func FuzzDirectory(f *testing.F) {
	const sample = "../../docs/sample-run"
	var seed [4][]byte
	for i, name := range []string{run.PlanFile, run.EnvironmentFile, "state.json", "replicates/01/evidence.json"} {
		text, err := os.ReadFile(filepath.Join(sample, name))
		if err != nil {
			f.Fatal(err)
		}
		seed[i] = text
	}
	f.Add(seed[0], seed[1], seed[2], seed[3])
	f.Add(seed[0], []byte("{}"), []byte("{}"), []byte("{}"))
	f.Add([]byte("{"), []byte("null"), []byte("[]"), []byte("\x00"))
	f.Add(seed[0], seed[1], []byte(`{"status":1}`), []byte(`{"replicate":-1,"complete":true,"doors":{"a":1}}`))
	f.Fuzz(func(t *testing.T, plan, env, state, evidence []byte) {
		dir := filepath.Join(t.TempDir(), "r")
		if err := os.MkdirAll(filepath.Join(dir, "replicates", "01"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{
			run.PlanFile: plan, run.EnvironmentFile: env, "state.json": state, "replicates/01/evidence.json": evidence,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		named := func(err error) {
			if !strings.Contains(err.Error(), dir) {
				t.Errorf("the error does not say where: %v", err)
			}
		}
		d, err := run.Open(dir)
		if err != nil {
			named(err)
			return
		}
		if _, err := d.State(); err != nil {
			named(err)
		}
		reps, err := d.Replicates()
		if err != nil {
			named(err)
		}
		for _, r := range reps {
			if _, _, err := r.Evidence(); err != nil {
				named(err)
			}
		}
	})
}
