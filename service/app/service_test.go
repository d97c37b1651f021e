package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// logSink is the service's standard output: it announces the address and keeps the lines.
type logSink struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	ready chan string
	once  sync.Once
}

func (s *logSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Write(p)
	if line, _, ok := strings.Cut(s.buf.String(), "\n"); ok {
		var first struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &first) == nil && first.Msg == "listening" {
			s.once.Do(func() { s.ready <- first.Address })
		}
	}
	return len(p), nil
}

func (s *logSink) lines(t *testing.T, msg string) []map[string]any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []map[string]any
	for line := range strings.SplitSeq(strings.TrimSpace(s.buf.String()), "\n") {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if m["msg"] == msg {
			found = append(found, m)
		}
	}
	return found
}

// start runs the service with the given environment and returns its URL, its
// log, and a function that stops it as SIGTERM does and returns its exit code.
func start(t *testing.T, env map[string]string) (base string, log *logSink, stop func() int) {
	t.Helper()
	all := map[string]string{"PORT": "0", "LISTEN_ADDRESS": "127.0.0.1", "INSTANCE": "test-1"}
	for k, v := range env {
		all[k] = v
	}
	log = &logSink{ready: make(chan string, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	exit := make(chan int, 1)
	go func() { exit <- Run(ctx, nil, func(k string) string { return all[k] }, log, os.Stderr) }()
	var once sync.Once
	var code int
	stop = func() int {
		once.Do(func() {
			cancel()
			select {
			case code = <-exit:
			case <-time.After(20 * time.Second):
				code = -1
			}
		})
		return code
	}
	t.Cleanup(func() { stop() })
	select {
	case addr := <-log.ready:
		return "http://" + addr, log, stop
	case code := <-exit:
		t.Fatalf("the service ended with %d before it listened", code)
	case <-time.After(10 * time.Second):
		t.Fatal("the service did not listen in 10 s")
	}
	return "", nil, nil
}

func fetch(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestRoutes(t *testing.T) {
	base, _, _ := start(t, nil)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, "Hello World"},
		{"/healthz", 200, "alive\n"},
		{"/readyz", 200, `{"status":"ready"}` + "\n"},
		{"/api/v1/health_check", 200, `{"status":"ok"}` + "\n"},
		{"/other", 404, "404 page not found\n"},
	} {
		resp, body := fetch(t, base+c.path)
		if resp.StatusCode != c.status || body != c.body {
			t.Errorf("GET %s: %d %q, want %d %q", c.path, resp.StatusCode, body, c.status, c.body)
		}
		if peer, app := resp.Header.Get("X-Hoplab-Peer"), resp.Header.Get("X-Hoplab-App"); peer != "127.0.0.1" || app != "test-1" {
			t.Errorf("GET %s: evidence peer %q, app %q; want 127.0.0.1 and test-1", c.path, peer, app)
		}
	}
}

// The probe of a load balancer leaves the line that the article shows.
// Bytes and numbers stay right on a connection that carries several requests.
func TestReadyNamesTheFailingDependency(t *testing.T) {
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	deadAddr := gone.Addr().String()
	gone.Close()
	sick, _, _ := start(t, map[string]string{"STATUS": "500"})
	sock := filepath.Join(t.TempDir(), "app.sock")
	unix, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()

	ok := []string{"tcp://" + up.Addr().String(), "unix://" + sock, sick + "/healthz"}
	base, _, _ := start(t, map[string]string{"DEPENDENCIES": strings.Join(ok, ", ")})
	if resp, body := fetch(t, base+"/readyz"); resp.StatusCode != 200 {
		t.Errorf("all dependencies answer, and /readyz says %d %s", resp.StatusCode, body)
	}
	bad := append(ok, "tcp://"+deadAddr, sick+"/", "unix://"+sock+".not")
	base, _, _ = start(t, map[string]string{"DEPENDENCIES": strings.Join(bad, ",")})
	resp, body := fetch(t, base+"/readyz")
	var answer struct {
		Status  string
		Failing []dependencyError
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != 503 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	var names []string
	for _, f := range answer.Failing {
		names = append(names, f.Dependency)
		if f.Error == "" {
			t.Errorf("%s fails without a reason", f.Dependency)
		}
	}
	if !reflect.DeepEqual(names, bad[3:]) {
		t.Errorf("failing: %v, want %v", names, bad[3:])
	}
	if resp, _ := fetch(t, base+"/healthz"); resp.StatusCode != 200 {
		t.Errorf("/healthz says %d, but the process lives", resp.StatusCode)
	}
}

func TestStopWaitsForOpenRequests(t *testing.T) {
	dependency, asked := slowDependency(t, 300*time.Millisecond)
	base, log, stop := start(t, map[string]string{"DEPENDENCIES": dependency})
	got := make(chan int, 1)
	go func() {
		resp, err := http.Get(base + "/readyz")
		if err != nil {
			got <- 0
			return
		}
		resp.Body.Close()
		got <- resp.StatusCode
	}()
	<-asked
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if status := <-got; status != 200 {
		t.Errorf("the open request got status %d", status)
	}
	if a, s := log.lines(t, "access"), log.lines(t, "stopped"); len(a) != 1 || len(s) != 1 {
		t.Errorf("%d access lines and %d that say stopped, want 1 each", len(a), len(s))
	}
}

// slowDependency is a dependency that takes its time. The channel tells when
// it is asked, and with it that the service has a request for /readyz in hand.
func slowDependency(t *testing.T, wait time.Duration) (url string, asked <-chan struct{}) {
	t.Helper()
	ch := make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ch <- struct{}{}
		sleep(r.Context(), wait)
	}))
	t.Cleanup(s.Close)
	return s.URL, ch
}

func TestStopGivesUpInTime(t *testing.T) {
	dependency, asked := slowDependency(t, time.Minute)
	base, _, stop := start(t, map[string]string{"DEPENDENCIES": dependency, "SERVICE_STOP": "100ms"})
	go func() {
		if resp, err := http.Get(base + "/readyz"); err == nil {
			resp.Body.Close()
		}
	}()
	<-asked
	begin := time.Now()
	code := stop()
	if took := time.Since(begin); code != 1 || took > 10*time.Second {
		t.Errorf("exit code %d after %v; want 1 after 100 ms", code, took)
	}
}

func TestHooks(t *testing.T) {
	base, log, stop := start(t, map[string]string{"HELLO": "Guten Tag", "STATUS": "418", "SPIN": "300us", "DELAY": "/healthz=30ms"})
	resp, body := fetch(t, base+"/")
	if resp.StatusCode != 418 || body != "Guten Tag" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if us, err := strconv.ParseFloat(resp.Header.Get("X-Hoplab-Spin-Us"), 64); err != nil || us < 300 || us > 300_000 {
		t.Errorf("spun %q µs, want at least 300", resp.Header.Get("X-Hoplab-Spin-Us"))
	}
	begin := time.Now()
	resp, _ = fetch(t, base+"/healthz")
	if took := time.Since(begin); took < 30*time.Millisecond {
		t.Errorf("/healthz answered after %v, want 30 ms", took)
	}
	if resp.Header.Get("X-Hoplab-Spin-Us") != "" {
		t.Error("/healthz says it spun")
	}
	stop()
	if n := len(log.lines(t, "access")); n != 2 {
		t.Errorf("%d access lines, want 2", n)
	}
}

// TestBodies: a request may bring a body, and the response's has the size that
// BODY_BYTES says.
func TestBodies(t *testing.T) {
	base, log, stop := start(t, map[string]string{"BODY_BYTES": "20000", "HELLO": "abc"})
	resp, err := http.Post(base+"/", "text/plain", strings.NewReader(strings.Repeat("x", 5000)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != 20000 || string(body) != strings.Repeat("abc", 7000)[:20000] {
		t.Errorf("%d, %d bytes, %.20q: %v", resp.StatusCode, len(body), body, err)
	}
	stop()
	lines := log.lines(t, "access")
	if len(lines) != 1 || lines[0]["request_length"].(float64) < 5000 || lines[0]["body_bytes_sent"] != 20000.0 {
		t.Errorf("access lines %v", lines)
	}
}

func TestSpinShare(t *testing.T) {
	base, _, _ := start(t, map[string]string{"SPIN": "1us@0.25", "ACCESS_LOG": "off"})
	spun := 0
	for range 400 {
		if resp, _ := fetch(t, base+"/"); resp.Header.Get("X-Hoplab-Spin-Us") != "0.0" {
			spun++
		}
	}
	if spun < 50 || spun > 160 { // 100 ± 7 standard deviations
		t.Errorf("%d of 400 requests spun, want about 100", spun)
	}
}

func TestConfigErrorsNameTheVariable(t *testing.T) {
	for name, bad := range map[string]string{
		"PORT": "http", "IDLE_TIMEOUT": "75", "SERVICE_STOP": "-1s", "ACCESS_LOG": "maybe", "STATUS": "99", "BODY_BYTES": "-1",
		"DELAY": "x=1s", "SPIN": "1ms@2", "DEPENDENCIES": "redis://h", "PROXY_TO": "https://a", "PROXY_ANSWERS": "/x", "INSTANCE": "a\nb",
	} {
		var stderr bytes.Buffer
		code := Run(t.Context(), nil, func(k string) string {
			if k == name {
				return bad
			}
			return ""
		}, io.Discard, &stderr)
		if code != 2 || !strings.Contains(stderr.String(), name) {
			t.Errorf("%s=%q: exit code %d, %s", name, bad, code, stderr.String())
		}
	}
}

func TestPortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	env := map[string]string{"PORT": port, "LISTEN_ADDRESS": "127.0.0.1"}
	var stderr bytes.Buffer
	if code := Run(t.Context(), nil, func(k string) string { return env[k] }, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), port) {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}

func TestListensOnAllAddressesByDefault(t *testing.T) {
	base, _, _ := start(t, map[string]string{"LISTEN_ADDRESS": ""})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	resp, _ := fetch(t, "http://127.0.0.1:"+port+"/")
	if peer := resp.Header.Get("X-Hoplab-Peer"); peer != "127.0.0.1" {
		t.Errorf("peer %q, want the plain IPv4 address", peer)
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false) // as a process that was killed leaves it
	old.Close()
	base, log, stop := start(t, map[string]string{"SOCKET": path})
	fetch(t, base+"/")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	resp, err := client.Get("http://app/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "Hello World" {
		t.Errorf("%q, %v", body, err)
	}
	client.CloseIdleConnections()
	stop()
	if lines := log.lines(t, "access"); len(lines) != 2 || lines[0]["connection"] == lines[1]["connection"] {
		t.Errorf("access log %v, want two lines on two connections", lines)
	}
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PORT": "0", "LISTEN_ADDRESS": "127.0.0.1", "SOCKET": file}
	if code := Run(t.Context(), nil, func(k string) string { return env[k] }, io.Discard, io.Discard); code != 1 {
		t.Errorf("a file in the socket's place: exit code %d", code)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "data" {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
}

// The proxy's own path keeps saying 200 when the app behind it is gone.
func TestProxy(t *testing.T) {
	app, appLog, stopApp := start(t, map[string]string{"INSTANCE": "behind"})
	base, log, stop := start(t, map[string]string{"PROXY_TO": app, "PROXY_ANSWERS": "/proxyz", "INSTANCE": "front"})
	resp, body := fetch(t, base+"/")
	if resp.StatusCode != 200 || body != "Hello World" || !reflect.DeepEqual(resp.Header.Values("X-Hoplab-App"), []string{"front"}) {
		t.Errorf("%d %q from %v", resp.StatusCode, body, resp.Header)
	}
	if resp, _ := fetch(t, base+"/healthz"); resp.StatusCode != 200 {
		t.Errorf("/healthz through the proxy: %d", resp.StatusCode)
	}
	stopApp()
	if l := appLog.lines(t, "access"); len(l) != 2 || l[0]["x_forwarded_for"] != "127.0.0.1" {
		t.Errorf("the app's log: %v", l)
	}
	if resp, _ := fetch(t, base+"/"); resp.StatusCode != 502 {
		t.Errorf("without the app: %d, want 502", resp.StatusCode)
	}
	if resp, _ := fetch(t, base+"/proxyz"); resp.StatusCode != 200 {
		t.Errorf("/proxyz without the app: %d; this check is expected to lie", resp.StatusCode)
	}
	stop()
	if l := log.lines(t, "the app behind the proxy does not answer"); len(l) != 1 {
		t.Errorf("%d warnings, want 1", len(l))
	}
}

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
