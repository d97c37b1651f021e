package labtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// Program is somebody else's program, or ours, that listens on this machine
// and ends with the test.
type Program struct {
	Addr string
	PID  int
	Stop func() // before the test's end; may be called again
}

// Find returns the path of a program of this machine, or nothing.
func Find(program string) string {
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Need returns the path of a program, or skips the test without it; in CI it fails.
func Need(t testing.TB, program string) string {
	t.Helper()
	path := Find(program)
	if path == "" {
		layer.Lacking(t, program+" is not installed")
	}
	return path
}

// HAProxy starts HAProxy in front of an origin, with connections to it kept
// and shared. bind and server are more options for those lines.
func HAProxy(t testing.TB, origin, bind, server string) *Program {
	path, port := Need(t, "haproxy"), freePort(t)
	cfg := filepath.Join(t.TempDir(), "haproxy.cfg")
	Write(t, cfg, fmt.Sprintf(`global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:%d %s
  default_backend b
backend b
  server s %s %s
`, port, bind, origin, server))
	return start(t, port, path, "-db", "-q", "-f", cfg)
}

// Nginx starts nginx with the given servers and upstreams; $PORT in them is
// where it is to listen.
func Nginx(t testing.TB, http string) *Program {
	path, port := Need(t, "nginx"), freePort(t)
	dir := t.TempDir()
	cfg := filepath.Join(dir, "nginx.conf")
	http = strings.ReplaceAll(http, "$PORT", fmt.Sprint(port))
	Write(t, cfg, SameUser()+fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`, dir, http))
	return start(t, port, path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", cfg)
}

// SameUser is a line of nginx's configuration that keeps the workers of a
// root's nginx from being somebody else, who may not enter a test's directories.
func SameUser() string {
	if os.Getuid() == 0 {
		return "user root; "
	}
	return ""
}

// start starts a program that listens on a port.
func start(t testing.TB, port int, path string, args ...string) *Program {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	if err := StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	p := &Program{Addr: fmt.Sprintf("127.0.0.1:%d", port), PID: cmd.Process.Pid, Stop: sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})}
	t.Cleanup(p.Stop)
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", p.Addr)
		if err == nil {
			c.Close()
			return p
		}
		if time.Now().After(limit) {
			t.Fatalf("%s does not listen on %s: %v", path, p.Addr, err)
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Write writes a file.
func Write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
