// Package container runs the one program of an image that hoplab cloud has: that
// of a load task, in the place of a container with hoplab's load image. Every
// other image is the lab's, and the measured app stands for it.
package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/proc"
)

// Variables of a container with the load image.
const (
	Bucket = "HOPLAB_BUCKET" // where it puts its samples; what tells the image from others
	Load   = "HOPLAB_LOAD_JSON"
)

// passed are a container's variables that the program gets; it is a process of
// the user's, and a template must not set any other for it.
var passed = []string{Bucket, Load, "HOPLAB_PREFIX", "HOPLAB_HOLD"}

// Program is how the load program is started here.
type Program struct {
	// Command is its command line without the load.
	Command []string
	// K6 returns the path of k6 with hoplab's extension, and may take its time to
	// build it at first.
	K6 func(context.Context) (string, error)
	// Env has what the SDK needs to reach the endpoint: its URL, a region, a key.
	Env []string
	// Log, if set, receives what the program writes to standard error.
	Log io.Writer
}

// Spec is one container.
type Spec struct {
	Name string            // for messages
	Args []string          // its command, as a task's overrides have it
	Env  map[string]string // its variables, as its definition and overrides have them
	// Dir receives its log; it is made.
	Dir string
	// StopTimeout is how long it may take to end when it is asked to.
	StopTimeout time.Duration
	// Lab is where its requests go, and Caller who they come from.
	Lab    *lab.Lab
	Caller lab.Caller
}

// LogFile is where a container with that directory writes its standard output.
func LogFile(dir string) string { return filepath.Join(dir, "load.log") }

// Runs reports whether a container with these variables is one of the load image.
func Runs(env map[string]string) bool { return env[Bucket] != "" }

// Process is a container that has been started. Its methods are safe for
// concurrent use.
type Process struct {
	cmd  *exec.Cmd
	proc *proc.Process
	wait time.Duration
	done chan struct{}
}

// Start starts a container. The load that it is given names addresses of the
// deployment; those that they stand for on this machine are added to it. The
// process ends with this one.
func (p *Program) Start(ctx context.Context, s Spec) (*Process, error) {
	k6, err := p.K6(ctx)
	if err != nil {
		return nil, err
	}
	args, env, hosts, err := s.addressed()
	defer closeAll(hosts)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	c := &Process{wait: s.StopTimeout, done: make(chan struct{})}
	out, err := os.Create(LogFile(s.Dir))
	if err != nil {
		return nil, err
	}
	defer out.Close() // the process has its own
	c.cmd = exec.Command(p.Command[0], append(p.Command[1:len(p.Command):len(p.Command)], args...)...)
	c.cmd.Env = append(inherited(), append(p.Env, "HOPLAB_K6="+k6)...)
	for _, k := range passed {
		if v, ok := env[k]; ok {
			c.cmd.Env = append(c.cmd.Env, k+"="+v)
		}
	}
	c.cmd.Dir, c.cmd.Stdout, c.cmd.ExtraFiles = s.Dir, out, hosts
	spawner := proc.NewSpawner()
	if c.proc, err = spawner.Start(s.Name, c.cmd, p.Log, (*exec.Cmd).Start); err != nil {
		spawner.Close()
		return nil, err
	}
	go func() {
		<-c.proc.Done()
		spawner.Close()
		close(c.done)
	}()
	return c, nil
}

// Done is closed when the container has ended.
func (c *Process) Done() <-chan struct{} { return c.done }

// Exit is the code with which it ended, 128 and the signal's number where one
// ended it, as a container's; call it when Done is closed.
func (c *Process) Exit() int {
	state := c.cmd.ProcessState
	if code := state.ExitCode(); code >= 0 {
		return code
	}
	return 128 + signalOf(state)
}

// Stop asks it to end, kills it when it has not after its stop timeout, and
// returns when it has ended.
func (c *Process) Stop() {
	c.proc.Stop(c.wait)
	<-c.done
}

// Kill ends it at once.
func (c *Process) Kill() {
	c.proc.Kill()
	<-c.done
}

// inherited are the variables of this process that a program may need to run at all.
func inherited() (env []string) {
	for _, k := range []string{"PATH", "HOME", "TMPDIR", "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	return env
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// errNoLoad is the error of a container that is told to send nothing.
var errNoLoad = errors.New("neither its command nor " + Load + " has a load")

// addressed returns the container's command and variables with a load that says
// what to connect to, and the network namespaces that it names, open.
func (s *Spec) addressed() (args []string, env map[string]string, hosts []*os.File, err error) {
	text := s.Env[Load]
	if len(s.Args) > 0 {
		text = s.Args[0]
	}
	if text == "" {
		return nil, nil, nil, errNoLoad
	}
	l, hosts, err := dialled(text, s.Lab, s.Caller)
	if err != nil {
		return nil, nil, hosts, fmt.Errorf("%s: %w", s.Name, err)
	}
	env = map[string]string{}
	for k, v := range s.Env {
		env[k] = v
	}
	delete(env, Load) // the argument comes first
	return []string{l}, env, hosts, nil
}
