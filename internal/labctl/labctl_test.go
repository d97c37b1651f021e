package labctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

var made = Info{Source: "empty", Fabric: "loopback", Scale: 10, PID: 7, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	Made: Made{Paths: []string{"a.json"}, Params: []string{"A=b"}}}

// up serves a lab of an empty deployment, which needs no process, and returns
// where the result of Serve arrives.
func up(t *testing.T) (Place, <-chan error) {
	t.Helper()
	shared(t)
	p := at(t)
	must(t, p.make())
	logs := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		served <- Serve(ctx, p, func(ctx context.Context) (*lab.Lab, Info, error) {
			l, err := lab.Start(ctx, lab.Options{
				Topology: &topology.Topology{Name: "empty"}, App: lab.App{Command: []string{"none"}}, Scale: 10, Dir: logs,
			})
			return l, made, err
		}, another)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	waitFor(t, "somebody listens at the socket", func() bool {
		c, err := net.Dial("unix", p.Socket())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	c := client(t, p)
	if err := c.Call(Request{Op: OpStarted}, nil); err != nil {
		t.Fatal(err)
	}
	return p, served
}

// another reads a deployment without anything in it, of any name but "bad".
func another(_ context.Context, m Made) (*topology.Topology, error) {
	if m.Situation == "bad" {
		return nil, fail.Newf(fail.Usage, "name another", "no situation bad")
	}
	return &topology.Topology{Name: "another"}, nil
}

func client(t *testing.T, p Place) *Client {
	t.Helper()
	c, err := Dial(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 5 s: " + what)
		}
	}
}

// TestCalls: clients beside each other, and one call after another on a
// connection, each get their own answer.
func TestCalls(t *testing.T) {
	p, _ := up(t)
	a, b := client(t, p), client(t, p)
	for _, c := range []*Client{a, b, a} {
		var info Info
		if err := c.Call(Request{Op: OpInfo}, &info); err != nil || !reflect.DeepEqual(info, made) {
			t.Errorf("info %+v, %v; want %+v", info, err, made)
		}
		var st lab.Status
		if err := c.Call(Request{Op: OpStatus}, &st); err != nil || st.Dir == "" || st.Scale != 10 {
			t.Errorf("status %+v, %v", st, err)
		}
	}
	var wrong []int
	if err := a.Call(Request{Op: OpInfo}, &wrong); err == nil || !strings.Contains(err.Error(), "answer to info") {
		t.Errorf("an answer of another type: %v", err)
	}
}

// TestApply: a lab that became another says what it is made of now, and one that
// could not stays as it was.
func TestApply(t *testing.T) {
	p, _ := up(t)
	c := client(t, p)
	bad := c.Call(Request{Op: OpApply, Made: &Made{Situation: "bad"}}, nil)
	if bad == nil || fail.CodeOf(bad) != fail.Usage || fail.HintOf(bad) != "name another" {
		t.Errorf("a source that cannot be read: %v", bad)
	}
	if err := c.Call(Request{Op: OpApply}, nil); err == nil {
		t.Error("a request without a source is taken")
	}
	var changes []lab.Change
	to := Made{Dir: "/", Paths: []string{"x"}}
	must(t, c.Call(Request{Op: OpApply, Made: &to}, &changes))
	must(t, c.Call(Request{Op: OpSettled}, nil))
	var info Info
	must(t, c.Call(Request{Op: OpInfo}, &info))
	want := made
	want.Source, want.Made = "another", to
	if len(changes) != 0 || !reflect.DeepEqual(info, want) {
		t.Errorf("changes %v, info %+v; want none and %+v", changes, info, want)
	}
}

// TestErrorsCrossTheSocket: an error arrives with its text, code and hint, and
// the connection can be used on.
func TestErrorsCrossTheSocket(t *testing.T) {
	p, _ := up(t)
	c := client(t, p)
	for _, x := range []struct {
		request    Request
		text, hint string
	}{
		{Request{Op: "dance"}, `does not know "dance"`, "use the same hoplab"},
		{Request{Op: OpScale, Service: "app", Count: 2}, "app", ""},
		{Request{Op: OpKill, Service: "app"}, "app", ""},
		{Request{Op: OpKill, LoadBalancer: "front"}, "front", ""},
		{Request{Op: OpDrain, Service: "app"}, "app", ""},
		{Request{Op: OpRedeploy, Service: "app", Timeout: time.Second}, "app", ""},
		{Request{Op: OpDial, URL: "http://nowhere.test/"}, "nowhere.test", ""},
	} {
		err := c.Call(x.request, nil)
		if err == nil || !strings.Contains(err.Error(), x.text) || !strings.Contains(fail.HintOf(err), x.hint) {
			t.Errorf("%s: %v (hint %q); want %q with the hint %q", x.request.Op, err, fail.HintOf(err), x.text, x.hint)
		}
		if x.hint != "" && fail.CodeOf(err) != fail.Usage {
			t.Errorf("%s: code %d, want %d", x.request.Op, fail.CodeOf(err), fail.Usage)
		}
		if err := c.Call(Request{Op: OpInfo}, nil); err != nil {
			t.Fatalf("after %s: %v", x.request.Op, err)
		}
	}
}

// TestFilesCrossTheSocket: an exec gets the files that were passed beside it
// and no others, those of an earlier request least of all.
func TestFilesCrossTheSocket(t *testing.T) {
	p, _ := up(t)
	c := client(t, p)
	exec := func(files ...*os.File) string {
		self, err := os.Executable()
		must(t, err)
		return fmt.Sprint(c.Call(Request{Op: OpExec, Argv: []string{self}}, nil, files...))
	}
	const incomplete = "not its standard input, output and error"
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	if got := exec(null); !strings.Contains(got, incomplete) { // the server has the connection now
		t.Errorf("with one file: %s", got)
	}
	before := openFiles(t)
	if got := exec(null, null, null); got == "<nil>" || strings.Contains(got, incomplete) {
		t.Errorf("with three files: %s; want that a program cannot be started on loopback", got)
	}
	for _, files := range [][]*os.File{nil, {null}, {null, null}} {
		if got := exec(files...); !strings.Contains(got, incomplete) {
			t.Errorf("with %d files: %s", len(files), got)
		}
	}
	waitFor(t, "the files that were passed are closed", func() bool { return openFiles(t) <= before })
}

// openFiles is how many this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if list, err := os.ReadDir(dir); err == nil {
			return len(list)
		}
	}
	t.Fatal("this system does not tell a process its open files")
	return 0
}

// TestGarbage: a line that is no request is answered with an error, and the
// next one is read.
func TestGarbage(t *testing.T) {
	p, _ := up(t)
	c := client(t, p)
	if _, err := c.conn.Write([]byte("no JSON\n{\"op\":5}\n")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var resp Response
		if err := c.in.Read(&resp); err != nil || resp.Error == "" || resp.Value != nil {
			t.Errorf("answered %+v, %v; want an error", resp, err)
		}
	}
	if err := c.Call(Request{Op: OpInfo}, nil); err != nil {
		t.Error(err)
	}
}

// TestDown ends Serve and the lab; after it there is none.
func TestDown(t *testing.T) {
	p, served := up(t)
	bystander := client(t, p)
	if err := client(t, p).Call(Request{Op: OpDown}, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-served:
		if err != nil {
			t.Errorf("Serve returned %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Serve goes on after down")
	}
	if err := bystander.Call(Request{Op: OpInfo}, nil); !errors.Is(err, ErrLost) || fail.HintOf(err) == "" {
		t.Errorf("another client: %v (hint %q); want that the lab went away, with a hint", err, fail.HintOf(err))
	}
	noLab(t, p)
}

func noLab(t *testing.T, p Place) {
	t.Helper()
	c, err := Dial(p)
	if err == nil {
		c.Close()
	}
	if err == nil || fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), p.Name) ||
		!strings.Contains(fail.HintOf(err), "lab up") {
		t.Errorf("dialing: %v (hint %q); want that no such lab is up, and how to start one", err, fail.HintOf(err))
	}
}

// TestMakeAnew: a place is not taken from a lab that is up; what a dead one
// left there goes.
func TestMakeAnew(t *testing.T) {
	p, served := up(t)
	if err := p.make(); err == nil || fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "up already") {
		t.Errorf("while the lab is up: %v", err)
	}
	must(t, client(t, p).Call(Request{Op: OpDown}, nil), <-served)
	left := filepath.Join(p.Dir, "left")
	must(t, os.WriteFile(left, []byte("what it held"), 0o600))
	if got, err := p.Read("left"); err != nil || string(got) != "what it held" {
		t.Errorf("of what the dead lab left is read %q, %v", got, err)
	}
	if got, err := p.Read("none"); err != nil || got != nil {
		t.Errorf("a file that is not there is read as %q, %v", got, err)
	}
	must(t, p.make())
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what the dead lab left is there: %v", err)
	}
	noLab(t, p)
}

// TestPlaces: labs of different names have nothing in common, and a name
// leads nowhere else.
func TestPlaces(t *testing.T) {
	dir := shared(t)
	seen := map[string]bool{}
	for _, name := range []string{"a", "b", "a-1", "0", strings.Repeat("x", 31)} {
		p, err := At(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{p.Socket(), p.Log(), p.Logs()} {
			if rel, err := filepath.Rel(dir, path); err != nil || strings.HasPrefix(rel, "..") || seen[path] {
				t.Errorf("lab %s has %s, which is outside %s or another's", name, path, dir)
			}
			seen[path] = true
		}
	}
	for _, name := range []string{"", "A", "a_b", "-a", "a/b", "..", "a b", "ä", strings.Repeat("x", 32)} {
		if p, err := At(name); err == nil || fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" {
			t.Errorf("At(%q) = %v, %v; want a refusal with a hint", name, p, err)
		}
	}
	runtime := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	if p, err := At("a"); err != nil || !strings.HasPrefix(p.Dir, runtime+string(filepath.Separator)) {
		t.Errorf("with a runtime directory: %v, %v", p, err)
	}
}
