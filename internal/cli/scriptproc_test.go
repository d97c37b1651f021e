package cli_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
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

// endsWithin runs hoplab, sends it one signal once a file is there, and fails when
// it does not end within 2 s of that, or ends with another exit code:
// ends-within INT FILE 5 hoplab lab up x.json
func endsWithin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: ends-within SIGNAL FILE CODE command [args...]")
	}
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[0]]
	var out bytes.Buffer
	cmd := exec.Command(args[3], args[4:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), &out, &out
	path, err := exec.LookPath(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], args[3]))
	ts.Check(err)
	cmd.Path, cmd.Err = path, nil
	cmd.Env = environment(ts)
	cmd.WaitDelay = time.Second
	ts.Check(cmd.Start())
	await(ts, false, []string{args[1], "0"})
	time.Sleep(800 * time.Millisecond) // the program has come to its wait: a FIFO shows nobody who opens it
	ts.Check(cmd.Process.Signal(sig))
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
		cmd.Process.Kill()
		<-ended
		ts.Fatalf("%s did not end within 2 s of a signal\n%s", strings.Join(args[3:], " "), &out)
	}
	ts.Logf("%s", &out)
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[2] {
		ts.Fatalf("exit code %s; want %s\n%s", got, args[2], &out)
	}
	if !strings.Contains(out.String(), "interrupted") {
		ts.Fatalf("it does not say that it was interrupted:\n%s", &out)
	}
}

// environment is the script's, for a program that it starts by itself.
func environment(ts *testscript.TestScript) []string {
	var env []string
	for _, k := range []string{"WORK", "PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOPLAB_REPO",
		"GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOSUMDB"} {
		if v := ts.Getenv(k); v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// signalLab sends a signal to the process that owns this script's lab.
func signalLab(sig syscall.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, _ []string) {
		for pid, env := range processes() {
			line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
			if strings.Contains(env, "\x00WORK="+ts.Getenv("WORK")+"\x00") && bytes.Contains(line, []byte("\x00lab\x00serve\x00")) {
				ts.Check(syscall.Kill(pid, sig))
				return
			}
		}
		ts.Fatalf("no lab of this script runs")
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
