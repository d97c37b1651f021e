// Package proc runs the lab's child processes so that none survives the lab:
// each ends when its standard input closes or on a signal, and on Linux the
// kernel kills it when the parent dies, however that happens.
package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Spawner starts processes from one operating system thread that lives as
// long as the Spawner, because Linux ties a child's parent-death signal to
// the thread that started it. A fabric that must enter a namespace to start
// a process can do so in that thread, if it leaves the namespace again.
type Spawner struct {
	work chan func()
	once sync.Once
	done chan struct{}

	mu      sync.Mutex
	running map[*Process]struct{}
	killed  bool // by KillAll
}

// NewSpawner returns a running Spawner.
func NewSpawner() *Spawner {
	s := &Spawner{work: make(chan func()), done: make(chan struct{}), running: map[*Process]struct{}{}}
	go func() {
		runtime.LockOSThread()
		defer close(s.done)
		for f := range s.work {
			f()
		}
	}()
	return s
}

// Close ends the Spawner's thread, and with it any child that still runs.
func (s *Spawner) Close() {
	s.once.Do(func() { close(s.work) })
	<-s.done
}

// Process is a child process.
type Process struct {
	Name     string
	cmd      *exec.Cmd
	err      *tail
	done     chan struct{}
	exit     error
	askToEnd func() error // how to ask it to end, when not by SIGTERM
	group    atomic.Bool  // what it has started ends with it
}

// OnStop makes Stop and Kill ask the process to end with f, for a process
// that has something of its own to end first. Call it right after Start.
func (p *Process) OnStop(f func() error) { p.askToEnd = f }

// EndGroup has what the process has started end with it, as far as that is still in
// its process group (Linux). Call it right after Start.
func (p *Process) EndGroup() { p.group.Store(true) }

// Start starts cmd through start, e.g. cmd.Start itself. cmd.Stderr must be
// unset: what the process writes there is kept to explain its end, and copied
// to log when that is not nil.
func (s *Spawner) Start(name string, cmd *exec.Cmd, log io.Writer, start func(*exec.Cmd) error) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, err: &tail{to: log}, done: make(chan struct{})}
	cmd.Stderr = p.err
	cmd.WaitDelay = time.Second // a grandchild that holds stderr must not hold us
	dieWithParent(cmd)
	var err error
	ok := make(chan struct{})
	s.work <- func() {
		err = start(cmd)
		close(ok)
	}
	<-ok
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.watch(p)
	return p, nil
}

// watch keeps p among the running processes until it ends.
func (s *Spawner) watch(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killed {
		p.cmd.Process.Kill()
	}
	s.running[p] = struct{}{}
	go func() {
		p.exit = p.cmd.Wait()
		if p.group.Load() {
			signalGroup(p.cmd, syscall.SIGKILL)
		}
		s.mu.Lock()
		delete(s.running, p)
		s.mu.Unlock()
		close(p.done)
	}()
}

// KillAll kills every process that runs, and from now on every one that
// starts, without waiting for their ends. Who waits for one of them goes on.
func (s *Spawner) KillAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killed = true
	for p := range s.running {
		p.cmd.Process.Kill()
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive reports whether the process has not ended yet.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Why returns how a process ended, with the last line it wrote to standard error.
func (p *Process) Why() string {
	<-p.done
	why := "exit status 0"
	if p.exit != nil {
		why = p.exit.Error()
	}
	if last := p.err.last(); last != "" {
		why += ": " + last
	}
	return why
}

// Stop asks the process to end with SIGTERM and kills it after grace.
func (p *Process) Stop(grace time.Duration) {
	if grace > 0 {
		if p.askToEnd != nil {
			p.askToEnd()
		} else {
			p.signal(syscall.SIGTERM)
		}
		p.Wait(grace)
	}
	p.Kill()
}

// Wait waits for the end of the process, at most for the given time, and
// reports whether it ended.
func (p *Process) Wait(limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// Kill kills the process and waits for its end.
func (p *Process) Kill() {
	if p.askToEnd != nil && p.Alive() {
		p.askToEnd()
		p.Wait(killWait)
	}
	if p.Alive() {
		p.cmd.Process.Kill()
	}
	<-p.done
}

// killWait is how long a process with something of its own to end may take.
const killWait = 2 * time.Second

func (p *Process) signal(sig os.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.cmd.Process.Kill() // no such signal on this system
	}
}

// tail keeps the last line of what is written to it.
type tail struct {
	mu  sync.Mutex
	to  io.Writer
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if len(t.buf) > 4096 {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-4096:]...)
	}
	if t.to != nil {
		t.to.Write(b)
	}
	return len(b), nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" && !envoyNote.MatchString(line) {
			return line
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// envoyNote is a line of an Envoy's log that is no error: not why it ended.
var envoyNote = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d [^\]]*\]\[\d+\]\[(trace|debug|info|warning)\]`)
