package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
)

// lockFile is there while a process writes the directory, and says which. It is
// locked as well (flock), so that the file of a process that was killed is no lock.
const lockFile = ".lock"

// Lock makes this process the only one that writes the directory, until unlock
// is called or the process ends. It does not wait: while another process, or
// another Dir of this one, has the lock it returns a fail.Usage error that names
// its holder. Reading needs no lock.
func (d *Dir) Lock() (unlock func(), err error) { return lock(d.Path) }

func lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockFile)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
		if err != nil {
			return nil, writeError(path, err)
		}
		if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, held(dir)
			}
			return nil, writeError(path, err)
		}
		if !current(f, path) { // its holder removed it just now
			f.Close()
			continue
		}
		host, _ := os.Hostname()
		f.Truncate(0)
		fmt.Fprintf(f, "process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
		return func() {
			os.Remove(path)
			f.Close()
		}, nil
	}
}

// flock tries again when a signal interrupts it.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// current reports whether f is what stands at path.
func current(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

func held(dir string) error {
	by := "another process"
	if data, err := bounded.ReadBelow(dir, filepath.Join(dir, lockFile), 200); err == nil && len(data) > 0 {
		by = strings.TrimSpace(string(data))
	}
	return fail.Newf(fail.Usage, "wait for it to end, or stop it; hoplab report reads the directory meanwhile", "%s is being written by %s", dir, by)
}
