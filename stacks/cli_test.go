package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// The tests of this file run the CDK app as users do: as a program, under the
// pinned CLI.

// TestProgram builds app.go once for all that is tested on it.
func TestProgram(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	needNode(t)
	app := filepath.Join(t.TempDir(), "app")
	if out, err := run(t, "..", nil, "go", "build", "-o", app, "."); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	t.Run("modes", func(t *testing.T) { testModes(t, app) })
	t.Run("errors", func(t *testing.T) { testErrors(t, app) })
}

// run runs a program for at most two minutes and returns what it wrote.
func run(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	// jsii warns about old versions of Node; that is not what is tested.
	cmd.Env = append(append(os.Environ(), "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=18,20,21,23", "CDK_DISABLE_CLI_TELEMETRY=true"), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// cdk runs the CLI of package.json in the repository.
func cdk(t *testing.T, args ...string) (string, error) {
	t.Helper()
	node := needNode(t)
	return run(t, "..", nil, node, append([]string{"node_modules/aws-cdk/bin/cdk", "--no-notices", "--no-color"}, args...)...)
}

var assetHash = regexp.MustCompile(`[0-9a-f]{64}`)

// testModes synthesizes both modes with the CLI, quietly; what it writes is what
// the golden files hold, and its diff between the modes is the override and
// the rule that follows it.
func testModes(t *testing.T, app string) {
	dir := t.TempDir()
	for mode, args := range map[string][]string{"agent": nil, "bypass": {"-c", "ingressPortOverride=8080"}} {
		out, err := cdk(t, append([]string{"synth", "--quiet", "--strict", "--app", app, "--output", filepath.Join(dir, mode)}, args...)...)
		if err != nil {
			t.Fatalf("cdk synth: %v\n%s", err, out)
		}
		if lower := strings.ToLower(out); strings.Contains(lower, "warning") || strings.Contains(lower, "not configured") {
			t.Errorf("cdk synth in %s mode is not quiet:\n%s", mode, out)
		}
		for _, path := range glob(t, filepath.Join("testdata", "golden", mode), "*.template.json") {
			compareTemplates(t, path, filepath.Join(dir, mode, filepath.Base(path)))
		}
	}

	checkLines(t, "Network", filepath.Join(dir, "agent"), filepath.Join(dir, "bypass"), nil)
	checkLines(t, "Client", filepath.Join(dir, "agent"), filepath.Join(dir, "bypass"), nil)
	checkLines(t, "App", filepath.Join(dir, "agent"), filepath.Join(dir, "bypass"),
		[]string{`"IngressPortOverride": 8080`, `"FromPort": 8080`, `"ToPort": 8080`})

	sources := append(glob(t, filepath.Join(dir, "agent"), "asset.*/*"), glob(t, filepath.Join(dir, "agent"), "asset.*/app/*")...)
	for _, path := range sources {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if name := filepath.Base(path); name != "Dockerfile" && name != ".dockerignore" && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
			t.Errorf("the app's image is built from %s too", name)
		}
	}

	// The offline form of cdk diff: two syntheses of one stack, no account.
	out, err := cdk(t, "diff", "App", "--exclusively", "--app", filepath.Join(dir, "bypass"),
		"--template", filepath.Join(dir, "agent", "App.template.json"), "--fail")
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("cdk diff found no change (%v)\n%s", err, out)
	}
	if n := strings.Count(out, "[~] AWS::"); n != 2 {
		t.Errorf("cdk diff changes %d resources, expected the rule and the service:\n%s", n, out)
	}
	for line := range strings.Lines(out) {
		rule := strings.HasPrefix(line, "[~] AWS::EC2::SecurityGroupIngress ") // made anew, then the old one deleted
		if strings.HasPrefix(line, "[-] AWS::") || strings.HasPrefix(line, "[+] AWS::") ||
			strings.HasPrefix(line, "[~] AWS::") && strings.Contains(line, "replace") != rule {
			t.Errorf("cdk diff should replace the rule and change the service in place:\n%s", out)
		}
	}
}

// compareTemplates compares two templates but for the hashes of image assets.
func compareTemplates(t *testing.T, golden, got string) {
	t.Helper()
	var texts [2][]byte
	for i, path := range []string{golden, got} {
		var v any
		readJSON(t, path, &v)
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = assetHash.ReplaceAll(b, []byte("HASH"))
	}
	if !bytes.Equal(texts[0], texts[1]) {
		t.Errorf("%s is not what cdk synth writes: %s", golden, firstDifference(texts[0], texts[1]))
	}
}

// checkLines wants the lines in which the second template differs from the
// first; each may take the place of a line, and none may be lost.
func checkLines(t *testing.T, stack, before, after string, want []string) {
	t.Helper()
	count := map[string]int{}
	length := 0
	for dir, step := range map[string]int{before: -1, after: 1} {
		var v any
		readJSON(t, filepath.Join(dir, stack+".template.json"), &v)
		b, err := json.MarshalIndent(v, "", "")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			count[strings.TrimRight(line, ",\n")] += step
			length += step
		}
	}
	var added []string
	for line, n := range count {
		for range n {
			added = append(added, line)
		}
	}
	slices.Sort(added)
	slices.Sort(want)
	if !slices.Equal(added, want) {
		t.Errorf("%s: the second mode has other lines %q, expected %q", stack, added, want)
	}
	if overrides := min(len(want), 1); length != overrides {
		t.Errorf("%s: the second mode is %d lines longer, expected %d", stack, length, overrides)
	}
}

// testErrors: one line, the documented exit code, and no assembly.
func testErrors(t *testing.T, app string) {
	for _, c := range []struct {
		name, dir, context string
		code               int
		want               string
	}{
		{"refused", "..", `{"ingressPortOverride":80}`, 2,
			"hoplab: ingressPortOverride 80: Amazon ECS refuses ports <= 1024; choose 1025 to 65535, or leave it out for the default mode\n"},
		{"no sources", t.TempDir(), `{}`, 1, "hoplab: cdk: CannotFindImageDirectory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := t.TempDir()
			text, err := run(t, c.dir, []string{"CDK_OUTDIR=" + out, "CDK_CONTEXT_JSON=" + c.context}, app)
			exit := new(exec.ExitError)
			if !errors.As(err, &exit) || exit.ExitCode() != c.code {
				t.Errorf("ended with %v, expected exit code %d", err, c.code)
			}
			if !strings.HasPrefix(text, c.want) || strings.Count(text, "\n") != 1 {
				t.Errorf("wrote %q, expected one line that starts with %q", text, c.want)
			}
			if found := glob(t, out, "*.template.json"); len(found) != 0 {
				t.Errorf("it synthesized %v nevertheless", found)
			}
		})
	}
	t.Run("refused under the CLI", func(t *testing.T) {
		text, err := cdk(t, "synth", "--quiet", "--app", app, "--output", t.TempDir(), "-c", "ingressPortOverride=1024")
		if err == nil || !strings.Contains(text, "hoplab: ingressPortOverride 1024: Amazon ECS refuses ports <= 1024") {
			t.Errorf("cdk synth ended with %v:\n%s", err, text)
		}
	})
}

// TestImageFolders: what the default images are built from is there.
func TestImageFolders(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	for _, folder := range []string{"service", "loadtest"} {
		if _, err := os.Stat(filepath.Join("..", folder, "Dockerfile")); err != nil {
			t.Error(err)
		}
	}
}
