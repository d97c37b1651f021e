package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/summary"
)

// BenchmarkBeside reads one file of k6's JSON output with hoplab and with
// DuckDB in random order, round after round: the count of each arm and its
// quantiles, which must agree. The ratio is that of the reading alone, without
// the start of either process; the whole processes stand beside it. Both find
// the file in the page cache, and the rate at which all cores can copy it from
// there is a line of the table too. jq reads the first twentieth. It needs jq in PATH and DuckDB for Node:
//
//	npm install --prefix /tmp/duckdb @duckdb/node-api@1.5.6-r.1
//	HOPLAB_BENCH_DUCKDB=/tmp/duckdb go test -run '^$' -bench Beside -benchtime 7x ./internal/compare
//
// Each iteration is a round. HOPLAB_BENCH_POINTS sets the number of points
// (default 2 million, 0.5 GB), HOPLAB_BENCH_FILE names a file that k6 wrote
// with a tag "arm". More than 50 MB in memory fails.
func BenchmarkBeside(b *testing.B) {
	duck := os.Getenv("HOPLAB_BENCH_DUCKDB")
	if duck == "" {
		b.Skip("HOPLAB_BENCH_DUCKDB does not say where DuckDB is installed")
	}
	points := 2_000_000
	if v, err := strconv.Atoi(os.Getenv("HOPLAB_BENCH_POINTS")); err == nil {
		points = v
	}
	dir := b.TempDir()
	path, part := os.Getenv("HOPLAB_BENCH_FILE"), filepath.Join(dir, "part.ndjson")
	if path == "" {
		path = filepath.Join(dir, "k6.ndjson")
		manyPoints(b, path, points)
	}
	manyPoints(b, part, points/20)
	hoplab := filepath.Join(dir, "hoplab")
	if out, err := exec.Command("go", "build", "-o", hoplab, "../../cmd/hoplab").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	size, partSize := sizeOf(b, path), sizeOf(b, part)

	readers := []struct {
		name string
		size int64
		read func() reading
	}{
		{"copy on all cores", size, func() reading { return copyAll(b, path, size) }},
		{"hoplab", size, func() reading { return byHoplab(b, hoplab, path) }},
		{"DuckDB", size, func() reading { return byDuckDB(b, duck, path) }},
		{"jq", partSize, func() reading { return byJQ(b, part) }},
	}
	rates, whole := make([][]float64, len(readers)), make([][]float64, len(readers))
	peak := make([]float64, len(readers))
	for b.Loop() {
		var arms [][]armFigures
		for _, i := range rand.Perm(len(readers)) {
			r := readers[i].read()
			gb := float64(readers[i].size) / 1e9
			rates[i], whole[i] = append(rates[i], gb/r.took.Seconds()), append(whole[i], gb/r.whole.Seconds())
			peak[i] = max(peak[i], r.peakMB)
			if r.arms != nil {
				arms = append(arms, r.arms)
			}
		}
		if err := agree(arms[0], arms[1]); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%d MB, %d rounds, %d cores", size/1e6, len(rates[0]), runtime.NumCPU())
	table := "| reader | GB/s, median | whole process | peak MB |\n| --- | ---: | ---: | ---: |\n"
	for i, r := range readers {
		table += fmt.Sprintf("| %s | %.2f | %.2f | %.0f |\n", r.name, median(rates[i]), median(whole[i]), peak[i])
	}
	var ratios []float64
	for i := range rates[1] {
		ratios = append(ratios, rates[1][i]/rates[2][i])
	}
	b.Logf("\n%s", table)
	b.Logf("hoplab reads %.1f times as fast as DuckDB, median of %.1f to %.1f", median(ratios), slices.Min(ratios), slices.Max(ratios))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "times-DuckDB")
	b.ReportMetric(peak[1], "peak-MB")
	if peak[1] > 50 {
		b.Errorf("hoplab took %.1f MB; want at most 50", peak[1])
	}
}

// reading is what one reader made of the file.
type reading struct {
	took   time.Duration // without its start
	whole  time.Duration // of its process
	peakMB float64       // of its process; 0 when not known
	arms   []armFigures
}

// armFigures is one arm's count and latencies in ms.
type armFigures struct {
	n             int64
	p50, p90, p99 float64
}

// agree holds hoplab's figures, rounded to 0.1 µs, against those of another.
func agree(x, y []armFigures) error {
	near := func(a, b float64) bool { return math.Abs(a-b) <= 0.0002+b/16384 }
	if len(x) != len(y) || len(x) != 2 {
		return fmt.Errorf("%d and %d arms; want 2", len(x), len(y))
	}
	for i := range x {
		if x[i].n != y[i].n || !near(x[i].p50, y[i].p50) || !near(x[i].p90, y[i].p90) || !near(x[i].p99, y[i].p99) {
			return fmt.Errorf("the readers disagree: %+v and %+v", x[i], y[i])
		}
	}
	return nil
}

// copyAll is the least that reading the file can cost: every core copies parts
// of it out of the page cache and looks at nothing.
func copyAll(b *testing.B, path string, size int64) reading {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const part = 512 << 10
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range runtime.NumCPU() {
		wg.Go(func() {
			buf := make([]byte, part)
			for at := next.Add(part) - part; at < size; at = next.Add(part) - part {
				if _, err := f.ReadAt(buf, at); err != nil && !errors.Is(err, io.EOF) {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	return reading{took: took, whole: took}
}

// byHoplab compares in this process for the rate, and in one of its own for the rest.
func byHoplab(b *testing.B, hoplab, path string) reading {
	start := time.Now()
	if _, err := Run(Options{A: []string{path}, By: "arm"}); err != nil {
		b.Fatal(err)
	}
	r := reading{took: time.Since(start)}
	cmd := exec.Command(hoplab, "compare", "--by", "arm", "--format", "json", path)
	start = time.Now()
	out, err := cmd.Output()
	r.whole = time.Since(start)
	var s summary.Summary
	if jerr := json.Unmarshal(out, &s); jerr != nil {
		b.Fatalf("hoplab: %v, %v", err, jerr)
	}
	r.peakMB = peakMB(cmd.ProcessState)
	for _, a := range s.Arms {
		r.arms = append(r.arms, armFigures{a.Requests, a.Latency.P50 / 1e3, a.Latency.P90 / 1e3, a.Latency.P99 / 1e3})
	}
	return r
}

// duckQuery prints the query's milliseconds, then each arm's count and quantiles, in order.
const duckQuery = `
import { DuckDBInstance } from '@duckdb/node-api';
const db = await (await DuckDBInstance.create(':memory:')).connect();
const start = performance.now();
const r = await db.runAndReadAll("select data.tags.arm as arm, count(*) as n, quantile_cont(data.value, 0.5) as a, quantile_cont(data.value, 0.9) as b, quantile_cont(data.value, 0.99) as c from read_ndjson('" + process.env.FILE +
  "', columns={metric:'VARCHAR',type:'VARCHAR',data:'STRUCT(time VARCHAR, value DOUBLE, tags STRUCT(arm VARCHAR))'}) where type='Point' and metric='http_req_duration' group by 1 order by 1");
console.log(performance.now() - start, r.getRowObjects().map(x => [x.n, x.a, x.b, x.c].join(' ')).join(' '));
`

func byDuckDB(b *testing.B, duck, path string) reading {
	cmd := exec.Command("node", "--input-type=module", "-e", duckQuery)
	cmd.Dir = duck
	cmd.Env = append(os.Environ(), "FILE="+path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	out, err := cmd.Output()
	whole := time.Since(start)
	if err != nil {
		b.Fatalf("%v: %s", err, stderr.String())
	}
	var ms float64
	arms := make([]armFigures, 2)
	x, y := &arms[0], &arms[1]
	if _, err := fmt.Sscan(string(out), &ms, &x.n, &x.p50, &x.p90, &x.p99, &y.n, &y.p50, &y.p90, &y.p99); err != nil {
		b.Fatalf("DuckDB answered %q: %v", out, err)
	}
	return reading{took: time.Duration(ms * 1e6), whole: whole, peakMB: peakMB(cmd.ProcessState), arms: arms}
}

func byJQ(b *testing.B, path string) reading {
	cmd := exec.Command("jq", "-c", `select(.type=="Point" and .metric=="http_req_duration") | [.data.tags.arm, .data.value]`, path)
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("jq: %v", err)
	}
	took := time.Since(start)
	return reading{took: took, whole: took, peakMB: peakMB(cmd.ProcessState)}
}

func median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return (xs[(len(xs)-1)/2] + xs[len(xs)/2]) / 2
}
