//go:build !linux

package k6

import (
	"os/exec"
	"syscall"
)

// isolate gives k6 a process group of its own, so that Ctrl-C at a terminal
// reaches it once, through Run.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
