// Package modproxy makes a module proxy of files from this checkout, as it is
// in the working tree, so that tests can install what has not been released.
package modproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

// Module is a module of the checkout in a version to be served.
type Module struct {
	Path, Version string
	Dir           string // below the checkout's root, slash-separated; "." is the root
}

// Write puts the modules of the checkout into dir, in the layout of a module
// proxy: GOPROXY=file://dir serves them.
func Write(dir, root string, modules ...Module) error {
	for _, m := range modules {
		if err := write(dir, root, m); err != nil {
			return fmt.Errorf("%s@%s: %w", m.Path, m.Version, err)
		}
	}
	return nil
}

func write(dir, root string, m Module) error {
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	at := filepath.Join(dir, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	archive, gomod, err := m.content(root)
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{m.Version, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		m.Version + ".info": info, m.Version + ".mod": gomod, m.Version + ".zip": archive, "list": []byte(m.Version + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Sums returns the module's two lines of a go.sum.
// Source of their form: https://go.dev/ref/mod#go-sum-files
func Sums(root string, m Module) ([]string, error) {
	archive, gomod, err := m.content(root)
	if err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp("", "modproxy-*.zip")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err := tmp.Write(archive); err != nil {
		return nil, err
	}
	whole, err := dirhash.HashZip(tmp.Name(), dirhash.Hash1)
	if err != nil {
		return nil, err
	}
	alone, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(gomod)), nil
	})
	if err != nil {
		return nil, err
	}
	return []string{
		fmt.Sprintf("%s %s %s", m.Path, m.Version, whole),
		fmt.Sprintf("%s %s/go.mod %s", m.Path, m.Version, alone),
	}, nil
}

// content returns the module's archive and its go.mod.
func (m Module) content(root string) (archive, gomod []byte, err error) {
	gomod, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(m.Dir), "go.mod"))
	if err != nil {
		return nil, nil, err
	}
	names, err := tracked(root, m.Dir)
	if err != nil {
		return nil, nil, err
	}
	var files []zip.File
	for _, name := range names {
		f := file{at: filepath.Join(root, filepath.FromSlash(m.Dir), filepath.FromSlash(name)), name: name}
		if info, err := f.Lstat(); err != nil || !info.Mode().IsRegular() {
			continue // removed and not committed, or a link, which no archive of a module holds
		}
		files = append(files, f)
	}
	var b bytes.Buffer
	err = zip.Create(&b, module.Version{Path: m.Path, Version: m.Version}, own(files))
	return b.Bytes(), gomod, err
}

// tracked returns the files of a folder that version control has, or would take.
func tracked(root, dir string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	cmd.Dir = filepath.Join(root, filepath.FromSlash(dir))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", strings.Join(cmd.Args, " "), cmd.Dir, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// own leaves out the files of modules below this one.
func own(files []zip.File) []zip.File {
	var below []string
	for _, f := range files {
		if dir, base := path.Split(f.Path()); base == "go.mod" && dir != "" {
			below = append(below, dir)
		}
	}
	var kept []zip.File
	for _, f := range files {
		if !within(f.Path(), below) {
			kept = append(kept, f)
		}
	}
	return kept
}

func within(name string, dirs []string) bool {
	for _, dir := range dirs {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	return false
}

// file is a file of a module, as package zip asks for it.
type file struct{ at, name string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.at) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.at) }
