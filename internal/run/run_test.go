package run_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
)

func create(t *testing.T) *run.Dir {
	t.Helper()
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	d, err := run.Create(filepath.Join(t.TempDir(), "r"), p, run.Environment{Run: "r"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReplicateCountsOnlyWithCompleteEvidence(t *testing.T) {
	d := create(t)
	r := d.Replicate(1)
	if err := r.Reset(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := r.Evidence(); ok || err != nil {
		t.Fatalf("without evidence: ok %v, err %v; want false, nil", ok, err)
	}
	if err := r.Finish(run.Evidence{Replicate: 1, Failure: "k6 was killed"}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := r.Evidence(); ok || err != nil {
		t.Fatalf("with failed evidence: ok %v, err %v; want false, nil", ok, err)
	}
	if err := r.Finish(run.Evidence{Replicate: 1, Complete: true}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := r.Evidence(); !ok || err != nil {
		t.Fatalf("with complete evidence: ok %v, err %v; want true, nil", ok, err)
	}
}

// TestEvidenceOfEarlierVersions: addresses stood under another key.
func TestEvidenceOfEarlierVersions(t *testing.T) {
	r := create(t).Replicate(1)
	if err := r.Reset(); err != nil {
		t.Fatal(err)
	}
	old := `{"replicate": 1, "complete": true, "doors": {"agent": "127.0.0.1:80"}}`
	if err := os.WriteFile(filepath.Join(r.Path, run.EvidenceFile), []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	e, ok, err := r.Evidence()
	if err != nil || !ok || e.Addresses["agent"] != "127.0.0.1:80" {
		t.Fatalf("read %v, %v, %v; want the agent arm's address", e.Addresses, ok, err)
	}
	if err := r.Finish(e); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(filepath.Join(r.Path, run.EvidenceFile))
	if err != nil || !strings.Contains(string(now), `"addresses"`) || strings.Contains(string(now), `"doors"`) {
		t.Errorf("written again: %s, %v; want the key addresses alone", now, err)
	}
}

func TestReplicatesAreOrderedByNumberAndStrangersIgnored(t *testing.T) {
	d := create(t)
	for _, i := range []int{10, 2, 1} {
		if err := d.Replicate(i).Reset(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(d.Path, "replicates", "notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	rs, err := d.Replicates()
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, r := range rs {
		got = append(got, r.Index)
	}
	if len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 10 {
		t.Fatalf("got replicates %v; want [1 2 10]", got)
	}
}

func TestErrorsNameTheThingAndTheCode(t *testing.T) {
	d := create(t)
	damaged := create(t)
	if err := os.WriteFile(filepath.Join(damaged.Path, run.PlanFile), []byte(`{"schema":`), 0o644); err != nil {
		t.Fatal(err)
	}
	edited := create(t)
	if err := os.WriteFile(filepath.Join(edited.Path, run.PlanFile), []byte(`{"schema":"hoplab/plan/v1"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	foreign := create(t)
	if err := os.WriteFile(filepath.Join(foreign.Path, run.PlanFile), []byte(`{"schema":"hoplab/plan/v9"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func() error
		code fail.Code
		want string
	}{
		{"edited plan", func() error { _, err := run.Open(edited.Path); return err }, fail.Usage, "plan.json: plan: "},
		{"create twice", func() error { _, err := run.Create(d.Path, d.Plan, d.Env); return err }, fail.Usage, "already holds a run"},
		{"open nothing", func() error { _, err := run.Open(t.TempDir()); return err }, fail.Usage, "is not a run directory"},
		{"damaged plan", func() error { _, err := run.Open(damaged.Path); return err }, fail.Usage, "plan.json"},
		{"foreign schema", func() error { _, err := run.Open(foreign.Path); return err }, fail.Usage, "hoplab/plan/v9"},
		{"directory is a file", func() error { _, err := run.Create(filepath.Join(file, "x"), d.Plan, d.Env); return err },
			fail.Environment, "cannot write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.do()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v; want one with %q", err, c.want)
			}
			if got := fail.CodeOf(err); got != c.code {
				t.Errorf("got exit code %d; want %d", got, c.code)
			}
			if fail.HintOf(err) == "" {
				t.Error("the error has no hint at the next step")
			}
		})
	}
}

// TestHostileDirectory: files that never end, wait, or lie elsewhere are refused
// by name, also those of a replicate.
func TestHostileDirectory(t *testing.T) {
	for _, name := range []string{run.EnvironmentFile, run.PlanFile, run.StateFile,
		"replicates/01/" + run.EvidenceFile, "replicates/01/samples.hop"} {
		for what, put := range map[string]func(path string) error{
			"a link to a device": func(p string) error { return os.Symlink("/dev/zero", p) },
			"a pipe":             func(p string) error { return syscall.Mkfifo(p, 0o600) },
		} {
			d := create(t)
			if err := d.Replicate(1).Reset(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(d.Path, name)
			os.Remove(path)
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err1 := run.Open(d.Path)
				_, err2 := d.State()
				_, _, err3 := d.Replicate(1).Evidence()
				var err4 error
				if files, _ := d.Replicate(1).Samples(); len(files) > 0 {
					_, err4 = run.OpenSamples(files[0])
				}
				done <- errors.Join(err1, err2, err3, err4)
			}()
			select {
			case err := <-done:
				if !errors.Is(err, bounded.ErrOutside) && !errors.Is(err, bounded.ErrNotRegular) || !strings.Contains(err.Error(), name) {
					t.Errorf("%s is %s: %v", name, what, err)
				}
			case <-time.After(20 * time.Second):
				t.Errorf("%s is %s: waits", name, what)
			}
		}
	}
}
