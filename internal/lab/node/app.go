package node

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// App is a program that a node starts and takes with it when it ends. Linux
// needs no such node, because its kernel ends the children of a lab that dies.
type App struct {
	Command []string `json:"command"`
	Env     []string `json:"env"`
	// Log receives the program's standard output; standard error is the node's own.
	Log string `json:"log"`
}

// AppStarted answers the start of an App.
type AppStarted struct {
	PID int `json:"pid"`
}

// appProcess is a running App.
type appProcess struct {
	cmd  *exec.Cmd
	done chan struct{}
	exit int
}

func startApp(a App) (*appProcess, error) {
	if len(a.Command) == 0 {
		return nil, errors.New("an app needs a command")
	}
	f, err := os.OpenFile(a.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	g := &appProcess{cmd: exec.Command(a.Command[0], a.Command[1:]...), done: make(chan struct{})}
	g.cmd.Env, g.cmd.Stdout, g.cmd.Stderr = a.Env, f, os.Stderr
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		g.cmd.Wait()
		g.exit = g.cmd.ProcessState.ExitCode()
		close(g.done)
	}()
	return g, nil
}

// close ends the app: SIGTERM, and after half a second SIGKILL.
func (g *appProcess) close() {
	if g.cmd.Process.Signal(syscall.SIGTERM) == nil {
		select {
		case <-g.done:
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
	g.cmd.Process.Kill()
	<-g.done
}
