//go:build !linux

package edge

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
