package synth

import (
	"os/exec"
	"syscall"
)

// killGroup puts the program into a process group of its own, which ends as a
// whole: a shell's children do not survive it.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
