package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// The image is built from an extract of the repository. Every package that
// the entry program needs from it must be in that extract.
func TestImageContextIsComplete(t *testing.T) {
	layer.Full(t, "starts processes")
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.Path("loadtest", "Dockerfile.dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Fields(string(text))
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.Dir}}{{end}}", "./loadtest/entry")
	cmd.Dir = r.Root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dir := range strings.Lines(string(out)) {
		rel, err := filepath.Rel(r.Root, strings.TrimSpace(dir))
		if err != nil || strings.HasPrefix(rel, "..") {
			continue // of another module
		}
		rel = filepath.ToSlash(rel)
		top, _, _ := strings.Cut(rel, "/")
		want := "!" + rel
		if top == "loadtest" {
			want = "!loadtest"
		}
		if !slices.Contains(kept, want) {
			t.Errorf("%s is needed and Dockerfile.dockerignore leaves it out; add %s", rel, want)
		}
	}
}

// What the Dockerfile copies from the repository must be there, and must be
// in the extract.
func TestImageCopiesWhatIsKept(t *testing.T) {
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile(r.Path("loadtest", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := os.ReadFile(r.Path("loadtest", "Dockerfile.dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	kept, copies := strings.Fields(string(ignore)), 0
	for line := range strings.Lines(string(dockerfile)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "COPY" || strings.HasPrefix(words[1], "--") || words[1] == "." {
			continue
		}
		for _, source := range words[1 : len(words)-1] {
			copies++
			if _, err := os.Stat(r.Path(source)); err != nil {
				t.Errorf("the Dockerfile copies %s: %v", source, err)
			}
			if top, _, _ := strings.Cut(source, "/"); !slices.Contains(kept, "!"+top) {
				t.Errorf("the Dockerfile copies %s and Dockerfile.dockerignore leaves it out; add !%s", source, top)
			}
		}
	}
	if copies == 0 {
		t.Error("found no COPY of the repository's files in the Dockerfile")
	}
}
