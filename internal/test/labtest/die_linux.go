package labtest

import "syscall"

// DieWithParent ends a child with this process, however that ends (Linux).
func DieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
