package proc

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the child when the thread that started
// it is gone, and keeps a terminal's Ctrl-C from reaching the child before
// the parent has decided what to do.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true
}

// signalGroup signals a child and what it has started.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) {
	syscall.Kill(-cmd.Process.Pid, sig)
}
