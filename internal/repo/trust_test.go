package repo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
)

// TestCacheIsNotTrustedByName: what stands at a program's name and is not what
// was built there is not run; it is built again.
func TestCacheIsNotTrustedByName(t *testing.T) {
	for what, plant := range map[string]func(path string) error{
		"an empty file":      func(p string) error { return os.Truncate(p, 0) },
		"another program":    func(p string) error { return os.WriteFile(p, []byte("evil"), 0o755) },
		"no digest":          func(p string) error { return os.Remove(p + digestEnding) },
		"an empty digest":    func(p string) error { return os.Truncate(p+digestEnding, 0) },
		"no program":         func(p string) error { return os.Remove(p) },
		"not to be run":      func(p string) error { return os.Chmod(p, 0o644) },
		"written by a group": func(p string) error { return os.Chmod(p, 0o775) },
		"a link": func(p string) error {
			return errors.Join(os.Rename(p, p+"-moved"), os.Symlink(p+"-moved", p))
		},
		"another user's": func(p string) error {
			if os.Geteuid() != 0 {
				return os.Truncate(p, 0) // only root can give a file away
			}
			return os.Chown(p, 65534, 65534)
		},
	} {
		cache(t)
		builds := 0
		a := Artifact{Name: "tool", Digest: "d1", What: "a tool", Build: func(_ context.Context, out string) error {
			builds++
			return os.WriteFile(out, []byte("tool"), 0o777)
		}}
		path, err := Cached(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		if InCache(filepath.Dir(path), a) != path {
			t.Fatalf("%s: what was just built counts as absent", what)
		}
		if err := plant(path); err != nil {
			t.Fatal(err)
		}
		if InCache(filepath.Dir(path), a) != "" {
			t.Errorf("%s: taken as it is", what)
		}
		if path, err = Cached(t.Context(), a, nil); err != nil || builds != 2 {
			t.Errorf("%s: %d builds, %v", what, builds, err)
			continue
		}
		data, err := os.ReadFile(path)
		if info, lerr := os.Lstat(path); string(data) != "tool" || err != nil || lerr != nil || info.Mode() != 0o755 {
			t.Errorf("%s: %q, %v %v, %v", what, data, info.Mode(), lerr, err)
		}
	}
}

// TestCacheDirectoryOfOthers: a directory in which others can exchange a program
// is refused.
func TestCacheDirectoryOfOthers(t *testing.T) {
	dir := cache(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := Cached(t.Context(), Artifact{Name: "tool", Digest: "d", Build: func(context.Context, string) error { return nil }}, nil)
	if fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), "another user could exchange a program") {
		t.Errorf("a directory that all can write to: %v", err)
	}
	if os.Geteuid() != 0 {
		return // nobody else can give a directory away
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if _, err := CacheDir(); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("another user's directory: %v", err)
	}
}
