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
)

// Artifact is a program that is built from sources of a known digest.
type Artifact struct {
	Name   string // of the file in the cache, before "-" and the digest
	Digest string
	What   string // for progress lines: "k6 v1.8.1 with xk6-hoplab"
	Build  func(ctx context.Context, out string) error
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
	path := filepath.Join(dir, a.Name+"-"+a.Digest)
	if use(path) {
		return path, nil
	}
	unlock, err := lock(ctx, filepath.Join(dir, a.Name+".lock"), func() {
		fmt.Fprintf(progress, "waiting for another hoplab, which builds %s\n", a.What)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if use(path) { // built while we waited
		return path, nil
	}
	if err := build(ctx, a, dir, path, progress); err != nil {
		return "", err
	}
	prune(dir, a.Name+"-", path)
	return path, nil
}

// use reports whether a finished artifact is there, and marks it as used.
func use(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // only pruning needs it
	return true
}

func build(ctx context.Context, a Artifact, dir, path string, progress io.Writer) error {
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return fail.Newf(fail.Environment, "make the cache directory writable", "building %s: %w", a.What, err)
	}
	defer os.RemoveAll(tmp)
	began := time.Now()
	fmt.Fprintf(progress, "building %s (once; later runs reuse it)\n", a.What)
	stop := every(15*time.Second, func() {
		fmt.Fprintf(progress, "still building %s, %.0f s\n", a.What, time.Since(began).Seconds())
	})
	out := filepath.Join(tmp, filepath.Base(path))
	err = a.Build(ctx, out)
	stop()
	if err != nil {
		return fmt.Errorf("building %s: %w", a.What, err)
	}
	if err := os.Rename(out, path); err != nil {
		return fail.Newf(fail.Environment, "", "building %s: %w", a.What, err)
	}
	fmt.Fprintf(progress, "built %s in %.0f s: %s\n", a.What, time.Since(began).Seconds(), path)
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
		if err == nil && path != keep && info.Mode().IsRegular() && strings.HasPrefix(e.Name(), prefix) && time.Since(info.ModTime()) > unusedFor {
			_ = os.Remove(path)
		}
	}
}
