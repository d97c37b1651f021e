//go:build linux

package k6

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	hop "github.com/hoplab/hoplab/loadtest/samplefile"
)

// When hoplab itself is killed, the kernel must take k6 with it.
func TestK6DiesWithItsParent(t *testing.T) {
	if url := os.Getenv("HOPLAB_TEST_PARENT_OF_K6"); url != "" {
		parentOfK6(url)
		return
	}
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	parent := exec.Command(os.Args[0], "-test.run=^TestK6DiesWithItsParent$")
	parent.Env = append(os.Environ(), "HOPLAB_TEST_PARENT_OF_K6="+s.URL, "HOPLAB_TEST_K6="+k6.Path, "HOPLAB_TEST_DIR="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the parent did not start k6: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "k6 "))
	if err != nil {
		t.Fatalf("the parent says %q", line)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for range 200 {
		if gone(pid) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("k6, process %d, outlived its parent by 5 s", pid)
}

func parentOfK6(url string) {
	l := load(url, url)
	l.DurationS = 600
	o := Options{Dir: os.Getenv("HOPLAB_TEST_DIR"), Started: func(pid int) { fmt.Println("k6", pid) }}
	_, err := Run(context.Background(), Binary{Path: os.Getenv("HOPLAB_TEST_K6")}, l, o)
	fmt.Println("ended:", err)
}

// gone reports whether a process has ended, be it still unreaped.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// Over TLS both clients connect to the address and verify the name.
func TestRunOverTLS(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Hoplab-App", r.Host)
		_, _ = io.WriteString(w, "Hello World")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are wanted
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{hop.ClientNative, hop.ClientHTTP} {
		for _, name := range []string{"example.com", "wrong.test"} {
			l := load(s.URL, s.URL)
			l.Arms = l.Arms[:1]
			l.Arms[0].URL, l.Arms[0].Dial = "https://"+name+"/", s.Listener.Addr().String()
			l.Client, l.RatePerS, l.WarmupS, l.DurationS = client, 20, 0, 1
			runDir := filepath.Join(dir, client+name)
			if err := os.Mkdir(runDir, 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := Run(t.Context(), k6, l, Options{Dir: runDir, Env: []string{"SSL_CERT_FILE=" + ca}})
			if err != nil {
				t.Fatalf("%s, %s: %v", client, name, err)
			}
			recs, _ := readAll(t, out.Samples)
			for _, r := range recs {
				if ok := r.Outcome.Status == 200 && r.Outcome.Via == name; ok != (name == "example.com") {
					t.Fatalf("%s, %s: %+v", client, name, r.Outcome)
				}
			}
			if len(recs) != 20 {
				t.Errorf("%s, %s: %d records", client, name, len(recs))
			}
		}
	}
}
