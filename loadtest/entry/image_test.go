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
