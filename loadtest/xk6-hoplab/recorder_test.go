package hoplab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	k6http "go.k6.io/k6/js/modules/k6/http"
	"go.k6.io/k6/lib/netext/httpext"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

func testLoad() samplefile.Load {
	return samplefile.Load{
		Schema: samplefile.LoadSchema, Seed: 3, Replicate: 1, Design: samplefile.DesignRandom,
		Arms:     []samplefile.LoadArm{{Name: "a", URL: "http://a.test/", Weight: 1}, {Name: "b", URL: "http://b.test/", Weight: 1}},
		RatePerS: 100, DurationS: 1, WindowS: 1, TimeoutS: 1, Client: samplefile.ClientNative, Generators: 1, VUs: 1,
	}
}

// recording returns a recorder whose load has begun, and the file's path.
func recording(t *testing.T, load samplefile.Load) (*recorder, *started, string) {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(load)
	if err != nil {
		t.Fatal(err)
	}
	loadPath, path := filepath.Join(dir, "load.json"), filepath.Join(dir, "s.hop")
	if err := os.WriteFile(loadPath, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	if _, err := r.configure(func(string) (string, bool) { return loadPath, true }); err != nil {
		t.Fatal(err)
	}
	if err := r.open(path); err != nil {
		t.Fatal(err)
	}
	s, err := r.begin(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r, s, path
}

func count(t *testing.T, path string) (map[samplefile.Outcome]int, samplefile.Trailer) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := samplefile.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n := map[samplefile.Outcome]int{}
	var rec samplefile.Record
	for err = r.Next(&rec); err == nil; err = r.Next(&rec) {
		n[rec.Outcome]++
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return n, r.Trailer()
}

func TestConfigureSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "load.json")
	if err := os.WriteFile(broken, []byte(`{"schema":"hoplab/load/v1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "HOPLAB_LOAD is not set", filepath.Join(dir, "none"): "no such file",
		broken: "arms is empty"} {
		_, err := newRecorder().configure(func(string) (string, bool) { return path, path != "" })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
	if _, err := newRecorder().begin(time.Now()); err == nil || !strings.Contains(err.Error(), "--out hoplab=FILE") {
		t.Errorf("without an output: %v", err)
	}
}

// Users that begin together agree on one start and one header.
func TestBeginOnce(t *testing.T) {
	r, first, path := recording(t, testLoad())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			s, err := r.begin(time.Now().Add(time.Hour))
			if err != nil || s != first {
				t.Errorf("user %d got another start: %v", i, err)
			}
			if err := r.write(s, samplefile.Record{Iteration: int64(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := r.close(false); err != nil {
		t.Fatal(err)
	}
	if n, _ := count(t, path); n[samplefile.Outcome{}] != 16 {
		t.Errorf("%v", n)
	}
}

// Drops beyond the plan are none: the scenario outlives its plan a little.
func TestDropsAreCountedAgainstThePlan(t *testing.T) {
	r, s, path := recording(t, testLoad()) // 100 iterations
	for i := range int64(70) {
		if err := r.write(s, samplefile.Record{Iteration: i}); err != nil {
			t.Fatal(err)
		}
	}
	r.aborted.Add(5)
	r.dropped.Add(80)
	if err := r.close(true); err != nil {
		t.Fatal(err)
	}
	_, tr := count(t, path)
	if tr.Records != 70 || tr.Aborted != 5 || tr.Dropped != 25 || !tr.Interrupted {
		t.Errorf("%+v, want 70 records, 5 aborted and the other 25 dropped", tr)
	}
}

// A server cannot fill the file's table with ever new error texts.
func TestOtherErrorsAreBounded(t *testing.T) {
	r, s, path := recording(t, testLoad())
	const texts = 3 * maxOtherErrors
	for i := range texts {
		o := samplefile.Outcome{Error: fmt.Sprintf("other: malformed status %d", i)}
		if err := r.write(s, samplefile.Record{Iteration: int64(i), Outcome: o}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.close(false); err != nil {
		t.Fatal(err)
	}
	n, _ := count(t, path)
	if len(n) != maxOtherErrors+1 || n[samplefile.Outcome{Error: "other: (more kinds of errors)"}] != texts-maxOtherErrors {
		t.Errorf("%d kinds of outcomes", len(n))
	}
}

// When the file cannot be written, the run stops and says so.
func TestWriteErrorStopsTheRun(t *testing.T) {
	r, s, _ := recording(t, testLoad())
	var stopped error
	r.stop = func(err error) { stopped = err }
	if err := r.file.Close(); err != nil { // as bad as a full disk
		t.Fatal(err)
	}
	for i := range int64(100_000) {
		if r.write(s, samplefile.Record{Iteration: i}) != nil {
			break
		}
	}
	if !errors.Is(stopped, os.ErrClosed) {
		t.Errorf("the run was stopped with %v", stopped)
	}
	if err := r.close(false); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

func TestNothingSentIsStillAFile(t *testing.T) {
	dir := t.TempDir()
	text, err := json.Marshal(testLoad())
	if err != nil {
		t.Fatal(err)
	}
	loadPath, path := filepath.Join(dir, "load.json"), filepath.Join(dir, "s.hop")
	if err := os.WriteFile(loadPath, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	if _, err := r.configure(func(string) (string, bool) { return loadPath, true }); err != nil {
		t.Fatal(err)
	}
	if err := r.open(path); err != nil {
		t.Fatal(err)
	}
	if err := r.close(true); err != nil {
		t.Fatal(err)
	}
	if n, tr := count(t, path); len(n) != 0 || !tr.Interrupted {
		t.Errorf("%v, %+v", n, tr)
	}
}

func TestOutcomeOfK6(t *testing.T) {
	res := func(change func(*httpext.Response)) *k6http.Response {
		r := httpext.NewResponse()
		r.Status, r.StatusText, r.Proto, r.RemoteIP = 200, "200 OK", "HTTP/1.1", "10.0.0.1"
		r.Headers = map[string]string{"Server": "envoy", "X-Envoy-Upstream-Service-Time": "4", "Content-Length": "11",
			"X-Hoplab-Peer": "127.0.0.1"}
		change(r)
		return &k6http.Response{Response: r}
	}
	head := len("HTTP/1.1 200 OK\r\nServer: envoy\r\nX-Envoy-Upstream-Service-Time: 4\r\nContent-Length: 11\r\nX-Hoplab-Peer: 127.0.0.1\r\n\r\n")
	ok := samplefile.Outcome{Status: 200, AgentHeaders: 1, Peer: "127.0.0.1", HeaderBytes: head, BodyBytes: 11, ServiceMs: 4, Reused: true}
	for _, c := range []struct {
		name   string
		change func(*httpext.Response)
		want   samplefile.Outcome
	}{
		{"kept connection", func(*httpext.Response) {}, ok},
		{"new connection", func(r *httpext.Response) { r.Timings.Connecting = 0.2 },
			func() samplefile.Outcome { o := ok; o.Reused = false; return o }()},
		{"status 504", func(r *httpext.Response) {
			r.Status, r.StatusText, r.ErrorCode, r.Error = 504, "504 Gateway Timeout", 1504, ""
		},
			func() samplefile.Outcome {
				o := ok
				o.Status, o.HeaderBytes = 504, head+len("504 Gateway Timeout")-len("200 OK")
				return o
			}()},
		{"refused", func(r *httpext.Response) { *r = httpext.Response{ErrorCode: 1212, Error: "dial: connection refused"} },
			samplefile.Outcome{Error: "refused", ServiceMs: -1}},
		{"timeout", func(r *httpext.Response) { *r = httpext.Response{ErrorCode: 1050, Error: "request timeout"} },
			samplefile.Outcome{Error: "timeout", ServiceMs: -1}},
		{"end", func(r *httpext.Response) { *r = httpext.Response{ErrorCode: 1000, Error: "EOF"} },
			samplefile.Outcome{Error: "eof", ServiceMs: -1}},
	} {
		if got := k6Outcome(res(c.change), &samplefile.Load{}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
