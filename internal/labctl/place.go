// Package labctl keeps a lab running beside the shell and talks to it: a
// server in the process that owns the lab, a client in every other command,
// and a Unix socket between them.
package labctl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/hoplab/hoplab/internal/fail"
)

// Place is where a lab of a name keeps its socket and logs: a directory in the
// user's own, which lies in the runtime or temporary directory.
type Place struct {
	Name string
	Dir  string
}

var placeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

// maxSocketPath is how many bytes the path of a Unix socket may have: sun_path
// holds 104 on macOS and the BSDs and 108 on Linux, with a zero at the end.
const maxSocketPath = 103

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
	p := Place{Name: name, Dir: filepath.Join(base, fmt.Sprintf("hoplab-%d", os.Geteuid()), name)}
	if n := len(p.Socket()); n > maxSocketPath {
		return Place{}, fail.Newf(fail.Environment, "set XDG_RUNTIME_DIR to a directory with a shorter path, or give a shorter --name",
			"the path of the lab's socket has %d bytes, a socket's may have %d: %s", n, maxSocketPath, p.Socket())
	}
	return p, nil
}

// Socket is the control socket's path.
func (p Place) Socket() string { return filepath.Join(p.Dir, "control.sock") }

// Log is the file that the lab's own process writes to.
func (p Place) Log() string { return filepath.Join(p.Dir, logName) }

const logName = "lab.log"

// Logs is the directory of the tasks' logs.
func (p Place) Logs() string { return filepath.Join(p.Dir, "logs") }

// own is the user's directory that holds the places of all his labs.
func (p Place) own() string { return filepath.Dir(p.Dir) }

// Make makes the place anew for a lab that is about to start and returns its
// log, empty and open for reading and writing. A lab that still answers there
// is an error; what a dead one left is removed. It fails when another user
// could change what is in the place: see checkBase and checkOwn.
func (p Place) Make() (log *os.File, err error) {
	if err := checkBase(filepath.Dir(p.own())); err != nil {
		return nil, p.error(err)
	}
	if err := os.Mkdir(p.own(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, p.error(err)
	}
	if c, err := Dial(p); err == nil {
		c.Close()
		return nil, fail.Newf(fail.Usage, "stop it with hoplab lab down, or give this one a --name", "a lab called %q is up already", p.Name)
	}
	root, err := p.open()
	if err != nil {
		return nil, p.error(err)
	}
	defer root.Close()
	if err := errors.Join(root.RemoveAll(p.Name), root.RemoveAll(p.Name+keptLog)); err != nil {
		return nil, p.error(err)
	}
	if err := root.Mkdir(p.Name, 0o700); err != nil {
		return nil, p.error(err)
	}
	// O_EXCL follows no link, and Root none that leads out.
	log, err = root.OpenFile(filepath.Join(p.Name, logName), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	return log, p.error(err)
}

// Read returns a file of the place, also of a lab that was killed; nothing when
// there is none. It reads at most 1 MB.
func (p Place) Read(name string) ([]byte, error) {
	root, err := p.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, p.error(err)
	}
	defer root.Close()
	f, err := root.Open(filepath.Join(p.Name, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, p.error(err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// Remove removes the place with everything in it.
func (p Place) Remove() error {
	root, err := p.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return p.error(err)
	}
	defer root.Close()
	return root.RemoveAll(p.Name)
}

// KeepLog copies the log of a lab that did not start to where it outlives the
// lab's directory, and returns its path. The next one of that name replaces it.
func (p Place) KeepLog(log *os.File) (string, error) {
	root, err := p.open()
	if err != nil {
		return "", p.error(err)
	}
	defer root.Close()
	name := p.Name + keptLog
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", p.error(err)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", p.error(err)
	}
	_, err = io.Copy(f, io.NewSectionReader(log, 0, maxKept))
	return filepath.Join(p.own(), name), p.error(errors.Join(err, f.Close()))
}

// keptLog ends the name of a kept log; no lab's name has a full stop. maxKept
// bounds it, in bytes.
const (
	keptLog = ".failed.log"
	maxKept = 16 << 20
)

// open opens the user's own directory, once it is sure that it is his. Paths
// below the returned root stay in that directory even if its name is given to
// another one meanwhile.
func (p Place) open() (*os.Root, error) {
	named, err := checkOwn(p.own())
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(p.own())
	if err != nil {
		return nil, err
	}
	if opened, err := root.Stat("."); err != nil || !os.SameFile(named, opened) {
		root.Close()
		return nil, foreign(p.own(), "was exchanged while it was being opened")
	}
	return root, nil
}

// checkOwn refuses a directory that is not the user's alone: a link, another
// user's, or one that others can read or write.
func checkOwn(dir string) (fs.FileInfo, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, foreign(dir, "is a link")
	case !info.IsDir():
		return nil, foreign(dir, "is no directory")
	case !ok:
		return nil, foreign(dir, "has no owner")
	case int(st.Uid) != os.Geteuid():
		return nil, foreign(dir, fmt.Sprintf("belongs to user %d, not to user %d", st.Uid, os.Geteuid()))
	case info.Mode().Perm() != 0o700:
		return nil, foreign(dir, fmt.Sprintf("has the mode %04o, not 0700", info.Mode().Perm()))
	}
	return info, nil
}

// checkBase refuses a directory in which another user can rename the caller's:
// one that all may write to and that is not sticky, as /tmp is.
func checkBase(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return foreign(dir, "can be written by everybody and is not sticky")
	}
	return nil
}

// foreign is the error of a directory that another user has a hand in.
func foreign(dir, why string) error {
	return fail.Newf(fail.Environment, "set XDG_RUNTIME_DIR to a directory of your own with mode 0700, or have this one removed",
		"%s %s: another user could take over the lab", dir, why)
}

// error is a failure to make or to use the place; an error with a hint of its
// own stays as it is.
func (p Place) error(err error) error {
	if err == nil || fail.HintOf(err) != "" {
		return err
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fail.Newf(fail.Environment, "make it writable, or set XDG_RUNTIME_DIR", "the lab's directory %s: %w", p.Dir, err)
}
