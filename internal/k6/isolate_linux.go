package k6

import (
	"os/exec"
	"syscall"
)

// isolate gives k6 a process group of its own, so that Ctrl-C at a terminal
// reaches it once, through Run, and ties its life to ours: if hoplab is
// killed, the kernel kills k6.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
