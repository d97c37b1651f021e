package labtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// Browser finds a browser that can run without a window, or ends the test.
func Browser(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	layer.Lacking(t, "no browser: the pages are looked at in Chromium; install chromium")
	return ""
}

// Drive runs a script of the test's package with Node, hands it the job as JSON
// and returns what it prints.
func Drive(t testing.TB, script string, job any) (printed string) {
	t.Helper()
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, out)
	}
	return string(out)
}

// Driven is Browser for a test that drives it with Playwright.
func Driven(t testing.TB) string {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(r.Root, "node_modules", "playwright-core")); err != nil {
		layer.Lacking(t, "no playwright-core: run npm ci")
	}
	return Browser(t)
}
