package proc

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// stopWithin is how long a program may take to end after SIGTERM.
const stopWithin = 2 * time.Second

// Run starts a program with input and output of its own through start and
// returns its exit code, 128 and the signal's number when a signal ended it.
// When ctx ends first, the program and what it has started are stopped.
func Run(ctx context.Context, cmd *exec.Cmd, start func(*exec.Cmd) error) (int, error) {
	dieWithParent(cmd)
	if err := start(cmd); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		signalGroup(cmd, syscall.SIGTERM)
		timer := time.AfterFunc(stopWithin, func() { signalGroup(cmd, syscall.SIGKILL) })
		err = <-ended
		timer.Stop()
	}
	signalGroup(cmd, syscall.SIGKILL) // what it left behind in its group
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal()), nil
	}
	return exit.ExitCode(), nil
}
