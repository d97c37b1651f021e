// Package repo finds the hoplab checkout and builds programs from it into the
// user's cache, once per state of their sources. A command that was built from
// a checkout takes the measured app and k6 from there, so that a change of them
// is what runs; one that was installed has ErrNoCheckout, and carries the app.
package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"

	"github.com/hoplab/hoplab/internal/fail"
)

// Module is the module path in the checkout's go.mod.
const Module = "github.com/hoplab/hoplab"

// Repo is a checkout.
type Repo struct {
	Root string // absolute
}

// ErrNoCheckout is in the chain of Find's error where there is no checkout to
// take programs from: the command was installed, or moved away from it. A
// HOPLAB_REPO that names none is another error.
var ErrNoCheckout = errors.New("there is no hoplab checkout")

// Find returns the checkout named by the environment variable HOPLAB_REPO, or
// the one that this program was built from. The working directory does not
// count: programs are built from the checkout and run, and whoever wrote a
// go.mod somewhere above it is not to choose them.
func Find() (*Repo, error) {
	if dir := os.Getenv("HOPLAB_REPO"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil || !isRoot(abs) {
			return nil, fail.Newf(fail.Environment, "set HOPLAB_REPO to the folder that holds hoplab's go.mod, or unset it",
				"HOPLAB_REPO=%s is not a hoplab checkout", dir)
		}
		return &Repo{Root: abs}, nil
	}
	return builtFrom(sourceFile())
}

// sourceFile is the path of this file where the program was built; without a
// directory of that machine when it was built with -trimpath.
func sourceFile() string {
	_, file, _, _ := runtime.Caller(0)
	return file
}

// builtFrom returns the checkout that holds internal/repo/repo.go at file.
func builtFrom(file string) (*Repo, error) {
	const hint = "set HOPLAB_REPO to a hoplab checkout that you trust: programs are built from it and run"
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	switch {
	case !filepath.IsAbs(root):
		return nil, fail.Newf(fail.Environment, hint, "%w: this hoplab does not know what it was built from", ErrNoCheckout)
	case !isRoot(root):
		return nil, fail.Newf(fail.Environment, hint, "%w: this hoplab was built from %s, which is none", ErrNoCheckout, root)
	}
	if uid, ok := owner(root); !ok || !trusted(uid) {
		return nil, fail.Newf(fail.Environment, hint, "%w of yours: this hoplab was built from %s, which belongs to another user", ErrNoCheckout, root)
	}
	return &Repo{Root: root}, nil
}

// owner is the user that a file belongs to.
func owner(path string) (uid int, ok bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// unmapped is how a user namespace shows the users that it does not have, root
// among them: the kernel's overflow user (/proc/sys/kernel/overflowuid).
const unmapped = 65534

// trusted reports whether a user's files may be run: the caller's own and root's.
func trusted(uid int) bool { return uid == os.Geteuid() || uid == 0 || uid == unmapped }

// isRoot reports whether dir holds the go.mod of hoplab's main module and the
// module of the extension below it. A module cache holds the former alone: it
// keeps modules apart.
func isRoot(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "loadtest", "xk6-hoplab", "go.mod")); err != nil {
		return false
	}
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		if path, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("module ")); ok {
			return string(bytes.TrimSpace(path)) == Module
		}
	}
	return false
}

// Path joins slash-separated elements to the root.
func (r *Repo) Path(elem ...string) string {
	return filepath.Join(append([]string{r.Root}, elem...)...)
}

// BuildService builds the measured app and returns the path of its binary.
// Progress gets a line when there is something to build; it may be nil.
func (r *Repo) BuildService(ctx context.Context, progress io.Writer) (string, error) {
	goTool, err := r.Go(ctx)
	if err != nil {
		return "", err
	}
	digest, err := r.Digest([]string{goTool.Version, noCgo}, "service")
	if err != nil {
		return "", err
	}
	return Cached(ctx, Artifact{
		Name:   "service",
		Digest: digest,
		What:   "the measured app",
		Build: func(ctx context.Context, out string) error {
			return r.run(ctx, []string{noCgo}, goTool.Path, "build", "-o", out, "./service")
		},
	}, progress)
}

// noCgo links the app statically, as in its image: no loader looks at the
// environment for libraries to put into it.
const noCgo = "CGO_ENABLED=0"

// Digest identifies the Go sources, module files and scripts below the given
// folders, and the extra words: 12 hexadecimal digits. Tests and testdata do not count.
func (r *Repo) Digest(extra []string, dirs ...string) (string, error) {
	var files []string
	for _, dir := range dirs {
		err := filepath.WalkDir(r.Path(dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case d.IsDir() || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			switch filepath.Ext(path) {
			case ".go", ".mod", ".sum", ".js":
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return "", fail.Newf(fail.Environment, "restore the folder from version control", "sources of %s: %w", dir, err)
		}
	}
	sort.Strings(files)
	h := sha256.New()
	for _, word := range append([]string{runtime.GOOS, runtime.GOARCH}, extra...) {
		fmt.Fprintf(h, "%q\n", word)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fail.Newf(fail.Environment, "", "sources: %w", err)
		}
		rel, err := filepath.Rel(r.Root, path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %d\n", filepath.ToSlash(rel), len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// Go is the go command.
type Go struct {
	Path, Version string
}

// Go finds the go command, in the version that the checkout's go.mod selects.
func (r *Repo) Go(ctx context.Context) (Go, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return Go{}, fail.Newf(fail.Environment, "install Go from https://go.dev/dl and put it into PATH",
			"the go command is not in PATH; hoplab builds its load generator and its app with it")
	}
	cmd := exec.CommandContext(ctx, path, "env", "GOVERSION")
	cmd.Dir = r.Root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return Go{}, fail.Newf(fail.Environment, "check the Go installation with `go version`", "%s env GOVERSION: %w", path, err)
	}
	return Go{Path: path, Version: strings.TrimSpace(string(out))}, nil
}

// Run runs a command in the checkout's root. A failure carries the end of its output.
func (r *Repo) Run(ctx context.Context, name string, args ...string) error {
	return r.run(ctx, nil, name, args...)
}

// run is Run with more variables in the command's environment.
func (r *Repo) run(ctx context.Context, env []string, name string, args ...string) error {
	return runIn(ctx, r.Root, env, name, args...)
}

// RunIn runs a command in a folder that belongs to no module. A failure carries
// the end of its output.
func RunIn(ctx context.Context, dir, name string, args ...string) error {
	return runIn(ctx, dir, nil, name, args...)
}

func runIn(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), env...) // a workspace around the folder must not change dependencies
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fail.Newf(fail.Environment, "run the command yourself in "+dir+" to see all of its output",
		"%s: %w\n%s", strings.Join(cmd.Args, " "), err, Tail(out, 12))
}

// Tail returns the last n non-empty lines of text, each with two spaces before it.
func Tail(text []byte, n int) string {
	var lines []string
	for line := range bytes.Lines(text) {
		if s := strings.TrimRight(string(line), "\r\n\t "); s != "" {
			lines = append(lines, "  "+s)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
