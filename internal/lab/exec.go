package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/lab/proc"
)

// Enter makes sure that this process can run a lab on the fabric. Where the
// fabric needs a user namespace for that, it runs this program again in one
// and returns its exit code and true; the caller then exits with that code.
// A command calls it before it does anything else.
func Enter(fabricName string) (code int, done bool, err error) {
	if fabricName != netns.Name {
		return 0, false, nil
	}
	return netns.Enter()
}

// Exec runs a program where the caller is, with the caller's network, names
// and ports, and returns its exit code. env is its whole environment, dir its
// directory, and files are its standard input, output and error. When ctx
// ends, or the lab, the program is stopped. It needs a fabric on which any
// program can be put into a task: netns.
func (l *Lab) Exec(ctx context.Context, c Caller, argv, env []string, dir string, files []*os.File) (int, error) {
	if len(argv) == 0 || len(files) != 3 {
		return 0, fail.Newf(fail.Usage, "", "exec: no program, or not its standard input, output and error")
	}
	path, err := find(argv[0], env, dir)
	if err != nil {
		return 0, err
	}
	h, err := l.inside(c)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	cmd := &exec.Cmd{Path: path, Args: argv, Env: env, Dir: dir, Stdin: files[0], Stdout: files[1], Stderr: files[2]}
	code, err := proc.Run(ctx, cmd, h.Start)
	if err != nil {
		return 0, fail.Newf(fail.Environment, "", "exec: %w", err)
	}
	return code, nil
}

// Launch starts a command where the caller is, as cmd.Start would here. On a
// fabric that is not isolated every caller is on this machine. The command
// ends with the lab at the latest, if its SysProcAttr says that it dies with
// its parent.
func (l *Lab) Launch(c Caller, cmd *exec.Cmd) error {
	if _, ok := l.fabric.(fabric.Isolated); !ok {
		return cmd.Start()
	}
	h, err := l.inside(c)
	if err != nil {
		return err
	}
	return h.Start(cmd)
}

// Namespace returns the network namespace that the caller's connections come
// from, open as long as its host is there; nil on a fabric on which they come
// from this machine.
func (l *Lab) Namespace(c Caller) (*os.File, error) {
	if _, ok := l.fabric.(fabric.Isolated); !ok {
		return nil, nil
	}
	h, err := l.inside(c)
	if err != nil {
		return nil, err
	}
	n, ok := h.(fabric.Namespaced)
	if !ok {
		return nil, fmt.Errorf("a host of fabric %s is no network namespace", l.fabric.Name())
	}
	return n.Namespace(), nil
}

// inside returns the caller's host if programs can be put into it.
func (l *Lab) inside(c Caller) (fabric.Host, error) {
	if _, ok := l.fabric.(fabric.Isolated); !ok {
		return nil, fail.Newf(fail.Usage, "start the lab with --fabric netns, or use hoplab lab curl",
			"no program can be run inside a task on fabric %s: its hosts are addresses of this machine", l.fabric.Name())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h, _, err := l.caller(c)
	return h, err
}

// find looks a program up as a shell with that environment and directory does.
func find(name string, env []string, dir string) (string, error) {
	var dirs []string
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			dirs = filepath.SplitList(v)
		}
	}
	if strings.ContainsRune(name, filepath.Separator) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		dirs, name = []string{filepath.Dir(name)}, filepath.Base(name)
	}
	for _, d := range dirs {
		if path, err := exec.LookPath(filepath.Join(d, name)); err == nil && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", fail.Newf(fail.Usage, "give its path, or install it on this machine: a task sees the machine's files", "exec: there is no program %q", name)
}

// setNames tells an isolated fabric's resolver the names of the load
// balancers; a twin's has the same name and is left out.
func (l *Lab) setNames() {
	f, ok := l.fabric.(fabric.Isolated)
	if !ok {
		return
	}
	names := map[string]netip.Addr{}
	for _, b := range l.copies[0].balancers {
		if b.iface != nil {
			names[dnsName(b.def)] = b.iface.IP
		}
	}
	f.SetNames(names)
}
