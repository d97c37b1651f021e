package cli_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// run runs the command on a source to its end.
func (b *broken) run(t *testing.T, src string) ended {
	return b.end(b.command(t, b.args(src)...), time.Now(), endsBySelf)
}

// moment is when the fault comes: at any point of a command's first second.
func (b *broken) moment() time.Duration {
	return time.Duration(b.rand.Int64N(int64(700 * time.Millisecond)))
}

// signalled sends the signal at some moment.
func (b *broken) signalled(t *testing.T, sig syscall.Signal) ended {
	cmd := b.command(t, b.args(b.source())...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(b.moment())
	cmd.Process.Signal(sig) // it may have ended by itself
	e := b.end(cmd, time.Now(), endsOnOrder)
	e.out, e.err = out.String(), errOut.String()+e.err
	e.killed = sig == syscall.SIGKILL && e.code == -1
	return e
}

// stopped stops the command for a while; then it must go on and end.
func (b *broken) stopped(t *testing.T) ended {
	cmd := b.command(t, b.args(b.source())...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(b.moment())
	cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(b.moment())
	cmd.Process.Signal(syscall.SIGCONT)
	e := b.end(cmd, time.Now(), endsBySelf)
	e.out, e.err = out.String(), errOut.String()+e.err
	return e
}

// labStopped stops the process that owns the lab and orders the command to end.
func (b *broken) labStopped(t *testing.T) ended {
	pid := b.owner(t)
	syscall.Kill(pid, syscall.SIGSTOP)
	defer syscall.Kill(pid, syscall.SIGCONT)
	return b.signalled(t, syscall.SIGTERM)
}

// labKilled kills the process that owns the lab: the command finds none.
func (b *broken) labKilled(t *testing.T) ended {
	syscall.Kill(b.owner(t), syscall.SIGKILL)
	return b.run(t, b.source())
}

// owner is the process that owns the lab.
func (b *broken) owner(t *testing.T) int {
	for pid, env := range processes() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(env, "\x00WORK="+b.dir+"\x00") && bytes.Contains(line, []byte("\x00lab\x00serve\x00")) {
			return pid
		}
	}
	t.Fatal("no process owns the lab")
	return 0
}

// shell runs the command in a mount namespace, after a script that spoils
// something: $ROOM is where it may write, $@ the command.
func (b *broken) shell(t *testing.T, script string) ended {
	room := filepath.Join(b.dir, "run")
	switch {
	case !writes(b.what):
		room = filepath.Join(b.dir, "r")
	case b.what.lab || b.rand.IntN(3) == 0:
		room = filepath.Join(b.dir, "tmp")
	}
	inner := b.command(t, b.args(b.source())...)
	cmd := exec.Command("unshare", append([]string{"-Urm", "sh", "-c", script, "sh"}, append([]string{inner.Path}, inner.Args[1:]...)...)...)
	cmd.Dir, cmd.Env = inner.Dir, append(inner.Env, "ROOM="+room, "OUT="+filepath.Join(room, "out"))
	return b.end(cmd, time.Now(), endsBySelf)
}

// slow gives the template byte by byte, as a slow disk does, and reads what the
// command prints as slowly.
func (b *broken) slow(t *testing.T) ended {
	text := b.templateText(t)
	path := filepath.Join(b.dir, "slow.template.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), endsBySelf)
	defer cancel()
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // once somebody reads
		if err != nil {
			return
		}
		defer f.Close()
		for len(text) > 0 && ctx.Err() == nil {
			n := min(len(text), 4096)
			f.Write(text[:n])
			text = text[n:]
			time.Sleep(5 * time.Millisecond)
		}
	}()
	cmd := b.command(t, b.args(path)...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	go func() {
		defer r.Close()
		for buf := make([]byte, 512); ; time.Sleep(time.Millisecond) {
			if _, err := r.Read(buf); err != nil {
				return
			}
		}
	}()
	e := b.end(cmd, time.Now(), endsBySelf)
	w.Close()
	return e
}

// templateText is a template as text, of any size.
func (b *broken) templateText(t *testing.T) []byte {
	files, err := filepath.Glob(filepath.Join(b.source(), "*.template.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// fifo gives a FIFO that nobody writes in the template's place and orders the
// command to end.
func (b *broken) fifo(t *testing.T) ended {
	path := filepath.Join(b.dir, "fifo.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := b.command(t, b.args(path)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(800*time.Millisecond + b.moment())
	cmd.Process.Signal(syscall.SIGTERM)
	e := b.end(cmd, time.Now(), endsOnOrder)
	e.out, e.err = out.String(), errOut.String()+e.err
	return e
}

// huge writes a template with a number, or a number of resources, that nobody
// means.
func (b *broken) huge(t *testing.T) string {
	text := string(b.templateText(t))
	numbers := []string{
		"1000000000", "65536", "-1", "0", strings.Repeat("9", 100_000), "1e308", `"${` + strings.Repeat("x", 10_000) + `}"`,
	}
	number := numbers[b.rand.IntN(len(numbers))]
	for _, field := range []string{"DesiredCount", "ContainerPort", "Port"}[b.rand.IntN(3):] {
		re := regexp.MustCompile(`"` + field + `": *\d+`)
		text = re.ReplaceAllString(text, fmt.Sprintf(`"%s": %s`, field, strings.ReplaceAll(number, "$", "$$")))
	}
	path := filepath.Join(b.dir, "huge.template.json")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// plain takes out of a line what differs from try to try.
func (b *broken) plain(line string) string {
	line = strings.ReplaceAll(line, b.dir, "DIR")
	if root, err := filepath.Abs("../.."); err == nil {
		line = strings.ReplaceAll(line, root, "REPO")
	}
	if r := []rune(line); len(r) > 160 {
		line = string(r[:160]) + " …"
	}
	return line
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if saying.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	line, _, _ := strings.Cut(s, "\n")
	return cmp.Or(strings.TrimSpace(line), "")
}
