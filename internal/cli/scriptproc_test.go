package cli_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// await waits until a file exists and has at least so many bytes: await r/x 100
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE BYTES")
	}
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if info, err := os.Stat(ts.MkAbs(args[0])); err == nil && info.Size() >= want {
			return
		}
	}
	ts.Fatalf("%s did not reach %d bytes within two minutes", args[0], want)
}

// killK6 kills the k6 process that this script's run started: kill-k6
func killK6(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: kill-k6")
	}
	for pid, env := range processes() {
		if strings.Contains(env, "HOPLAB_LOAD="+ts.Getenv("WORK")) {
			ts.Check(syscall.Kill(pid, syscall.SIGKILL))
			return
		}
	}
	ts.Fatalf("no k6 of this script runs")
}

// alone fails when a process that this script started is still there: alone
func alone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: alone")
	}
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		left = nil
		for pid, env := range processes() {
			if strings.Contains(env, "WORK="+ts.Getenv("WORK")+"\x00") || strings.Contains(env, "="+ts.Getenv("WORK")+"/") {
				line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
				left = append(left, strconv.Itoa(pid)+": "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
			}
		}
		if len(left) == 0 {
			return
		}
	}
	ts.Fatalf("still running:\n%s", strings.Join(left, "\n"))
}

// hold takes TCP ports of 127.0.0.1 and of all addresses until the script ends,
// where nobody has them already: hold 6565 8080
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hold PORT...")
	}
	for _, port := range args {
		for _, host := range []string{"127.0.0.1", ""} {
			l, err := net.Listen("tcp", net.JoinHostPort(host, port))
			if err == nil {
				ts.Defer(func() { l.Close() })
			}
		}
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			ts.Fatalf("port %s is not taken: %v", port, err)
		}
		c.Close()
	}
}

// endAll ends what a script that failed on its way has left running, such as a
// lab beside the shell.
func endAll(work string) {
	for pid, env := range processes() {
		if strings.Contains(env, "\x00WORK="+work+"\x00") {
			_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended meanwhile
		}
	}
}

// processes maps the other processes of this user to their environments. It
// needs /proc; elsewhere it is empty.
func processes() map[int]string {
	out := map[int]string{}
	if runtime.GOOS != "linux" {
		return out
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, err := strconv.Atoi(filepath.Base(d))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if env, err := os.ReadFile(filepath.Join(d, "environ")); err == nil && len(env) > 0 {
			out[pid] = "\x00" + string(env)
		}
	}
	return out
}
