//go:build linux

// Command nofork runs a program that cannot start another one: every attempt
// fails with "operation not permitted". It shows that a layer of tests starts
// no process:
//
//	go build -o /tmp/nofork ./internal/test/nofork
//	go test -short -exec /tmp/nofork ./...
//
// It installs a seccomp filter that refuses clone without CLONE_THREAD, fork
// and vfork, and then becomes the program. clone3 answers ENOSYS, as on an old
// kernel, so that a C library goes back to clone. The filter needs no
// privilege (prctl(2), PR_SET_NO_NEW_PRIVS) and lasts as long as the program.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "nofork: name the program and its arguments")
		os.Exit(2)
	}
	if err := becomes(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nofork:", err)
		os.Exit(2)
	}
}

// becomes replaces this process; it returns only when that fails.
func becomes(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the filter is the thread's, and exec takes it along
	if err := refuse(); err != nil {
		return fmt.Errorf("installing the filter: %w", err)
	}
	return unix.Exec(path, argv, os.Environ())
}

// refuse installs the filter on the calling thread.
func refuse() error {
	filter := program()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}

// Offsets into struct seccomp_data (seccomp(2)): the system call's number and
// the low half of its first argument, on a little-endian machine.
const (
	offNumber = 0
	offFlags  = 16
)

// program is the filter: by number of the call, then by clone's flags.
func program() []unix.SockFilter {
	f := []unix.SockFilter{load(offNumber)}
	for _, n := range forks() {
		f = append(f, equal(n, 0, 1), answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	return append(f,
		equal(unix.SYS_CLONE3, 0, 1), answer(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)),
		equal(unix.SYS_CLONE, 0, 3),
		load(offFlags),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.CLONE_THREAD, Jt: 1},
		answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)),
		answer(unix.SECCOMP_RET_ALLOW),
	)
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func equal(k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
}

func answer(k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
}
