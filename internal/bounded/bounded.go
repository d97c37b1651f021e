// Package bounded reads files that somebody else may have written: never more
// than a limit, and below a directory only what is in it.
package bounded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Errors of what is there and is not read.
var (
	ErrTooLarge   = errors.New("more than the limit")
	ErrNotRegular = errors.New("not a regular file")
	ErrOutside    = errors.New("a link that leads out of its directory, or no path in it")
)

// Read returns the content of the file that the user named: of at most limit
// bytes, of whatever kind it is. A file that has more gives ErrTooLarge after
// limit+1 bytes, so that one without an end does, too. Reading a pipe waits for
// its writer.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, limit)
}

// ReadBelow returns the content of the file at path, which other files named:
// it must be regular and below dir, with all links followed, and of at most
// limit bytes. Else the error is ErrNotRegular, ErrOutside or ErrTooLarge. It
// waits for no pipe.
func ReadBelow(dir, path string, limit int64) ([]byte, error) {
	f, err := OpenBelow(dir, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, limit)
}

// OpenBelow opens the file at path for reading if it is one that ReadBelow reads.
func OpenBelow(dir, path string) (*os.File, error) {
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrOutside}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// What is opened is what is looked at; a pipe without a writer opens at once.
	f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, outside(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w: %s", ErrNotRegular, kind(info.Mode()))}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// outside gives an error of a root the path as its caller named it.
func outside(path string, err error) error {
	var pe *fs.PathError
	if !errors.As(err, &pe) {
		return err
	}
	err = pe.Err
	if strings.Contains(err.Error(), "escapes from parent") { // package os has no name for it
		err = ErrOutside
	}
	if errors.Is(err, syscall.ENXIO) { // a socket
		err = fmt.Errorf("%w: %s", ErrNotRegular, kind(fs.ModeSocket))
	}
	return &fs.PathError{Op: pe.Op, Path: path, Err: err}
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	case m.IsDir():
		return "a directory"
	}
	return "of another kind"
}

func readAll(f io.Reader, path string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w of %s", ErrTooLarge, size(limit))}
	}
	return data, nil
}

func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
