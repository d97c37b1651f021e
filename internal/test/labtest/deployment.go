// Package labtest is what the tests of several packages need of a lab: the
// stacks' deployments, the measured app, other people's programs as hops to
// compare with, and the document that results go into. Only tests import it.
package labtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

// Read reads the golden cloud assembly of a variant of the stacks.
func Read(variant string) (*topology.Topology, error) {
	r, err := repo.Find()
	if err != nil {
		return nil, err
	}
	a, err := cfn.Load([]string{filepath.Join(r.Root, "stacks", "testdata", "golden", variant)}, cfn.Options{})
	if err != nil {
		return nil, err
	}
	return deployment.FromTemplates(a)
}

// Deployment is Read for a test, which may change what it gets.
func Deployment(t testing.TB, variant string) *topology.Topology {
	t.Helper()
	topo, err := Read(variant)
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// BuildService builds the measured app into the directory and returns its path.
func BuildService(dir string) (string, error) {
	r, err := repo.Find()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "service")
	cmd := exec.Command("go", "build", "-o", path, "./service")
	cmd.Dir = r.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the app: %w\n%s", err, out)
	}
	return path, nil
}

// Programs returns what a lab outside the fast layer is started with: the measured
// app, built into the user's cache, and this test binary for the lab's nodes (see
// Node).
func Programs(t testing.TB) (app, self string) {
	t.Helper()
	r, err := repo.Find()
	if err == nil {
		app, err = r.BuildService(t.Context(), os.Stderr)
	}
	if err == nil {
		self, err = os.Executable()
	}
	if err != nil {
		t.Fatal(err)
	}
	return app, self
}

// Node is a node of a lab, and does not return, in a test binary that a lab
// started as one; TestMain calls it first.
func Node() {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		os.Exit(lab.NodeMain(os.Stdin, os.Stdout, os.Stderr))
	}
}

// WithService runs a package's tests with the measured app built once: *path
// names it while they run. It returns the exit code for TestMain. The lab's own
// tests do not use it: they look for their package's frames in what is left.
// The fast layer builds nothing. It begins with Node.
func WithService(m *testing.M, path *string) int {
	Node()
	if layer.Fast() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "hoplab-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		*path, err = BuildService(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
