package agent

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRequestHead(t *testing.T) {
	seen := make(chan string, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		seen <- string(buf[:n])
		io.WriteString(c, "HTTP/1.1 200 Fine\r\nServer: Express\r\nDate: Tue, 01 Dec 2026 00:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")
	}()
	w := newTestNetwork()
	w.view.Local[80] = netip.MustParseAddrPort(l.Addr().String())
	_, b := w.start(t, Config{Ingress: []Ingress{{Protocol: HTTP, App: 80, Timeouts: DefaultTimeouts(HTTP)}}})
	c, err := net.Dial("tcp", b.Ingress[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /a?b HTTP/1.1\r\nX-Forwarded-For: 10.0.0.9\r\nHost: Gelbo-80\r\nKeep-Alive: 3\r\nConnection: keep-alive\r\nAccept: */*\r\nX-Request-Id: mine\r\n\r\n")
	want := "GET /a?b HTTP/1.1\r\nhost: Gelbo-80\r\nx-forwarded-for: 10.0.0.9\r\naccept: */*\r\nx-request-id: mine\r\nx-forwarded-proto: http\r\nx-envoy-expected-rq-timeout-ms: 15000\r\n\r\n"
	if got := <-seen; got != want {
		t.Errorf("the app got\n%q, want\n%q", got, want)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	want = "HTTP/1.1 200 OK\r\nserver: envoy\r\ndate: Tue, 01 Dec 2026 00:00:00 GMT\r\ncontent-length: 2\r\nx-envoy-upstream-service-time: N\r\n\r\nok"
	if got := regexp.MustCompile(`time: \d+`).ReplaceAllString(string(buf[:n]), "time: N"); got != want {
		t.Errorf("the client got\n%q, want\n%q", got, want)
	}
}

func TestUUID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := string(appendUUID(nil))
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || seen[id] {
			t.Fatalf("%q is no new version 4 UUID", id)
		}
		seen[id] = true
	}
}

// TestHealthChecksApart: requests of load balancers' checks are told apart.
func TestHealthChecksApart(t *testing.T) {
	a, addr := server(t, Config{}, func(w http.ResponseWriter, r *http.Request) {})
	get(t, addr, "User-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n")
	get(t, addr, "")
	if s := a.Status().Ingress[0]; s.Requests != 2 || s.HealthChecks != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestAccessLog(t *testing.T) {
	for _, format := range []string{"JSON", "TEXT"} {
		t.Run(format, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.log")
			a, addr := server(t, Config{AccessLog: &AccessLog{Path: path, Format: format}},
				func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
			get(t, addr, "User-Agent: test\r\n")
			a.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if format == "TEXT" {
				if !strings.Contains(string(b), `"GET /path HTTP/1.1" 200 0 5 `) || !strings.HasSuffix(string(b), `"app.ns" "127.0.0.1:80"`+"\n") || strings.Contains(string(b), "q=1") {
					t.Errorf("line %q", b)
				}
				return
			}
			var line map[string]any
			if err := json.Unmarshal(b, &line); err != nil {
				t.Fatal(err)
			}
			for k, want := range map[string]any{"method": "GET", "path": "/path", "response_code": 200.0, "bytes_sent": 5.0, "bytes_received": 0.0,
				"user_agent": "test", "forwarded_for": nil, "authority": "app.ns", "upstream_host": "127.0.0.1:80"} {
				if got, ok := line[k]; !ok || got != want {
					t.Errorf("%s: %v, want %v", k, got, want)
				}
			}
			if id, _ := line["request_id"].(string); len(id) != 36 {
				t.Errorf("request id %q", id)
			}
		})
	}
}

// TestAccessLogOfTCP: a connection of an endpoint without a protocol has one line.
func TestAccessLogOfTCP(t *testing.T) {
	for format, want := range map[string]string{
		"TEXT": `^\[[-0-9T:.]+Z\] 127\.0\.0\.1 \d+ [1-9]\d* [1-9]\d* \d+ - 1\n$`,
		"JSON": `^{"bytes_received":[1-9]\d*,"bytes_sent":[1-9]\d*,"connection_id":1,"connection_termination_details":null,` +
			`"downstream_remote_address":"127.0.0.1","downstream_remote_port":\d+,"duration":\d+,"start_time":"[-0-9T:.]+Z"}\n$`,
	} {
		path := filepath.Join(t.TempDir(), "log")
		in := Ingress{Discovery: "app", Protocol: TCP, App: 80, Timeouts: DefaultTimeouts(TCP)}
		a, addr := server(t, Config{AccessLog: &AccessLog{Path: path, Format: format}, Ingress: []Ingress{in}},
			func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
		if status, _, body := get(t, addr, ""); status != 200 || body != "ok" {
			t.Fatal(status, body)
		}
		a.Close()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(want).Match(b) {
			t.Errorf("%s: %q, want %s", format, b, want)
		}
	}
}
