package compare

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/summary"
)

// albLine is an entry of a load balancer's access log.
func albLine(at time.Time, group string, target int, request, answer, response string, status, targetStatus string) string {
	ip := fmt.Sprintf("10.0.2.%d:80", 40+target)
	if targetStatus == "-" && status == "503" {
		ip = "-"
	}
	return fmt.Sprintf(`http %s app/shop/50dc6c495c0c9188 10.0.1.17:49457 %s %s %s %s %s %s 118 301 "GET http://internal-shop.test:80/items?id=%d HTTP/1.1" "k6/2.2.0" - - arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/%s/73e2d6bc24d8a067 "Root=1-%08x-00000000%016x" "-" "-" 0 %s "forward" "-" "-" "%s" "%s" "-" "-" TID_%016x`,
		at.Format("2006-01-02T15:04:05.000000Z"), ip, request, answer, response, status, targetStatus, at.UnixMicro()%1000, group,
		at.Unix(), uint64(at.UnixNano())*0x9e3779b97f4a7c15, at.Format("2006-01-02T15:04:05.000000Z"), ip, targetStatus, uint64(at.UnixNano())*0xbf58476d1ce4e5b9)
}

// manyEntries writes a log whose requests go to two target groups in turn; those
// of "mesh" take 1 ms longer. One in 500 fails, in the ways that fields of -1 tell.
func manyEntries(tb testing.TB, path string, lines int) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed)
	w := bufio.NewWriterSize(z, 1<<20)
	rng := rand.New(rand.NewPCG(3, 4))
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for range lines {
		at = at.Add(time.Duration(rng.ExpFloat64() * 1e6))
		group, more := "plain", 0.0
		if rng.IntN(2) == 0 {
			group, more = "mesh", 1
		}
		ms := 3*math.Exp(0.4*rng.NormFloat64()) + more
		line := ""
		switch rng.IntN(1500) {
		case 0:
			line = albLine(at, group, rng.IntN(4), "0.000", "-1", "-1", "502", "-")
		case 1:
			line = albLine(at, group, rng.IntN(4), "-1", "-1", "-1", "503", "-")
		case 2:
			line = albLine(at, group, rng.IntN(4), "-1", "-1", "-1", "504", "-")
		default:
			line = albLine(at, group, rng.IntN(4), "0.000", fmt.Sprintf("%.3f", ms/1e3), "0.000", "200", "200")
		}
		w.WriteString(line)
		w.WriteByte('\n')
	}
	for _, closing := range []func() error{w.Flush, z.Close, f.Close} {
		if err := closing(); err != nil {
			tb.Fatal(err)
		}
	}
}

// awkMeans is the least that one would do by hand: each target group's mean time.
const awkMeans = `{ split($19, arn, "/"); if ($7 >= 0) { n[arn[2]]++; sum[arn[2]] += $7 } } END { for (g in n) printf "%s %d %.9f\n", g, n[g], sum[g] / n[g] }`

// BenchmarkALBBeside compares two target groups of one access log with hoplab,
// and computes their means with zcat and awk, round after round in random order.
// The means must agree. Both find the file in the page cache. Each iteration is a
// round; HOPLAB_BENCH_ENTRIES sets the number of entries (default 1 million).
// More than 100 MB in memory fails, and 10 million entries in more than 60 s.
//
//	HOPLAB_BENCH_ENTRIES=10000000 go test -run '^$' -bench ALBBeside -benchtime 3x ./internal/compare
func BenchmarkALBBeside(b *testing.B) {
	entries := 1_000_000
	if v, err := strconv.Atoi(os.Getenv("HOPLAB_BENCH_ENTRIES")); err == nil {
		entries = v
	}
	for _, tool := range []string{"zcat", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Fatalf("%v: it is the peer of this benchmark", err)
		}
	}
	dir := b.TempDir()
	path := filepath.Join(dir, "alb.log.gz")
	manyEntries(b, path, entries)
	hoplab := filepath.Join(dir, "hoplab")
	if out, err := exec.Command("go", "build", "-o", hoplab, "../../cmd/hoplab").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	var ours, awk []float64
	peak := 0.0
	for b.Loop() {
		var means [2]map[string]float64
		for _, i := range rand.Perm(2) {
			start := time.Now()
			if i == 0 {
				means[0], peak = albByHoplab(b, hoplab, path, peak)
				ours = append(ours, time.Since(start).Seconds())
				continue
			}
			means[1] = albByAwk(b, path)
			awk = append(awk, time.Since(start).Seconds())
		}
		for g, want := range means[1] {
			if have := means[0][g]; math.Abs(have-want*1e6) > 0.1 {
				b.Fatalf("%s: hoplab's mean is %v us, awk's %v s", g, have, want)
			}
		}
	}
	var ratios []float64
	for i := range ours {
		ratios = append(ratios, awk[i]/ours[i])
	}
	b.Logf("%d entries, %d MB, %d cores: hoplab %.1f s, zcat | awk %.1f s (medians of %d rounds); %.2f times as fast, %.2f to %.2f by round; %.0f MB",
		entries, sizeOf(b,
			path)/1e6, runtime.NumCPU(), median(ours), median(awk), len(ours), median(ratios), slices.Min(ratios), slices.Max(ratios), peak)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "times-awk")
	b.ReportMetric(median(ours), "s")
	b.ReportMetric(peak, "peak-MB")
	if peak > 100 {
		b.Errorf("hoplab took %.1f MB; want at most 100", peak)
	}
	if limit := 60 * float64(entries) / 1e7; entries >= 10_000_000 && median(ours) > limit {
		b.Errorf("%d entries took %.1f s; want at most %.0f", entries, median(ours), limit)
	}
}

func albByHoplab(b *testing.B, hoplab, path string, peak float64) (map[string]float64, float64) {
	cmd := exec.Command(hoplab, "compare", "--by", "target_group", "--format", "json", path)
	out, err := cmd.Output()
	var s summary.Summary
	if jerr := json.Unmarshal(out, &s); jerr != nil {
		b.Fatalf("hoplab: %v, %v", err, jerr)
	}
	means := map[string]float64{}
	for _, a := range s.Arms {
		means[a.Name] = a.Latency.Mean
	}
	return means, max(peak, peakMB(cmd.ProcessState))
}

func albByAwk(b *testing.B, path string) map[string]float64 {
	out, err := exec.Command("sh", "-c", `zcat "$1" | awk "$2"`, "sh", path, awkMeans).Output()
	if err != nil {
		b.Fatalf("zcat | awk: %v", err)
	}
	means := map[string]float64{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var name string
		var n int64
		var mean float64
		if _, err := fmt.Sscan(line, &name, &n, &mean); err != nil {
			b.Fatalf("awk answered %q: %v", line, err)
		}
		means[name] = mean
	}
	return means
}
