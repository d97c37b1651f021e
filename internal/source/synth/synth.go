// Package synth turns the CDK app of this repository into a cloud assembly:
// the golden one, as long as nothing that decides it was changed; else it
// builds app.go, runs it with a context, and keeps the result in the user's
// cache by what it was made from. It starts the app as a program, so
// that nothing of CDK is linked into hoplab.
package synth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
)

// Assembly is a cloud assembly on disk.
type Assembly struct {
	Dir    string
	Source string // in words: how it came to be
}

// sources are the files and folders that decide what the app synthesizes;
// service and loadtest count because their content names the image assets.
var sources = []string{"app.go", "cdk.json", "go.mod", "go.sum", "stacks", "internal/ports", "service", "loadtest"}

// Synth returns the cloud assembly of the app below root for a context (as
// cdk's -c key=value): the golden templates where the repository keeps them for
// this context and they were made from the sources that are there (see
// TemplateSources), else synthesized, which needs Node, and kept in the cache.
// Progress gets one line per step that takes long. Errors carry a code of fail.
func Synth(ctx context.Context, root string, values map[string]string, progress io.Writer) (Assembly, error) {
	a, ok, err := goldenFor(root, values)
	if ok || err != nil {
		return a, err
	}
	return synthesized(ctx, root, values, progress)
}

// synthesized runs the app, or takes what an earlier run of the same sources left.
func synthesized(ctx context.Context, root string, values map[string]string, progress io.Writer) (Assembly, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return Assembly{}, fail.Newf(fail.Environment, "install Node 20 or later, or pass a cloud assembly that cdk synth made",
			"cannot synthesize: node is not on the PATH")
	}
	key, err := json.Marshal(values)
	if err != nil {
		return Assembly{}, err
	}
	digest, err := digestOf(root, key)
	if err != nil {
		return Assembly{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Assembly{}, fail.Newf(fail.Environment, "set HOME or XDG_CACHE_HOME", "no cache directory: %w", err)
	}
	dir := filepath.Join(cache, "hoplab", "assembly-"+digest)
	out := Assembly{Dir: dir, Source: "synthesized from app.go with " + describe(values)}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err == nil {
		return out, nil
	}
	fmt.Fprintln(progress, "app.go or stacks/ are not as the golden templates were made from: synthesizing (building the CDK app takes minutes the first time)")
	return out, build(ctx, root, dir, values)
}

func describe(values map[string]string) string {
	if len(values) == 0 {
		return "the default context"
	}
	var parts []string
	for k, v := range values {
		parts = append(parts, "-c "+k+"="+v)
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

// build compiles and runs the app into a temporary directory and moves the result to dir.
func build(ctx context.Context, root, dir string, values map[string]string) error {
	tmp, err := os.MkdirTemp(mkdir(filepath.Dir(dir)), "synth-*")
	if err != nil {
		return fail.Newf(fail.Environment, "make the cache directory writable, or set XDG_CACHE_HOME", "cannot synthesize: %w", err)
	}
	defer os.RemoveAll(tmp)
	app := filepath.Join(tmp, "app")
	if msg, err := capture(ctx, root, nil, "go", "build", "-o", app, "."); err != nil {
		return fail.Newf(fail.Environment, "run go build . in "+root+" to see the whole message", "building the CDK app: %w: %s", err, msg)
	}
	context, err := appContext(root, values)
	if err != nil {
		return err
	}
	out := filepath.Join(tmp, "out")
	env := append([]string{"CDK_OUTDIR=" + out, "CDK_CONTEXT_JSON=" + context}, quietJSII...)
	if msg, err := capture(ctx, root, env, app); err != nil {
		return fail.Newf(fail.Environment, "run npx cdk synth in "+root+" to see the whole message", "the CDK app failed: %w: %s", err, msg)
	}
	if err := os.Rename(out, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "manifest.json")); there == nil {
			return nil // another process was faster, with the same result
		}
		return fail.Newf(fail.Environment, "make the cache directory writable, or set XDG_CACHE_HOME", "keeping the templates: %w", err)
	}
	return nil
}

func mkdir(dir string) string {
	_ = os.MkdirAll(dir, 0o755) // the caller's next step reports a missing directory
	return dir
}

// appContext is cdk.json's context with the values on top, and the construct
// paths that the command line would ask for.
func appContext(root string, values map[string]string) (string, error) {
	path := filepath.Join(root, "cdk.json")
	data, err := bounded.Read(path, maxConfig)
	if err != nil {
		return "", fail.Newf(fail.Environment, "run hoplab inside its repository", "cannot synthesize: %w", err)
	}
	var conf struct {
		Context map[string]any `json:"context"`
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		return "", fail.Newf(fail.Usage, "mend cdk.json", "reading %s: %w", path, err)
	}
	all := map[string]any{"aws:cdk:enable-path-metadata": true}
	for k, v := range conf.Context {
		all[k] = v
	}
	for k, v := range values {
		all[k] = v
	}
	out, err := json.Marshal(all)
	return string(out), err
}

// capture runs a program and returns the last lines it wrote to stderr. When
// ctx ends, the program is killed with all that it has started.
func capture(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	killGroup(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(lines) > 3 {
		lines = lines[len(lines)-3:]
	}
	return strings.Join(lines, "; "), err
}

// digestOf names the inputs: the sources' content and the context.
func digestOf(root string, key []byte) (string, error) {
	h := sha256.New()
	h.Write(key)
	for _, s := range sources {
		err := filepath.WalkDir(filepath.Join(root, s), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if d.Name() == "testdata" {
					return filepath.SkipDir
				}
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			fmt.Fprintf(h, "\x00%s\x00%d\x00", filepath.ToSlash(rel), len(data))
			h.Write(data)
			return nil
		})
		if err != nil {
			return "", fail.Newf(fail.Environment, "set HOPLAB_REPO to a hoplab checkout", "cannot synthesize: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// maxTemplate bounds a template, in bytes, as its reader does.
const maxTemplate = 64 << 20

// Digest names a cloud assembly by the content of its templates, so that
// results of different deployments do not merge.
func Digest(paths []string) (string, error) {
	h := sha256.New()
	for _, p := range paths {
		files := []string{p}
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			files, _ = filepath.Glob(filepath.Join(p, "*.template.json"))
			sort.Strings(files)
			if len(files) == 0 {
				return "", fail.Newf(fail.Usage, "name a template or a cloud assembly (cdk.out)", "%s holds no *.template.json", p)
			}
		}
		for _, f := range files {
			data, err := bounded.Read(f, maxTemplate)
			if err != nil {
				return "", fail.Newf(fail.Usage, "check the path", "cannot read %s: %w", f, err)
			}
			fmt.Fprintf(h, "\x00%s\x00%d\x00", filepath.Base(f), len(data))
			h.Write(data)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
