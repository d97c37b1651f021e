package compare

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// manyPoints writes at least so many points as k6 writes them: for each request
// nine metrics with its time and tags, then four of its iteration, with times
// in nanoseconds, no two of them alike, and each metric declared before its
// first point.
func manyPoints(b *testing.B, path string, points int) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f) // 4 KiB, as k6 does; larger writes get larger pages in the cache, which read faster
	requests := []string{"http_reqs", "http_req_duration", "http_req_blocked", "http_req_connecting", "http_req_tls_handshaking",
		"http_req_sending", "http_req_waiting", "http_req_receiving", "http_req_failed"}
	iterations := []string{"data_sent", "data_received", "iteration_duration", "iterations"}
	at := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	rng := rand.New(rand.NewPCG(1, 2))
	declared := map[string]bool{}
	line := func(name string, at time.Time, value float64, tags string) {
		if !declared[name] {
			declared[name] = true
			fmt.Fprintf(w, `{"type":"Metric","data":{"name":"%s","type":"trend","contains":"time","thresholds":[],"submetrics":null},"metric":"%s"}`+"\n", name, name)
		}
		fmt.Fprintf(w, `{"metric":"%s","type":"Point","data":{"time":"%s","value":%.6g,"tags":{%s}}}`+"\n", name, at.Format(time.RFC3339Nano), value, tags)
	}
	for i := 0; i < points; i += len(requests) + len(iterations) {
		at = at.Add(time.Duration(rng.ExpFloat64() * 1e6))
		arm := 'a' + rune(rng.IntN(2))
		tags := fmt.Sprintf(`"arm":"%c","expected_response":"true","group":"","method":"GET","name":"http://127.0.0.1:38111/","proto":"HTTP/1.1","scenario":"default","status":"200","url":"http://127.0.0.1:38111/"`, arm)
		ms := 0.6 * math.Exp(0.4*rng.NormFloat64())
		for k, name := range requests {
			line(name, at, []float64{1, ms, 0.0012, 0, 0, 0.0083, 0.95 * ms, 0.0217, 0}[k], tags)
		}
		end := at.Add(time.Duration(2000 + rng.IntN(9000)))
		for k, name := range iterations {
			line(name, end, []float64{71, 128, ms + 0.05, 1}[k], `"group":"","scenario":"default"`)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

func sizeOf(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
