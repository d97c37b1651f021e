package synth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/synth"
	"github.com/hoplab/hoplab/internal/test/layer"
)

const root = "../../.."

// TestGoldenSourcesAreThese: what the golden templates say they were made from
// is what is there, so that hoplab run in a fresh clone compiles no CDK app.
// TestSynthesizedEqualsGolden holds that they are right to say so.
func TestGoldenSourcesAreThese(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var progress bytes.Buffer
	got, err := synth.Synth(context.Background(), root, map[string]string{"arms": "both"}, &progress)
	if err != nil {
		t.Fatalf("%v\nmake the golden templates again: go test ./stacks -run Golden -update", err)
	}
	if _, err := os.Stat(filepath.Join(got.Dir, "manifest.json")); err != nil {
		t.Errorf("the golden assembly is not there: %v", err)
	}
	if !strings.Contains(got.Source, "golden") || progress.Len() > 0 {
		t.Errorf("source %q, progress %q; want golden templates and no word", got.Source, progress.String())
	}
}

// TestChangedSourcesAreSynthesized: a change of anything that decides the
// templates, and of nothing else, makes the golden ones stale.
func TestChangedSourcesAreSynthesized(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // so that what would synthesize fails at once
	for _, c := range []struct {
		file, old, new string
		stale          bool
	}{
		{"app.go", "", "// a word\n", true},
		{"stacks/network.go", "", "// a word\n", true},
		{"stacks/host.sh", "", "# a word\n", true},
		{"internal/ports/ports.go", "", "// a word\n", true},
		{"cdk.json", "", " ", true},
		{"go.mod", "constructs/v10 v10.", "constructs/v10 v10.9", true},
		{"go.mod", "cobra v1.", "cobra v1.9", false},
		{"stacks/network_test.go", "", "package stacks\n", false},
		{"service/more.go", "", "package main\n", false},
	} {
		dir := t.TempDir()
		for _, name := range []string{"app.go", "cdk.json", "go.mod", "stacks", "internal/ports", "service"} {
			copyTo(t, filepath.Join(root, name), filepath.Join(dir, name))
		}
		path := filepath.Join(dir, c.file)
		data, _ := os.ReadFile(path)
		text := string(data) + c.new
		if c.old != "" {
			if text = strings.Replace(string(data), c.old, c.new, 1); text == string(data) {
				t.Fatalf("%s has no %q", c.file, c.old)
			}
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := synth.Synth(context.Background(), dir, map[string]string{"arms": "both"}, &bytes.Buffer{})
		if stale := fail.CodeOf(err) == fail.Environment && strings.Contains(err.Error(), "node"); stale != c.stale {
			t.Errorf("%s changed: %v; want stale golden templates: %v", c.file, err, c.stale)
		}
	}
}

// copyTo copies a file or a folder.
func copyTo(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err == nil {
		var data []byte
		if data, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, data, 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWithoutNodeAnUnusualContextIsRefused(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := synth.Synth(context.Background(), root, map[string]string{"ingressPortOverride": "9999"}, &bytes.Buffer{})
	if fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), "node") || fail.HintOf(err) == "" {
		t.Errorf("got %v (code %d, hint %q); want node named, code 5 and a hint", err, fail.CodeOf(err), fail.HintOf(err))
	}
}

func TestOutsideTheRepositoryIsAnError(t *testing.T) {
	_, err := synth.Synth(context.Background(), t.TempDir(), nil, &bytes.Buffer{})
	if fail.CodeOf(err) != fail.Environment || fail.HintOf(err) == "" {
		t.Errorf("got %v; want an environment error with a hint", err)
	}
}

func TestDigestFollowsTheTemplatesAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("A.template.json", "{}")
	first, err := synth.Digest([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	write("tree.json", "{}")
	if second, _ := synth.Digest([]string{dir}); second != first {
		t.Error("a file that is no template changed the digest")
	}
	write("A.template.json", `{"Resources":{}}`)
	if third, _ := synth.Digest([]string{dir}); third == first {
		t.Error("another template has the same digest")
	}
}

// TestSynthesizedEqualsGolden runs the real app: what hoplab run uses is what
// the repository's golden templates say.
func TestSynthesizedEqualsGolden(t *testing.T) {
	layer.Full(t, "builds the CDK app")
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(gocache))) // it would follow the next line
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	got, err := synth.Synthesized(ctx, root, map[string]string{"arms": "both"}, &bytes.Buffer{})
	if err != nil {
		if fail.CodeOf(err) == fail.Environment {
			layer.Lacking(t, err.Error())
		}
		t.Fatal(err)
	}
	goldenDir := filepath.Join(root, "stacks", "testdata", "golden", "both")
	for _, name := range []string{"Network", "App", "Client"} {
		name += ".template.json"
		if a, b := template(t, got.Dir, name), template(t, goldenDir, name); a != b {
			t.Errorf("%s differs from the one in %s; if that is meant, update it with go test ./stacks -update", name, goldenDir)
		}
	}
	again, err := synth.Synthesized(ctx, root, map[string]string{"arms": "both"}, &bytes.Buffer{})
	if err != nil || again.Dir != got.Dir {
		t.Errorf("the second time gave %v, %v; want the kept %s", again.Dir, err, got.Dir)
	}
}

// hash is the content hash of an image asset, which the golden files leave out.
var hash = regexp.MustCompile(`[0-9a-f]{64}|ASSET-?HASH`)

// template reads a template with the spelling of a golden file.
func template(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return hash.ReplaceAllString(string(out), "HASH")
}
