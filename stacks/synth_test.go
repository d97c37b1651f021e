package stacks

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/hoplab/hoplab/internal/test/layer"
)

//go:generate go test . -run TestGolden$ -count=1 -update

var update = flag.Bool("update", false, "write the golden cloud assemblies")

// One Node process serves all tests of the package. It is not safe for
// concurrent use: no test here calls t.Parallel.
func TestMain(m *testing.M) {
	code := m.Run()
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = null // jsii complains about a Node process that has ended already
	}
	jsii.Close()
	os.Exit(code)
}

// keys is the context as a user gives it, beside cdk.json's feature flags.
type keys map[string]any

// testSource stands for the repository in Docker assets, so that their hash
// does not change with the app's code.
const testSource = "testdata/source"

// config parses k, and fails the test on an error.
func (k keys) config(t *testing.T) Config {
	t.Helper()
	c, err := ParseConfig(func(key string) any { return k[key] })
	if err != nil {
		t.Fatal(err)
	}
	c.Source = testSource
	return c
}

// newTestApp returns an app that writes to dir with the context that the CLI
// would give it: cdk.json's flags and construct paths in the metadata.
func newTestApp(t *testing.T, dir string) awscdk.App {
	t.Helper()
	var file struct {
		Context map[string]any `json:"context"`
	}
	readJSON(t, "../cdk.json", &file)
	file.Context["aws:cdk:enable-path-metadata"] = true
	return awscdk.NewApp(&awscdk.AppProps{
		Outdir:             jsii.String(dir),
		Context:            &file.Context,
		AnalyticsReporting: jsii.Bool(false),
		TreeMetadata:       jsii.Bool(false),
	})
}

// synth builds and writes the assembly for k, and returns its directory.
func synth(t *testing.T, k keys) string {
	t.Helper()
	dir := t.TempDir()
	synthTo(t, dir, k, func(awscdk.App) {})
	return dir
}

// synthTo writes the assembly for k to dir; prepare sees the app before its stacks.
func synthTo(t *testing.T, dir string, k keys, prepare func(awscdk.App)) {
	t.Helper()
	// A construct that CDK refuses is a panic; it must not take the other tests along.
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%v: %v", k, r)
		}
	}()
	app := newTestApp(t, dir)
	prepare(app)
	Build(app, k.config(t))
	app.Synth(nil)
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// needNode returns the node program if it and the packages of package.json
// are there.
func needNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("../node_modules/aws-cdk/package.json")
	}
	if err != nil {
		layer.Lacking(t, "needs Node and the packages of package.json (npm ci): "+err.Error())
	}
	return node
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
