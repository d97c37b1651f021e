package app

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func checkCode(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var stderr bytes.Buffer
	code := Run(t.Context(), args, func(string) string { return "" }, io.Discard, &stderr)
	return code, stderr.String()
}

func TestHealthcheckFlag(t *testing.T) {
	base, _, stop := start(t, map[string]string{"STATUS": "503"})
	if code, out := checkCode(t, "-healthcheck", base+"/healthz"); code != 0 {
		t.Errorf("alive, and the check says %d %s", code, out)
	}
	if code, out := checkCode(t, "-healthcheck", base+"/"); code != 1 || !strings.Contains(out, "503") {
		t.Errorf("503, and the check says %d %s", code, out)
	}
	stop()
	if code, _ := checkCode(t, "-healthcheck", base+"/healthz"); code != 1 {
		t.Errorf("stopped, and the check says %d", code)
	}
}

// The article's third pattern: all conditions must hold.
func TestChecksCombine(t *testing.T) {
	base, _, _ := start(t, nil)
	dir := t.TempDir()
	sock, file := filepath.Join(dir, "app.sock"), filepath.Join(dir, "file")
	ln, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		socket string
		code   int
		want   string
	}{{sock, 0, ""}, {file, 1, "not a socket"}, {file + ".not", 1, "no such file"}} {
		code, out := checkCode(t, "-healthcheck", base+"/healthz", "-check-socket", c.socket)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.socket, code, out, c.code, c.want)
		}
	}
}

// A socket file whose process has died still passes: that is what the check can see.
func TestSocketCheckLiesAboutADeadProcess(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "app.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: sock, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	if code, out := checkCode(t, "-check-socket", sock); code != 0 {
		t.Errorf("%d %s", code, out)
	}
	if _, err := net.Dial("unix", sock); err == nil {
		t.Error("the dead socket answers")
	}
}

func TestFindProcess(t *testing.T) {
	proc := t.TempDir()
	add := func(pid, cmdline, stat string) {
		dir := filepath.Join(proc, pid)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"cmdline": cmdline, "stat": stat} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("10", "/usr/sbin/nginx\x00-g\x00daemon off;\x00", "10 (nginx) S 1")
	add("11", "vim\x00/etc/puma\x00", "11 (vim) S 1")
	add("12", "/bin/gone\x00", "12 (go) ne) Z 1")
	add("13", "", "13 (kworker) S 1")
	add("self", "/bin/alias\x00", "")
	for name, want := range map[string]bool{"nginx": true, "vim": true, "puma": false, "gone": false, "kworker": false,
		"alias": false, "ngin": false} {
		if err := findProcess(proc, name); (err == nil) != want {
			t.Errorf("%s: %v, want found %v", name, err, want)
		}
	}
}

func TestCheckUsage(t *testing.T) {
	if code, out := checkCode(t, "start"); code != 2 || !strings.Contains(out, "start") {
		t.Errorf("%d %s", code, out)
	}
	if code, _ := checkCode(t, "-nope"); code != 2 {
		t.Errorf("%d", code)
	}
}
