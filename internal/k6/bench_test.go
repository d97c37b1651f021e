package k6

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	hop "github.com/hoplab/hoplab/loadtest/samplefile"
)

// BenchmarkClients compares what the two clients add to a request at the
// standard rate: the same server, 500 requests/s for 6 s. One iteration is
// enough:
//
//	go test -run '^$' -bench Clients -benchtime 1x ./internal/k6
func BenchmarkClients(b *testing.B) {
	k6 := binary(b)
	s := server(b, false, 0)
	for _, client := range []string{hop.ClientNative, hop.ClientHTTP} {
		b.Run(client, func(b *testing.B) {
			for b.Loop() {
				l := load(s.URL, s.URL)
				l.Client, l.RatePerS, l.WarmupS, l.DurationS, l.VUs = client, 500, 1, 5, 20
				out, err := Run(b.Context(), k6, l, Options{Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				latency, late := times(b, out.Samples, &l)
				b.ReportMetric(us(latency, 0.5), "p50-µs")
				b.ReportMetric(us(latency, 0.99), "p99-µs")
				b.ReportMetric(us(late, 0.99), "late-p99-µs")
				b.ReportMetric(out.Trailer.CPUSeconds*1e6/float64(out.Records), "cpu-µs/req")
				b.ReportMetric(float64(out.Trailer.MaxRSSBytes)/(1<<20), "rss-MiB")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

func times(b *testing.B, path string, l *hop.Load) (latency, late []time.Duration) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r, err := hop.NewReader(f)
	var rec hop.Record
	for err == nil {
		if err = r.Next(&rec); err == nil && l.Window(l.Start(&rec)) >= 0 {
			latency, late = append(latency, rec.Latency), append(late, rec.Late)
		}
	}
	if err != io.EOF {
		b.Fatal(err)
	}
	slices.Sort(latency)
	slices.Sort(late)
	return latency, late
}

func us(sorted []time.Duration, q float64) float64 {
	return float64(sorted[int(q*float64(len(sorted)-1))]) / 1e3
}

// BenchmarkThroughput is a closed loop of 50 users without a pause for 5 s:
// how much of k6's throughput the recording costs. "none" is plain k6 without
// any output, "json" is k6's own output.
//
//	go test -run '^$' -bench Throughput -benchtime 1x ./internal/k6
func BenchmarkThroughput(b *testing.B) {
	k6 := binary(b)
	var served atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "Hello World")
	}))
	b.Cleanup(s.Close)
	const seconds = 5
	for _, c := range []struct{ name, mode, out string }{
		{"none", "plain", ""},
		{"json", "plain", "json=samples.json"},
		{"hoplab-http", "http", "hoplab=samples.hop"},
		{"hoplab-native", "native", "hoplab=samples.hop"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				dir := b.TempDir()
				l := load(s.URL, s.URL)
				l.Design, l.RatePerS, l.WarmupS, l.DurationS, l.VUs = hop.DesignArticle, 0, 0, seconds, 50
				text, err := json.Marshal(l)
				if err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "load.json"), text, 0o600); err != nil {
					b.Fatal(err)
				}
				script, err := filepath.Abs(filepath.Join("testdata", "throughput.js"))
				if err != nil {
					b.Fatal(err)
				}
				args := []string{"run", "--quiet", "--no-usage-report", "--summary-mode=disabled", "--no-thresholds", "--address", ""}
				if c.out != "" {
					args = append(args, "--out", c.out)
				}
				cmd := exec.Command(k6.Path, append(args, script)...)
				cmd.Dir = dir
				cmd.Env = append(environment(os.Environ(), dir), "GOGC=400", "MODE="+c.mode, "URL="+s.URL, "HOPLAB_LOAD="+filepath.Join(dir, "load.json"))
				before := served.Load()
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				n := float64(served.Load() - before)
				b.ReportMetric(n/seconds, "req/s")
				b.ReportMetric(1e6*(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds()/n, "cpu-µs/req")
				if files, _ := filepath.Glob(filepath.Join(dir, "samples.*")); len(files) == 1 {
					info, err := os.Stat(files[0])
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(info.Size())/n, "bytes/req")
				}
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}
