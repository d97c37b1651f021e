package healthpatterns

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// app is one process of the measured app outside the lab.
type app struct {
	t       *testing.T
	cmd     *exec.Cmd
	name    string // of the program, as a process check finds it
	address string
	ended   bool
}

// startApp starts the app under a program name of its own.
func startApp(t *testing.T, env ...string) *app {
	t.Helper()
	a := &app{t: t, name: fmt.Sprintf("app-%d-%x", os.Getpid(), time.Now().UnixNano())}
	path := filepath.Join(t.TempDir(), a.name)
	if err := os.Symlink(service, path); err != nil {
		t.Fatal(err)
	}
	a.cmd = exec.Command(path)
	a.cmd.Env = append([]string{"LISTEN_ADDRESS=127.0.0.1", "PORT=0"}, env...)
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.kill)
	var first struct{ Address string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&first); err != nil || first.Address == "" {
		t.Fatalf("the app did not say where it listens: %v", err)
	}
	a.address = first.Address
	return a
}

func (a *app) url(path string) string { return "http://" + a.address + path }

func (a *app) signal(s syscall.Signal) {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// hang stops the process without ending it: it holds its port and its
// connections and does nothing, like one that is out of threads.
func (a *app) hang() { a.signal(syscall.SIGSTOP) }

func (a *app) kill() {
	if !a.ended {
		a.ended = true
		a.cmd.Process.Kill()
		a.cmd.Wait()
	}
}

// stop ends the process in good order.
func (a *app) stop() {
	a.signal(syscall.SIGTERM)
	a.ended = true
	a.cmd.Wait()
}

// status is what a user gets who asks the URL: a status, or 0 when no answer
// comes within a second.
func status(network, address, url string) int {
	tr := &http.Transport{DisableKeepAlives: true, Dial: func(string, string) (net.Conn, error) { return net.Dial(network, address) }}
	c := http.Client{Transport: tr, Timeout: time.Second}
	resp, err := c.Get(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// check runs a container health check as ECS would, and reports its answer.
func check(t *testing.T, flags ...string) bool {
	t.Helper()
	err := exec.Command(service, flags...).Run()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Fatalf("service %v: %v; want exit code 0 or 1", flags, err)
	}
	return err == nil
}

// needsProc skips where processes cannot be listed.
func needsProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		layer.Lacking(t, "the process check reads /proc, which only Linux has")
	}
}
