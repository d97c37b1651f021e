package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/lab/proc"
)

// nodeProcess is a node: a load balancer's, or an agent.
type nodeProcess struct {
	*node.Client
	proc running
	stop func() // of the host's Watch
}

// running is what a node runs in: a process of its own, or a place in one.
type running interface {
	PID() int
	// Done is closed when it has ended; Why then says how.
	Done() <-chan struct{}
	Alive() bool
	Why() string
	// Wait waits for its end, at most for the given time, and reports whether it ended.
	Wait(limit time.Duration) bool
	// Kill ends it at once and waits for its end.
	Kill()
}

// startNode starts a node process in the host, configures it and keeps its
// view of the network up to date. bound receives where it listens, event what
// the node reports by itself.
func (l *Lab) startNode(name string, h fabric.Host, start node.Start, bound any, event func(json.RawMessage)) (*nodeProcess, error) {
	client, p, err := l.spawnNode(name, h.Start, event)
	if err != nil {
		return nil, err
	}
	if guardApps && start.Envoy != nil {
		p.OnStop(client.Close) // it ends its Envoy first, which no kernel does here
	}
	start.Net = h.Net()
	return configure(&nodeProcess{Client: client, proc: p, stop: func() {}}, h, start, bound)
}

// spawnNode starts a node process that has been told nothing yet.
func (l *Lab) spawnNode(name string, start func(*exec.Cmd) error, event func(json.RawMessage)) (*node.Client, *proc.Process, error) {
	cmd := exec.Command(l.opts.Node[0], l.opts.Node[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	p, err := l.spawner.Start(name, cmd, l.opts.Log, start)
	if err != nil {
		return nil, nil, err
	}
	return node.NewClient(name, in, out, event), p, nil
}

// configure tells a node what it is and keeps its view of the network up to date.
func configure(c *nodeProcess, h fabric.Host, start node.Start, bound any) (*nodeProcess, error) {
	if err := c.Call(node.OpStart, start, bound); err != nil {
		c.close()
		if why := c.proc.Why(); why != ended {
			err = fmt.Errorf("%w (%s)", err, why)
		}
		return nil, err
	}
	c.stop = h.Watch(func(v json.RawMessage) {
		c.Call(node.OpView, v, nil) // a node that is gone needs no view; its end is noticed elsewhere
	})
	return c, nil
}

// ended is how a node ends that was asked to.
const ended = "exit status 0"

// close ends the node: it ends by itself when its input closes.
func (c *nodeProcess) close() {
	c.stop()
	c.Client.Close()
	if !c.proc.Wait(2 * time.Second) {
		c.proc.Kill()
	}
}

// kill ends the node at once.
func (c *nodeProcess) kill() {
	c.proc.Kill()
	c.stop()
	c.Client.Close()
}

// appProcess is a process that stands in for a container's port.
type appProcess struct {
	container string
	port      uint16
	address   string // where it really listens
	proc      *proc.Process
	log       string
	requests  requestCounter
}

// startApp starts the app and waits until it says where it listens.
func (l *Lab) startApp(name string, h fabric.Host, env []string, log string) (*appProcess, error) {
	p, err := l.startAppProcess(name, h, l.opts.App.Command, env, log)
	if err != nil {
		return nil, err
	}
	a := &appProcess{proc: p, log: log}
	if a.address, err = awaitListening(p, log); err != nil {
		p.Kill()
		return nil, err
	}
	return a, nil
}

// guardApps puts a node over each app, which ends it when the lab is gone.
// Linux does that by itself.
var guardApps = runtime.GOOS != "linux"

func (l *Lab) startAppProcess(name string, h fabric.Host, command, env []string, log string) (*proc.Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if guardApps {
		return l.startAppThroughNode(name, h, node.App{Command: command, Env: env, Log: log})
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = env
	// A file and not a pipe: the app's access log then costs the lab nothing.
	cmd.Stdout = f
	return l.spawner.Start(name, cmd, l.opts.Log, h.Start)
}

// startAppThroughNode starts a node that starts the app. A signal to the node ends
// both: its standard input closes with it.
func (l *Lab) startAppThroughNode(name string, h fabric.Host, app node.App) (*proc.Process, error) {
	client, p, err := l.spawnNode(name, h.Start, nil)
	if err != nil {
		return nil, err
	}
	p.OnStop(client.Close)
	var started node.AppStarted
	if err := client.Call(node.OpStart, node.Start{App: &app}, &started); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

const listenWithin = 20 * time.Second

// roomAfter is how often a wait for a line in a log looks whether the log can
// still be written: an app that cannot write it says nothing.
const roomAfter = 500 * time.Millisecond

// room returns an error when nothing more can be written beside the log.
func room(log string) error {
	f, err := os.CreateTemp(filepath.Dir(log), ".room-*")
	if err == nil {
		_, err = f.Write(make([]byte, 4096))
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fail.Newf(fail.Environment, "free some space there", "cannot write the log of an app, %s: %w", log, err)
	}
	return nil
}

// awaitListening waits for the line in which an app says where it listens.
func awaitListening(p *proc.Process, log string) (string, error) {
	f, err := os.Open(log)
	if err != nil {
		return "", err
	}
	defer f.Close()
	began := time.Now()
	limit, look := began.Add(listenWithin), began.Add(roomAfter)
	for wait := time.Millisecond; ; wait = min(wait*2, 20*time.Millisecond) {
		f.Seek(0, io.SeekStart)
		dec := json.NewDecoder(f)
		var line struct{ Msg, Address string }
		for dec.Decode(&line) == nil {
			if line.Msg == "listening" {
				return line.Address, nil
			}
		}
		if !p.Alive() {
			return "", errors.Join(room(log), fmt.Errorf("%s ended before it listened: %s", p.Name, p.Why()))
		}
		if now := time.Now(); now.After(look) {
			if err := room(log); err != nil {
				return "", err
			}
			look = now.Add(roomAfter)
		}
		if time.Now().After(limit) {
			return "", fmt.Errorf("%s did not say where it listens within %s; see %s", p.Name, listenWithin, log)
		}
		time.Sleep(wait)
	}
}
