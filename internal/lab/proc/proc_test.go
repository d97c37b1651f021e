package proc

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain lets the test binary be a child with a behaviour.
func TestMain(m *testing.M) {
	switch os.Getenv("PROC_TEST") {
	case "":
		os.Exit(m.Run())
	case "fail":
		io.WriteString(os.Stderr, "first line\nno port left\n")
		os.Exit(3)
	case "wait":
		io.Copy(io.Discard, os.Stdin)
	case "stubborn":
		ignoreTerm()
		os.Stdout.WriteString("ready\n")
		time.Sleep(time.Minute)
	}
}

func start(t *testing.T, behaviour string) (*Process, io.WriteCloser, io.Reader) {
	t.Helper()
	s := NewSpawner()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROC_TEST="+behaviour)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Start("child", cmd, nil, (*exec.Cmd).Start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		s.Close()
	})
	return p, in, out
}

func TestWhy(t *testing.T) {
	layer.Full(t, "starts processes")
	p, _, _ := start(t, "fail")
	if got := p.Why(); got != "exit status 3: no port left" {
		t.Errorf("why: %q", got)
	}
	if p.Alive() {
		t.Error("still alive")
	}
	p.Kill() // of a process that has ended
}

func TestEndsWithItsInput(t *testing.T) {
	layer.Full(t, "starts processes")
	p, in, _ := start(t, "wait")
	if p.Wait(20 * time.Millisecond) {
		t.Fatal("ended by itself")
	}
	in.Close()
	if !p.Wait(5 * time.Second) {
		t.Error("still there after its input closed")
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	layer.Full(t, "starts processes")
	p, _, out := start(t, "stubborn")
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	p.Stop(50 * time.Millisecond)
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("killed after %s, before its time was up", took)
	}
	if why := p.Why(); !strings.Contains(why, "killed") {
		t.Errorf("why: %q", why)
	}
}

func TestStartFails(t *testing.T) {
	s := NewSpawner()
	defer s.Close()
	_, err := s.Start("child", exec.Command("/no/such/program"), nil, (*exec.Cmd).Start)
	if err == nil || !strings.HasPrefix(err.Error(), "child: ") {
		t.Errorf("%v", err)
	}
}
