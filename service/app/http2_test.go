package app

import (
	"io"
	"net/http"
	"sync"
	"testing"
)

// TestHTTP2: without TLS, with prior knowledge; the streams of one connection
// at the same time. HTTP/1.1 goes on beside it.
func TestHTTP2(t *testing.T) {
	base, log, stop := start(t, map[string]string{"DELAY": "20ms"})
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	get := func() {
		resp, err := tr.RoundTrip(must(http.NewRequest("GET", base+"/", nil)))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != "Hello World" || resp.ProtoMajor != 2 || resp.Header.Get(peerHeader) != "127.0.0.1" || resp.Header.Get(appHeader) != "test-1" {
			t.Errorf("%q over %s with %v: %v", body, resp.Proto, resp.Header, err)
		}
	}
	get() // one connection from here on
	const n = 50
	var wg sync.WaitGroup
	for range n {
		wg.Go(get)
	}
	wg.Wait()
	if resp, _ := fetch(t, base+"/healthz"); resp.ProtoMajor != 1 {
		t.Errorf("HTTP/1.1 is answered with %s", resp.Proto)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	numbers := map[any]bool{}
	for _, l := range log.lines(t, "access") {
		if l["request"] != "GET / HTTP/2.0" {
			continue
		}
		numbers[l["connection_requests"]] = true
		if l["connection"] != "1" || l["status"] != 200.0 || l["body_bytes_sent"] != 11.0 || l["request_time"].(float64) < 0.02 ||
			l["request_length"] != float64(notCounted) || l["bytes_sent"] != float64(notCounted) {
			t.Errorf("line %v", l)
		}
	}
	if len(numbers) != n+1 {
		t.Errorf("%d requests have a number of their own in the log, want %d", len(numbers), n+1)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
