package deployment_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

// BenchmarkFromTemplates reads a template and builds its topology: what
// `hoplab check` spends before it checks anything. Cost per resource should
// not grow with their number.
func BenchmarkFromTemplates(b *testing.B) {
	for _, n := range []int{500, 5000, 20000} {
		data := cfntest.Template(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var top *topology.Topology
			for b.Loop() {
				top = fromText(b, data)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/resource")
			top = nil
			b.ReportMetric(held(func() { top = fromText(b, data) })/(1<<20), "MB-held")
			runtime.KeepAlive(top)
		})
	}
}

func fromText(tb testing.TB, data []byte) *topology.Topology {
	a, err := cfn.Parse("t.json", data, cfn.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	top, err := deployment.FromTemplates(a)
	if err != nil {
		tb.Fatal(err)
	}
	return top
}

// held returns the bytes that f leaves reachable.
func held(f func()) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// TestGeneratedTemplate checks that the benchmark's template is a deployment
// that works, so that the figures mean something.
func TestGeneratedTemplate(t *testing.T) {
	top := fromText(t, cfntest.Template(500))
	if len(top.Services) != 74 || len(top.Unknowns) != 0 {
		t.Errorf("%d services, unknown: %v; want 74 services and nothing unknown", len(top.Services), top.Unknowns)
	}
	for _, s := range top.Services {
		if s.Task == nil || s.Connect == nil || len(s.Groups) != 1 {
			t.Errorf("%s is incomplete", s.ID)
		}
	}
}
