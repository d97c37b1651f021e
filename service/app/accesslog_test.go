package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAccessLogOfAProbe(t *testing.T) {
	base, log, stop := start(t, nil)
	addr := strings.TrimPrefix(base, "http://")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	const request = "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	stop()
	lines := log.lines(t, "access")
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1", len(lines))
	}
	got := lines[0]
	_, port, _ := net.SplitHostPort(addr)
	want := map[string]any{
		"remote_addr": "127.0.0.1", "server_addr": "127.0.0.1", "server_port": port,
		"x_forwarded_for": "", "x_forwarded_port": "", "x_forwarded_proto": "",
		"host": "127.0.0.1", "request": "GET / HTTP/1.1", "request_method": "GET", "request_uri": "/",
		"status": 200.0, "request_length": float64(len(request)), "body_bytes_sent": 11.0, "bytes_sent": float64(len(answer)),
		"user_agent": "ELB-HealthChecker/2.0", "http_connection": "close", "http_accept": "",
		"connection": "1", "connection_requests": "1",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05-07:00", fmt.Sprint(got["time"])); err != nil {
		t.Errorf("time: %v", err)
	}
	if _, err := strconv.ParseFloat(fmt.Sprint(got["msec"]), 64); err != nil || len(got["msec"].(string)) != len("1764673200.000") {
		t.Errorf("msec is %v", got["msec"])
	}
	if rt, ok := got["request_time"].(float64); !ok || rt < 0 || rt > 10 {
		t.Errorf("request_time is %v", got["request_time"])
	}
	if runtime.GOOS == "linux" {
		if rtt, err := strconv.Atoi(fmt.Sprint(got["tcpinfo_rtt"])); err != nil || rtt <= 0 {
			t.Errorf("tcpinfo_rtt is %v, want the kernel's round-trip time", got["tcpinfo_rtt"])
		}
	}
	// Nothing of the article's line is missing.
	for k := range strings.FieldsSeq("time msec remote_addr server_addr server_port x_forwarded_for x_forwarded_port x_forwarded_proto host request request_method request_uri status request_length body_bytes_sent bytes_sent request_time user_agent http_connection http_accept connection connection_requests tcpinfo_rtt tcpinfo_rttvar") {
		if _, ok := got[k]; !ok {
			t.Errorf("the line has no %s", k)
		}
	}
}

func TestAccessLogOnAKeptConnection(t *testing.T) {
	base, log, stop := start(t, nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	var lengths []int
	for i := range 3 {
		req := "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0." + strings.Repeat("1", i+1) + "\r\n\r\n"
		lengths = append(lengths, len(req))
		if _, err := io.WriteString(c, req); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	lines := log.lines(t, "access")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3", len(lines))
	}
	for i, l := range lines {
		if l["connection"] != "1" || l["connection_requests"] != strconv.Itoa(i+1) {
			t.Errorf("line %d: request %v on connection %v", i, l["connection_requests"], l["connection"])
		}
		if l["request_length"] != float64(lengths[i]) || l["bytes_sent"] != lines[0]["bytes_sent"] {
			t.Errorf("line %d: %v bytes in, %v out; want %d in", i, l["request_length"], l["bytes_sent"], lengths[i])
		}
		if l["x_forwarded_for"] != "10.0.0."+strings.Repeat("1", i+1) {
			t.Errorf("line %d: x_forwarded_for %v", i, l["x_forwarded_for"])
		}
	}
}

func TestAccessLogOff(t *testing.T) {
	base, log, stop := start(t, map[string]string{"ACCESS_LOG": "off"})
	fetch(t, base+"/")
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(log.lines(t, "access")); n != 0 {
		t.Errorf("%d access lines, want none", n)
	}
}

func TestLineBufferCountsWhatItDrops(t *testing.T) {
	block := make(chan struct{})
	var mu sync.Mutex
	var got bytes.Buffer
	b := newLineBuffer(writerFunc(func(p []byte) (int, error) {
		<-block
		mu.Lock()
		defer mu.Unlock()
		return got.Write(p)
	}))
	line := bytes.Repeat([]byte("x"), 1<<20-1)
	line = append(line, '\n')
	const sent = 20
	for range sent {
		if _, err := b.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	close(block)
	b.Close()
	kept := bytes.Count(got.Bytes(), line)
	var told int
	for l := range strings.SplitSeq(got.String(), "\n") {
		var m struct {
			Msg   string
			Count int
		}
		if json.Unmarshal([]byte(l), &m) == nil && m.Msg == "log lines dropped" {
			told += m.Count
		}
	}
	if told == 0 || kept+told != sent {
		t.Errorf("%d lines kept and %d reported as dropped, want %d together", kept, told, sent)
	}
}

type writerFunc func([]byte) (int, error)

func BenchmarkRequest(b *testing.B) {
	for _, mode := range []string{"on", "off"} {
		b.Run("log="+mode, func(b *testing.B) {
			sink := &logSink{ready: make(chan string, 1)}
			ctx, cancel := context.WithCancel(context.Background())
			env := map[string]string{"PORT": "0", "LISTEN_ADDRESS": "127.0.0.1", "ACCESS_LOG": mode}
			done := make(chan struct{})
			first := true
			out := writerFunc(func(p []byte) (int, error) {
				if first {
					first = false
					return sink.Write(p)
				}
				return len(p), nil
			})
			go func() { Run(ctx, nil, func(k string) string { return env[k] }, out, os.Stderr); close(done) }()
			url := "http://" + <-sink.ready + "/"
			b.ResetTimer()
			for b.Loop() {
				resp, err := http.Get(url)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			b.StopTimer()
			cancel()
			<-done
		})
	}
}
