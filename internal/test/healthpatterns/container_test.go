package healthpatterns

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// agree checks what a check and a user say. before says that both must have
// been content at first.
func agree(t *testing.T, when string, passes bool, user int, wantPass bool, wantUser int) {
	t.Helper()
	if passes != wantPass || user != wantUser {
		t.Errorf("%s: the check passes: %v, a user gets %d; want %v and %d", when, passes, user, wantPass, wantUser)
	}
}

func processEnded(t *testing.T) {
	needsProc(t)
	a := startApp(t)
	agree(t, "at first", check(t, "-check-process", a.name), status("tcp", a.address, a.url("/")), true, 200)
	a.kill()
	agree(t, "ended", check(t, "-check-process", a.name), status("tcp", a.address, a.url("/")), false, 0)
}

func hangingProcessFound(t *testing.T) {
	needsProc(t)
	a := startApp(t)
	a.hang()
	agree(t, "hanging", check(t, "-check-process", a.name), status("tcp", a.address, a.url("/")), true, 0)
}

// onSocket starts an app that also answers on a Unix socket.
func onSocket(t *testing.T) (a *app, path string) {
	path = filepath.Join(t.TempDir(), "s")
	a = startApp(t, "SOCKET="+path)
	agree(t, "at first", check(t, "-check-socket", path), status("unix", path, "http://app/"), true, 200)
	return a, path
}

func socketGone(t *testing.T) {
	a, path := onSocket(t)
	a.stop()
	agree(t, "stopped", check(t, "-check-socket", path), status("unix", path, "http://app/"), false, 0)
}

func socketLeftBehind(t *testing.T) {
	a, path := onSocket(t)
	a.kill()
	agree(t, "killed", check(t, "-check-socket", path), status("unix", path, "http://app/"), true, 0)
}

func hangingProcessAsked(t *testing.T) {
	t.Parallel() // the check waits 3 s
	a := startApp(t)
	agree(t, "at first", check(t, "-healthcheck", a.url("/healthz")), status("tcp", a.address, a.url("/")), true, 200)
	a.hang()
	agree(t, "hanging", check(t, "-healthcheck", a.url("/healthz")), status("tcp", a.address, a.url("/")), false, 0)
}

// loopbackOnly lets another address of this machine stand for the task's network
// interface.
func loopbackOnly(t *testing.T) {
	a := startApp(t)
	_, port, err := net.SplitHostPort(a.address)
	if err != nil {
		t.Fatal(err)
	}
	outside := net.JoinHostPort("127.0.0.2", port)
	agree(t, "on 127.0.0.1 only", check(t, "-healthcheck", a.url("/healthz")), status("tcp", outside, "http://"+outside+"/"), true, 0)
	if a.cmd.Process.Signal(syscall.Signal(0)) != nil {
		t.Error("the app has ended, which is another situation")
	}
}

func combinedSeesHang(t *testing.T) {
	needsProc(t)
	t.Parallel()
	a := startApp(t)
	both := []string{"-check-process", a.name, "-healthcheck", a.url("/healthz")}
	agree(t, "at first", check(t, both...), status("tcp", a.address, a.url("/")), true, 200)
	a.hang()
	agree(t, "hanging", check(t, both...), status("tcp", a.address, a.url("/")), false, 0)
}

func combinedTwoProcesses(t *testing.T) {
	needsProc(t)
	a := startApp(t)
	proxy := startApp(t, "PROXY_TO="+a.url(""), "PROXY_ANSWERS=/healthz")
	both := []string{"-check-process", a.name, "-healthcheck", proxy.url("/healthz")}
	agree(t, "at first", check(t, both...), status("tcp", proxy.address, proxy.url("/")), true, 200)
	a.hang()
	agree(t, "app hanging behind the proxy", check(t, both...), status("tcp", proxy.address, proxy.url("/")), true, 0)
}
