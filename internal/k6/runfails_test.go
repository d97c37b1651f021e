package k6

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	hop "github.com/hoplab/hoplab/loadtest/samplefile"
)

// Failures are outcomes with a name, on both clients.
func TestRunNamesFailures(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	gone := server(t, false, 0)
	gone.Close()
	reset, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer reset.Close()
	go func() {
		for {
			c, err := reset.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = c.Read(make([]byte, 1<<10))
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}()
		}
	}()
	slow := server(t, false, time.Minute)
	for _, client := range []string{hop.ClientNative, hop.ClientHTTP} {
		l := load(gone.URL, "http://"+reset.Addr().String())
		l.Arms = append(l.Arms,
			hop.LoadArm{Name: "slow", URL: slow.URL, Weight: 1},
			hop.LoadArm{Name: "nameless", URL: "http://no-such-host.invalid/", Weight: 1})
		l.Client, l.TimeoutS, l.RatePerS, l.VUs = client, 0.5, 40, 40
		out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		recs, _ := readAll(t, out.Samples)
		for _, r := range recs {
			want := []string{"refused", "reset", "timeout", "dns"}[r.Arm]
			if r.Outcome.Error != want || r.Outcome.Status != 0 {
				t.Fatalf("%s, arm %s: outcome %+v, want %s", client, l.Arms[r.Arm].Name, r.Outcome, want)
			}
			if r.Arm == 2 && (r.Latency < 400*time.Millisecond || r.Latency > 5*time.Second) {
				t.Errorf("%s: the timeout of 0.5 s took %v", client, r.Latency)
			}
		}
		if len(recs) != 80 {
			t.Errorf("%s: %d records, want 80; a failed request is a request", client, len(recs))
		}
	}
}

func TestInterruptKeepsWhatWasRecorded(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	l := load(s.URL, s.URL)
	l.DurationS = 60
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var served atomic.Int64
	s.Config.Handler = counting(s.Config.Handler, func() {
		if served.Add(1) == 100 {
			cancel()
		}
	})
	out, err := Run(ctx, k6, l, Options{Dir: t.TempDir()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if !out.Complete || !out.Trailer.Interrupted || out.Records < 90 || out.Records > 1000 || out.Wall > 30*time.Second {
		t.Errorf("outcome %+v; want about 100 records and a trailer that says interrupted", out)
	}
}

func counting(h http.Handler, f func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(); h.ServeHTTP(w, r) })
}

func TestKilledK6IsNamed(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	l := load(s.URL, s.URL)
	l.DurationS = 60
	pid := make(chan int, 1)
	var served atomic.Int64
	s.Config.Handler = counting(s.Config.Handler, func() {
		if served.Add(1) == 400 { // two seconds, so that a block was written
			_ = syscall.Kill(<-pid, syscall.SIGKILL)
		}
	})
	out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir(), Started: func(p int) { pid <- p }})
	if fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), "k6 died: signal: killed") || fail.HintOf(err) == "" {
		t.Errorf("error %v, hint %q", err, fail.HintOf(err))
	}
	if out.Complete || out.Records < 100 || out.Exit != -1 {
		t.Errorf("outcome %+v; want the partial file's records", out)
	}
}

func TestRunFailsClearly(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	dir := t.TempDir()
	l := load(s.URL, s.URL)
	l.Out = filepath.Join(dir, "taken.hop")
	if err := os.WriteFile(l.Out, []byte("earlier samples"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), k6, l, Options{Dir: dir})
	if fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), "taken.hop exists") {
		t.Errorf("existing file: %v", err)
	}
	if data, err := os.ReadFile(l.Out); err != nil || string(data) != "earlier samples" {
		t.Errorf("the existing file was touched: %q, %v", data, err)
	}
	l.Out = filepath.Join(dir, "no", "such", "folder.hop")
	if _, err = Run(t.Context(), k6, l, Options{Dir: dir}); fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("missing folder: %v", err)
	}
	if _, err = Run(t.Context(), k6, l, Options{Dir: filepath.Join(dir, "none")}); fail.CodeOf(err) != fail.Environment {
		t.Errorf("missing directory: %v", err)
	}
	l.VUs = 0
	if _, err = Run(t.Context(), k6, l, Options{Dir: dir}); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "vus") {
		t.Errorf("impossible load: %v", err)
	}
	l = load(s.URL, s.URL)
	if _, err = Run(t.Context(), Binary{Path: filepath.Join(dir, "k6")}, l, Options{Dir: dir}); fail.CodeOf(err) != fail.Environment || !strings.Contains(err.Error(), "could not be started") {
		t.Errorf("no binary: %v", err)
	}
}
