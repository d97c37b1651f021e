package trial

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// haproxy starts HAProxy in front of an origin, with connections to it kept
// and shared, and returns where it listens and its process.
func haproxy(t testing.TB, origin string) (addr string, pid int) {
	return haproxyWith(t, "", origin)
}

// haproxyWith adds options to the bind and server lines.
func haproxyWith(t testing.TB, bind, server string) (addr string, pid int) {
	path, port := need(t, "haproxy"), freePort(t)
	cfg := filepath.Join(t.TempDir(), "haproxy.cfg")
	write(t, cfg, fmt.Sprintf(`global
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
  server s %s
`, port, bind, server))
	return program(t, port, path, "-db", "-q", "-f", cfg)
}

// nginx starts nginx with the given servers and upstreams; $PORT in them is
// where it is to listen.
func nginx(t testing.TB, http string) (addr string, pid int) {
	path, port := need(t, "nginx"), freePort(t)
	dir := t.TempDir()
	cfg := filepath.Join(dir, "nginx.conf")
	http = strings.ReplaceAll(http, "$PORT", fmt.Sprint(port))
	write(t, cfg, sameUser()+fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`, dir, http))
	return program(t, port, path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", cfg)
}

// sameUser keeps the workers of a root's nginx from being somebody else, who
// may not enter a test's directories.
func sameUser() string {
	if os.Getuid() == 0 {
		return "user root; "
	}
	return ""
}

func nginxProxy(origin string) string {
	return fmt.Sprintf(`upstream o { server %s; keepalive 256; keepalive_requests 100000000; }
  server { listen 127.0.0.1:$PORT; location / {
    proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $http_host; } }`, origin)
}

// program starts a program that listens on a port and ends with the test.
func program(t testing.TB, port int, path string, args ...string) (addr string, pid int) {
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return addr, cmd.Process.Pid
		}
		if time.Now().After(limit) {
			t.Fatalf("%s does not listen on %s: %v", path, addr, err)
		}
	}
}

// ourselves starts this test binary as another program, which says in its
// first line where it listens and ends with its input.
func ourselves(t testing.TB, args ...string) (addr string, pid int) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = dieWithParent()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	addr, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v did not start: %v", args, err)
	}
	return strings.TrimSpace(addr), cmd.Process.Pid
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func write(t testing.TB, path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
