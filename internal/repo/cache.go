package repo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/printable"
)

// Artifact is a program that is built from sources of a known digest, or
// fetched in a known version.
type Artifact struct {
	Name   string // of the file in the cache, before "-" and the digest
	Digest string
	What   string // for progress lines: "k6 v1.8.1 with xk6-hoplab"
	// Build writes the program to out, and what else it needs beside it.
	Build func(ctx context.Context, out string) error
	// Fetched has progress lines speak of fetching.
	Fetched bool
	// Valid, if set, is asked of a file in the cache instead of the digest that
	// stands beside it; one that is not valid counts as absent and is replaced.
	Valid func(path string) error
	// State, if set, is what the progress lines add, e.g. "12 MB so far".
	State func() string
}

// verb returns the words of the progress lines: "builds", "building", "built".
func (a Artifact) verb() (present, progressive, past string) {
	if a.Fetched {
		return "fetches", "fetching", "fetched"
	}
	return "builds", "building", "built"
}

// path is where the artifact is, or will be, in the cache directory.
func (a Artifact) path(dir string) string {
	return filepath.Join(dir, a.Name+"-"+a.Digest)
}

// unusedFor is how long an artifact of another digest stays in the cache
// after its last use.
const unusedFor = 14 * 24 * time.Hour

// CacheDir is where artifacts go: hoplab in the user's cache directory.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fail.Newf(fail.Environment, "set HOME or XDG_CACHE_HOME", "no cache directory: %w", err)
	}
	dir := filepath.Join(base, "hoplab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fail.Newf(fail.Environment, "make it writable, or set XDG_CACHE_HOME to another folder", "cache directory: %w", err)
	}
	if err := checkDir(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// Cached returns the path of an artifact, and builds it first if the cache
// does not hold it. Several processes may ask at once: one builds, the others
// wait. A build that fails or is interrupted leaves nothing behind.
func Cached(ctx context.Context, a Artifact, progress io.Writer) (string, error) {
	if progress == nil {
		progress = io.Discard
	}
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := a.path(dir)
	if a.use(path) {
		return path, nil
	}
	present, _, _ := a.verb()
	unlock, err := lock(ctx, filepath.Join(dir, a.Name+".lock"), func() {
		printable.Fprintf(progress, "waiting for another hoplab, which %s %s\n", present, a.What)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if a.use(path) { // built while we waited
		return path, nil
	}
	if err := build(ctx, a, dir, path, progress); err != nil {
		return "", err
	}
	prune(dir, a.Name+"-", path)
	return path, nil
}

// InCache returns the path of an artifact that the cache directory holds, and
// marks it as used; empty where it does not hold it.
func InCache(dir string, a Artifact) string {
	if path := a.path(dir); a.use(path) {
		return path
	}
	return ""
}

// use reports whether a finished artifact is there that nobody else can have
// written and that is as it was built, and marks it as used. Any other is built
// again in its place.
func (a Artifact) use(path string) bool {
	info, err := checkProgram(path)
	if err != nil {
		return false
	}
	valid := a.Valid
	if valid == nil {
		valid = asBuilt
	}
	if valid(path) != nil {
		return false
	}
	if now := time.Now(); now.Sub(info.ModTime()) > time.Hour {
		_ = os.Chtimes(path, now, now) // only pruning needs it
		_ = os.Chtimes(path+digestEnding, now, now)
	}
	return true
}

func build(ctx context.Context, a Artifact, dir, path string, progress io.Writer) error {
	_, doing, did := a.verb()
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return fail.Newf(fail.Environment, "make the cache directory writable", "%s %s: %w", doing, a.What, err)
	}
	defer os.RemoveAll(tmp)
	began := time.Now()
	printable.Fprintf(progress, "%s %s (once; later runs reuse it)\n", doing, a.What)
	stop := every(15*time.Second, func() {
		state := ""
		if a.State != nil {
			state = ", " + a.State()
		}
		printable.Fprintf(progress, "still %s %s, %.0f s%s\n", doing, a.What, time.Since(began).Seconds(), state)
	})
	out := filepath.Join(tmp, filepath.Base(path))
	err = a.Build(ctx, out)
	stop()
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, a.What, err)
	}
	err = onlyOwn(out)
	if err == nil && a.Valid == nil {
		err = noteDigest(out, path)
	}
	if err == nil {
		err = os.Rename(out, path)
	}
	if err != nil {
		return fail.Newf(fail.Environment, "", "%s %s: %w", doing, a.What, err)
	}
	printable.Fprintf(progress, "%s %s in %.0f s: %s\n", did, a.What, time.Since(began).Seconds(), path)
	return nil
}

// every calls f at the interval until the returned function is called, which
// waits for a call that is under way.
func every(interval time.Duration, f func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				f()
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// lock takes an inter-process lock, which ends with the process at the latest.
// It calls waiting once when the lock is not free within a second.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	got := make(chan result, 1)
	go func() {
		u, err := lockedfile.MutexAt(path).Lock()
		got <- result{u, err}
	}()
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	for {
		select {
		case r := <-got:
			if r.err != nil {
				return nil, fail.Newf(fail.Environment, "make the cache directory writable", "lock %s: %w", path, r.err)
			}
			return r.unlock, nil
		case <-patience.C:
			waiting()
		case <-ctx.Done():
			go func() { // give the lock back if it comes after all
				if r := <-got; r.err == nil {
					r.unlock()
				}
			}()
			return nil, ctx.Err()
		}
	}
}

// prune removes artifacts of the same name that nobody has used for a while.
func prune(dir, prefix, keep string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err == nil && path != keep && path != keep+digestEnding && info.Mode().IsRegular() && strings.HasPrefix(e.Name(), prefix) && time.Since(info.ModTime()) > unusedFor {
			_ = os.Remove(path)
		}
	}
}
