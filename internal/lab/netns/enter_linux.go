package netns

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// entered marks a process that Enter has started, so that it does not start another.
const entered = "HOPLAB_USER_NAMESPACE"

// capabilities are what a fabric needs, inside its user namespace.
var capabilities = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW}

// Enter makes sure that this process can make namespaces. When it cannot, it
// runs this same program with the same arguments in a user namespace of its
// own, in which it can, and returns that one's exit code and true; the caller
// should then exit with it. It returns an error when user namespaces are not
// allowed either. A program calls it before it does anything else.
func Enter() (code int, done bool, err error) {
	own := mayUnshare()
	if own == nil {
		return 0, false, nil
	}
	if os.Getenv(entered) != "" {
		return 0, false, refused(own)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), entered+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// Network and mounts stay those of the machine: the fabric makes its own,
		// and a build before that may still download what it needs.
		Cloneflags: unix.CLONE_NEWUSER,
		// The user stays who he is: his files are his, and his lab's socket is
		// found where he looks for it.
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		AmbientCaps: capabilities,
		Pdeathsig:   syscall.SIGKILL,
		Setpgid:     true, // a terminal's signal comes once, from here
	}
	// The parent-death signal is that of the thread that starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, false, refused(err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				cmd.Process.Signal(s)
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, true, err
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal()), true, nil
	}
	return exit.ExitCode(), true, nil
}

// mayUnshare tries it in a thread that ends afterwards.
func mayUnshare() error {
	t := newThread()
	defer t.close()
	return t.do(func() error { return unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS) })
}
