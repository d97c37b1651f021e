package analysis_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
)

// BenchmarkAnalyze analyses generated runs of 20 replicates. The largest takes
// half a gigabyte of disk and is made only on request:
//
//	HOPLAB_BENCH_MILLIONS=1,10,100 go test -run '^$' -bench Analyze -benchtime 1x ./internal/analysis
//
// HOPLAB_BENCH_DIR keeps the generated runs there and uses them again.
func BenchmarkAnalyze(b *testing.B) {
	sizes := os.Getenv("HOPLAB_BENCH_MILLIONS")
	if sizes == "" {
		sizes = "1"
	}
	for _, text := range strings.Split(sizes, ",") {
		millions, err := strconv.ParseFloat(text, 64)
		if err != nil {
			b.Fatalf("HOPLAB_BENCH_MILLIONS: %v", err)
		}
		b.Run(text+"M", func(b *testing.B) {
			d := generated(b, millions)
			b.ResetTimer()
			for range b.N {
				if _, err := analysis.Analyze(d); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(millions*1e6*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(peakMB(), "peak-MB")
		})
	}
}

func generated(b *testing.B, millions float64) *run.Dir {
	b.Helper()
	parent := os.Getenv("HOPLAB_BENCH_DIR")
	if parent == "" {
		parent = b.TempDir()
	}
	path := filepath.Join(parent, fmt.Sprintf("run-%gM", millions))
	if d, err := run.Open(path); err == nil {
		return d
	}
	p, err := plan.New(plan.ProfileStandard)
	if err != nil {
		b.Fatal(err)
	}
	p.Replicates, p.RatePerS, p.WarmupS = 20, 5000, 0
	p.ReplicateS = millions * 1e6 / 20 / p.RatePerS
	rec := sim.Recording{Plan: p, Noise: calm(), Delays: map[string]call.Delay{plan.ArmAgent: {Spin: 170 * time.Microsecond, Share: 1}}}
	d, err := rec.Write(path)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// peakMB is the process's largest memory so far, the generation included; 0
// where the system does not say.
func peakMB() float64 {
	runtime.GC()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}
