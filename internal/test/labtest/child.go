package labtest

import (
	"os/exec"
	"runtime"
	"sync"
)

// starter starts children, one after another, from a thread that lasts as long
// as the test binary: Linux kills a child when the thread that started it ends,
// and any other thread may end with a namespace that a test has finished with.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// StartChild starts a process that ends with this one, however that ends (Linux).
func StartChild(cmd *exec.Cmd) error {
	dieWithParent(cmd)
	err := make(chan error)
	starter() <- func() { err <- cmd.Start() }
	return <-err
}

// RunChild is StartChild, and waits for the process's end.
func RunChild(cmd *exec.Cmd) error {
	if err := StartChild(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}
