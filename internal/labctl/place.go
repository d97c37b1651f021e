// Package labctl keeps a lab running beside the shell and talks to it: a
// server in the process that owns the lab, a client in every other command,
// and a Unix socket between them.
package labctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/hoplab/hoplab/internal/fail"
)

// Place is where a lab of a name keeps its socket and logs.
type Place struct {
	Name string
	Dir  string
}

var placeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

// At returns the place of the lab called name, below the user's runtime or
// temporary directory. It does not make it.
func At(name string) (Place, error) {
	if !placeName.MatchString(name) {
		return Place{}, fail.Newf(fail.Usage, "use lower-case letters, digits and -", "lab name %q: not usable", name)
	}
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" {
		base = os.TempDir()
	}
	// A Unix socket's path holds about 100 characters, so it stays short.
	return Place{Name: name, Dir: filepath.Join(base, fmt.Sprintf("hoplab-%d", os.Getuid()), name)}, nil
}

// Socket is the control socket's path.
func (p Place) Socket() string { return filepath.Join(p.Dir, "control.sock") }

// Log is the file that the lab's own process writes to.
func (p Place) Log() string { return filepath.Join(p.Dir, "lab.log") }

// Logs is the directory of the tasks' logs.
func (p Place) Logs() string { return filepath.Join(p.Dir, "logs") }

// Make makes the place anew for a lab that is about to start. A lab that
// still answers there is an error; what a dead one left is removed.
func (p Place) Make() error {
	if c, err := Dial(p); err == nil {
		c.Close()
		return fail.Newf(fail.Usage, "stop it with hoplab lab down, or give this one a --name", "a lab called %q is up already", p.Name)
	}
	if err := os.RemoveAll(p.Dir); err != nil {
		return placeError(p, err)
	}
	return placeError(p, os.MkdirAll(p.Dir, 0o700))
}

// Remove removes the place with everything in it.
func (p Place) Remove() error { return os.RemoveAll(p.Dir) }

func placeError(p Place, err error) error {
	if err == nil {
		return nil
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fail.Newf(fail.Environment, "make it writable, or set XDG_RUNTIME_DIR", "the lab's directory %s: %w", p.Dir, err)
}
