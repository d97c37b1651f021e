package cli_test

import (
	"os/exec"
	"syscall"

	"github.com/hoplab/hoplab/internal/lab/netns"
)

// namespaces says why hoplab cannot make network namespaces here, neither as
// this user nor in a user namespace.
func namespaces() error {
	if f, err := netns.New(); err == nil {
		return f.Close()
	}
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET}
	return cmd.Run()
}
