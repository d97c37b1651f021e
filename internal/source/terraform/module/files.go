package module

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
)

// files is where a configuration is read from: the disk, or memory in tests.
type files interface {
	// list returns the names of the files directly in dir, sorted.
	list(dir string) ([]string, error)
	// read returns the content of a file that the user named.
	read(path string) ([]byte, error)
	// readOwn returns the content of a file of a configuration in dir. A link may
	// lead out of dir from one .tf file to another, as sources of modules do;
	// what else is outside is refused, for it may be a secret of the user's.
	readOwn(dir, path string) ([]byte, error)
	// readBelow returns the file at path if, links followed, it lies below dir.
	readBelow(dir, path string) ([]byte, error)
}

// disk reads from the file system.
type disk struct{}

func (disk) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (disk) read(path string) ([]byte, error) {
	// Before opening: to open a pipe would wait for its writer.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path)
}

func (d disk) readOwn(dir, path string) ([]byte, error) {
	src, err := d.readBelow(dir, path)
	if !errors.Is(err, bounded.ErrOutside) {
		return src, err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && IsFile(filepath.Base(path)) && IsFile(filepath.Base(real)) {
		return d.readBelow(filepath.Dir(real), real)
	}
	return nil, err
}

func (disk) readBelow(dir, path string) ([]byte, error) {
	src, err := bounded.ReadBelow(dir, path, maxFileBytes)
	if errors.Is(err, bounded.ErrTooLarge) {
		return nil, tooLarge(path)
	}
	return src, err
}

// readAll reads a file of at most maxFileBytes.
func readAll(f io.Reader, path string) ([]byte, error) {
	src, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	return src, checkSize(src, path)
}

func checkSize(src []byte, path string) error {
	if len(src) > maxFileBytes {
		return tooLarge(path)
	}
	return nil
}

func tooLarge(path string) error {
	return fail.Newf(fail.Usage, "split the file", "%s: larger than %d KiB", path, maxFileBytes>>10)
}

// memory is a configuration in a map from slash-separated path to content.
type memory map[string]string

func (m memory) list(dir string) ([]string, error) {
	var names []string
	for path := range m {
		if d, name := filepath.Split(path); filepath.Clean(d) == filepath.Clean(dir) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	slices.Sort(names)
	return names, nil
}

func (m memory) read(path string) ([]byte, error) {
	s, ok := m[filepath.Clean(path)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(s), checkSize([]byte(s), path)
}

func (m memory) readOwn(_, path string) ([]byte, error) { return m.read(path) }

func (m memory) readBelow(dir, path string) ([]byte, error) {
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return nil, errors.New("path escapes from parent")
	}
	return m.read(path)
}
