package terraform_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// slowest is more than any input may take; the work is limited by counting,
// and this notices what is not counted.
const slowest = 20 * time.Second

// FuzzDirectory reads a root module, a module below it and a tfvars file.
// Run it for longer with the command below; each input is written to files,
// which is many times faster in memory than on a disk:
//
//	TMPDIR=/dev/shm go test ./internal/source/terraform -run '^$' -fuzz FuzzDirectory -fuzztime 5m -parallel 1
func FuzzDirectory(f *testing.F) {
	seeds(f, func(path string, src []byte) {
		switch {
		case strings.HasSuffix(path, ".tf.json"):
			f.Add("locals {}", string(src), "", "")
		case strings.HasSuffix(path, ".tf"):
			f.Add(string(src), "{}", "output \"x\" {\n  value = 1\n}", "")
		case strings.HasSuffix(path, ".tfvars"):
			f.Add("variable \"port\" { type = number }", "{}", "", string(src))
		}
	})
	expressions, err := os.ReadFile("module/testdata/expressions.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range strings.Split(string(expressions), "\n") {
		f.Add("locals {\n x = "+e+"\n}\nresource \"aws_lb\" \"x\" {\n name = local.x\n}", "{}", "", "")
	}
	dir := f.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "m"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, main, json, module, vars string) {
		for name, content := range map[string]string{"main.tf": main, "json.tf.json": json, "m/m.tf": module, "x.auto.tfvars": vars} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		agree(t, dir)
	})
}

// FuzzPlan reads the JSON of a plan.
func FuzzPlan(f *testing.F) {
	seeds(f, func(path string, src []byte) {
		if strings.HasSuffix(path, ".json") && bytes.Contains(src, []byte("format_version")) {
			f.Add(src)
		}
	})
	plan, err := os.ReadFile("planfile/testdata/references/plan.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plan)
	path := filepath.Join(f.TempDir(), "plan.json")
	f.Fuzz(func(t *testing.T, src []byte) {
		if err := os.WriteFile(path, src, 0o644); err != nil {
			t.Fatal(err)
		}
		terraform.Detect(path)
		agree(t, path)
	})
}

// seeds calls add for every file of the fixtures.
func seeds(f *testing.F, add func(path string, src []byte)) {
	f.Helper()
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := os.ReadFile(path)
		add(path, src)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

// agree loads a path twice: it must answer in time, the same both times,
// with an error for the user or a topology in which no symbol is left.
func agree(t *testing.T, path string) {
	t.Helper()
	start := time.Now()
	first, err := terraform.Load(path, terraform.Options{})
	if took := time.Since(start); took > slowest {
		t.Fatalf("took %v", took)
	}
	again, errAgain := terraform.Load(path, terraform.Options{})
	if err != nil {
		if fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" {
			t.Fatalf("code %d, hint %q: %v", fail.CodeOf(err), fail.HintOf(err), err)
		}
		if errAgain == nil || errAgain.Error() != err.Error() {
			t.Fatalf("first %v\nthen %v", err, errAgain)
		}
		return
	}
	if errAgain != nil {
		t.Fatalf("first no error, then %v", errAgain)
	}
	out := dump(t, first)
	if other := dump(t, again); !bytes.Equal(out, other) {
		t.Fatalf("first %s\nthen %s", out, other)
	}
	if i := bytes.IndexAny(out, resource.Reserved); i >= 0 {
		t.Fatalf("a symbol is left in %s", out[max(0, i-200):min(len(out), i+200)])
	}
}
