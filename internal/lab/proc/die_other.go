//go:build !linux

package proc

import (
	"os/exec"
	"syscall"
)

// dieWithParent does nothing here: a node ends when its standard input
// closes, and an app is started through a node that does the same for it.
func dieWithParent(*exec.Cmd) {}

// signalGroup signals the child; there is no group here.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) {
	if cmd.Process.Signal(sig) != nil {
		cmd.Process.Kill() // no such signal on this system, or no process any more
	}
}
