//go:build !linux

package labtest

import "os/exec"

func dieWithParent(*exec.Cmd) {}
