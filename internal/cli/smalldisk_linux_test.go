package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// insideVar tells smallDisk that it is in the namespace already.
const insideVar = "SMALL_DISK_INSIDE"

// smallDisk runs a command with a file system of a given size at DIR, which
// nobody else sees, and copies what is there afterwards to KEPT:
// small-disk 2500k DIR KEPT command...  It needs no privilege: the file system
// is mounted in a user and mount namespace of its own. The exit code is the command's.
func smallDisk(args []string) int {
	if len(args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: small-disk SIZE DIR KEPT command...")
		return 2
	}
	code, err := within(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "small-disk:", err)
		return 125
	}
	return code
}

func within(args []string) (code int, err error) {
	if os.Getenv(insideVar) == "" {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), insideVar+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		return execute(cmd)
	}
	size, dir, kept, command := args[0], args[1], args[2], args[3:]
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		return 0, fmt.Errorf("mounting %s: %w", dir, err)
	}
	os.Unsetenv(insideVar)
	if code, err = execute(exec.Command(command[0], command[1:]...)); err != nil {
		return 0, err
	}
	return code, os.CopyFS(kept, os.DirFS(dir))
}

// execute runs a command on our own streams and returns its exit code.
func execute(cmd *exec.Cmd) (int, error) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// smallDisks says why smallDisk does not work here.
func smallDisks() error {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}
	return cmd.Run()
}
