package k6

import (
	"io"
	"os"
	"slices"
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
