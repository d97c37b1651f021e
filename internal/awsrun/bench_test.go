package awsrun_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// BenchmarkThousandGenerators has `hoplab report` merge 1,000 sample files of
// 100,000 requests each, and reports its wall time and the peak of its resident
// memory. It needs about a gigabyte of temporary space:
//
//	go test -run '^$' -bench ThousandGenerators -benchtime 1x ./internal/awsrun
//
// A window that lacks a request stays open for the plan's timeout, so the
// second case is the one that takes the most memory.
func BenchmarkThousandGenerators(b *testing.B) {
	for _, c := range []struct {
		name     string
		leaveOut bool
	}{{"all-answered", false}, {"one-left-out-in-each-window", true}} {
		b.Run(c.name, func(b *testing.B) {
			path := bigRun(b, c.leaveOut)
			self, err := os.Executable()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				start := time.Now()
				cmd := exec.Command(self, "hoplab", "report", path)
				out, err := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 {
					b.Fatalf("%v\n%s", err, out)
				}
				b.ReportMetric(time.Since(start).Seconds(), "s/report")
				if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
					b.ReportMetric(float64(u.Maxrss)/1024, "MiB-peak")
				}
			}
		})
	}
}

// bigRun makes the run directory.
func bigRun(b *testing.B, leaveOut bool) string {
	b.Helper()
	const generators, each = 1000, 100_000
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		b.Fatal(err)
	}
	p.ForAWS()
	p.Generators, p.Replicates = generators, 1
	p.ReplicateS, p.WarmupS, p.WindowS = 100, 0, 2
	p.RatePerS = generators * each / p.ReplicateS
	path := filepath.Join(b.TempDir(), "big")
	d, err := run.Create(path, p, run.Environment{Run: "big"})
	if err != nil {
		b.Fatal(err)
	}
	rep := d.Replicate(1)
	if err := rep.Reset(); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for g := range generators {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			if err := bigFile(&p, rep.SamplesPath(g, generators), g, began, leaveOut); err != nil {
				b.Error(err)
			}
		}()
	}
	wg.Wait()
	if err := rep.Finish(run.Evidence{Replicate: 1, Complete: true, StartedUnixNs: began.UnixNano()}); err != nil {
		b.Fatal(err)
	}
	if err := d.SetState(run.State{Status: run.Complete}); err != nil {
		b.Fatal(err)
	}
	return path
}

// bigFile writes one generator's share.
func bigFile(p *plan.Plan, path string, g int, began time.Time, leaveOut bool) error {
	l := experiment.Load(p, "big", 1, g)
	for i := range l.Arms {
		l.Arms[i].URL = "http://alb.internal:80"
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := bufio.NewWriterSize(f, 1<<16)
	w, err := samplefile.NewWriter(buf, samplefile.Header{Load: l, Build: "k6 test", StartUnixNs: began.UnixNano()})
	if err != nil {
		return err
	}
	perWindow := int64(p.RatePerS * p.WindowS)
	var n int64
	for i := int64(g); i < l.Iterations(); i += int64(l.Generators) {
		if leaveOut && i%perWindow == 7 {
			continue
		}
		arm := l.Arm(i)
		rec := samplefile.Record{Arm: arm, Iteration: i, Latency: time.Duration(900+i*7919%400) * time.Microsecond,
			Outcome: samplefile.Outcome{Status: 200, Peer: "10.0.0.5", ServiceMs: -1, HeaderBytes: 180, BodyBytes: 12, Reused: true}}
		if l.Arms[arm].Name == plan.ArmAgent {
			rec.Latency += 300 * time.Microsecond
			rec.Outcome.AgentHeaders, rec.Outcome.Peer, rec.Outcome.ServiceMs = 1, "127.0.0.1", 1
		}
		if err := w.Write(rec); err != nil {
			return err
		}
		n++
	}
	if err := w.Close(samplefile.Trailer{Records: n, EndUnixNs: began.Add(100 * time.Second).UnixNano()}); err != nil {
		return err
	}
	return buf.Flush()
}
