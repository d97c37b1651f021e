package labctl

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// stranger is the user "nobody", in the second-user attacks.
const stranger = 65534

// TestMain lets a copy of the test binary be the other user's program.
func TestMain(m *testing.M) {
	if socket := os.Getenv("LABCTL_TEST_LISTEN"); socket != "" {
		os.Exit(listen(socket))
	}
	if socket := os.Getenv("LABCTL_TEST_DIAL"); socket != "" {
		os.Exit(dial(socket))
	}
	os.Exit(m.Run())
}

// listen answers the first client as a lab would, and prints what it was sent.
func listen(socket string) int {
	ln, err := net.Listen("unix", socket)
	if err != nil {
		io.WriteString(os.Stderr, err.Error())
		return 1
	}
	os.Chmod(socket, 0o777)
	io.WriteString(os.Stdout, "listening\n")
	for {
		c, err := ln.Accept()
		if err != nil {
			return 1
		}
		line, _ := bufio.NewReader(c).ReadString('\n')
		io.WriteString(os.Stdout, strconv.Quote(line)+"\n")
		io.WriteString(c, `{"value":0}`+"\n")
		c.Close()
	}
}

// dial asks the lab at the socket for its info and prints the answer.
func dial(socket string) int {
	c, err := net.Dial("unix", socket)
	if err != nil {
		io.WriteString(os.Stderr, err.Error())
		return 1
	}
	io.WriteString(c, `{"op":"info"}`+"\n")
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	answer, _ := io.ReadAll(c)
	os.Stdout.Write(answer)
	return 0
}

// shared is a temporary directory that all users may write to, as /tmp.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", dir)
	return dir
}

func at(t *testing.T) Place {
	t.Helper()
	p, err := At("default")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// make makes the place and closes its log.
func (p Place) make() error {
	log, err := p.Make()
	if err == nil {
		log.Close()
	}
	return err
}

// wantRefused fails unless the error is a refusal with a reason and the next step.
func wantRefused(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), reason) || fail.HintOf(err) == "" {
		t.Errorf("got %v (hint %q); want a refusal that says %q, with a hint", err, fail.HintOf(err), reason)
	}
}

func TestPlaceIsTheUsersAlone(t *testing.T) {
	shared(t)
	p := at(t)
	log, err := p.Make()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, dir := range []string{p.own(), p.Dir} {
		if info, err := os.Lstat(dir); err != nil || info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("%s: %v, %v; want a directory with mode 0700", dir, info.Mode(), err)
		}
	}
	if info, err := log.Stat(); err != nil || info.Mode() != 0o600 {
		t.Errorf("the log: %v, %v; want a file with mode 0600", info.Mode(), err)
	}
	if err := p.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(p.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Remove: %v; want no directory", err)
	}
}

// TestPlaceRefusesWhatOthersCanChange has every state in which somebody else
// has a hand in the user's own directory; neither making nor dialing uses it.
func TestPlaceRefusesWhatOthersCanChange(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		prepare      func(t *testing.T, p Place)
	}{
		{"open to others", "has the mode 0777", func(t *testing.T, p Place) {
			must(t, os.Mkdir(p.own(), 0o700), os.Chmod(p.own(), 0o777))
		}},
		{"readable by others", "has the mode 0755", func(t *testing.T, p Place) {
			must(t, os.Mkdir(p.own(), 0o700), os.Chmod(p.own(), 0o755))
		}},
		{"a link", "is a link", func(t *testing.T, p Place) {
			must(t, os.Symlink(t.TempDir(), p.own()))
		}},
		{"a file", "is no directory", func(t *testing.T, p Place) {
			must(t, os.WriteFile(p.own(), nil, 0o700))
		}},
		{"another user's", "belongs to user " + strconv.Itoa(stranger), func(t *testing.T, p Place) {
			needRoot(t)
			must(t, os.Mkdir(p.own(), 0o700), os.Chown(p.own(), stranger, stranger))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			shared(t)
			p := at(t)
			c.prepare(t, p)
			wantRefused(t, p.make(), c.reason)
			_, err := Dial(p)
			wantRefused(t, err, c.reason)
		})
	}
}

func TestPlaceRefusesABaseInWhichOthersRename(t *testing.T) {
	dir := shared(t)
	must(t, os.Chmod(dir, 0o777)) // without the sticky bit
	wantRefused(t, at(t).make(), "not sticky")
}

// TestLogFollowsNoLink plants links where the place and its log will be: what
// they lead to stays as it is.
func TestLogFollowsNoLink(t *testing.T) {
	shared(t)
	p := at(t)
	bait := t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	must(t, os.WriteFile(victim, []byte("seventeen letters"), 0o600),
		os.Symlink(victim, filepath.Join(bait, logName)),
		os.Mkdir(p.own(), 0o700), os.Symlink(bait, p.Dir))
	if err := p.make(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "seventeen letters" {
		t.Errorf("the file that the link leads to holds %q, %v; want it untouched", got, err)
	}
	if _, err := os.Lstat(filepath.Join(bait, logName)); err != nil {
		t.Errorf("what the place's link led to was removed: %v", err)
	}
	if info, err := os.Lstat(p.Dir); err != nil || !info.IsDir() {
		t.Errorf("the place: %v, %v; want a directory of its own", info.Mode(), err)
	}
}

func TestSocketPathIsBounded(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/"+strings.Repeat("x", 120))
	_, err := At("default")
	wantRefused(t, err, "a socket's may have 103")
}

// TestStrangersLabGetsNothing is the takeover of a lab: another user's program
// listens where the lab's socket should be. The client must not send it a byte.
func TestStrangersLabGetsNothing(t *testing.T) {
	layer.Full(t, "runs another user's program")
	needRoot(t)
	dir := shared(t)
	p := at(t)
	if err := p.make(); err != nil {
		t.Fatal(err)
	}
	// He makes it elsewhere, and by a slip of the user's it comes to the place.
	socket := filepath.Join(dir, "s")
	out := asStranger(t, dir, "LABCTL_TEST_LISTEN="+socket)
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "listening" {
		t.Fatalf("the other user's program said %q, %v", lines.Text(), lines.Err())
	}
	must(t, os.Rename(socket, p.Socket()))
	c, err := Dial(p)
	wantRefused(t, err, "is user "+strconv.Itoa(stranger))
	if err == nil {
		c.Close()
	}
	if !lines.Scan() || lines.Text() != `""` {
		t.Errorf("the other user's program was sent %s; want nothing", lines.Text())
	}
}

// TestStrangerIsNotServed has a lab whose socket another user can reach after
// all: he learns nothing.
func TestStrangerIsNotServed(t *testing.T) {
	layer.Full(t, "runs another user's program")
	needRoot(t)
	dir := shared(t)
	p := at(t)
	if err := p.make(); err != nil {
		t.Fatal(err)
	}
	served := serve(t, p)
	c, err := Dial(p)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must(t, os.Chmod(p.Socket(), 0o777), os.Chmod(p.Dir, 0o755), os.Chmod(p.own(), 0o755))
	got, err := io.ReadAll(asStranger(t, dir, "LABCTL_TEST_DIAL="+p.Socket()))
	if err != nil || len(got) > 0 {
		t.Errorf("another user was answered %q, %v; want nothing", got, err)
	}
	// The user himself is.
	if err := c.Call(Request{Op: OpDown}, nil); err != nil {
		t.Error(err)
	}
	<-served
}

// asStranger runs a copy of the test binary as another user, until it ends or
// the test does, and returns what it prints.
func asStranger(t *testing.T, dir, env string) io.Reader {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	program := filepath.Join(dir, "stranger")
	data, err := os.ReadFile(self)
	must(t, err, os.WriteFile(program, data, 0o755))
	cmd := exec.Command(program)
	cmd.Env = []string{env}
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	out, err := cmd.StdoutPipe()
	must(t, err, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return out
}

// needRoot: only root can be two users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		layer.Lacking(t, "needs root, to be a second user")
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
