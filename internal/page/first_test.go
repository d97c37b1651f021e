package page_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// BenchmarkFirstMap measures how long somebody waits for the map, from the
// navigation's start to the frame that shows it, at a desk's and a phone's width.
// The median is what counts; it means something on a machine that does nothing else:
//
//	go test ./internal/page -run '^$' -bench FirstMap -benchtime 20x
func BenchmarkFirstMap(b *testing.B) {
	for _, c := range []struct {
		name string
		top  *topology.Topology
	}{{"2-services", topologytest.Healthy().Topology}, {"20-services", many(20)}} {
		file := written(b, c.top)
		for _, width := range []int{1280, 390} {
			b.Run(c.name+"/"+strconv.Itoa(width), func(b *testing.B) {
				out := labtest.Drive(b, "first.mjs", map[string]any{"browser": labtest.Driven(b), "file": file, "times": b.N,
					"view": map[string]any{"viewport": map[string]int{"width": width, "height": 900}}})
				var took []float64
				for _, word := range strings.Fields(out) {
					ms, err := strconv.ParseFloat(word, 64)
					if err != nil {
						b.Fatal(err)
					}
					took = append(took, ms)
				}
				slices.Sort(took)
				b.ReportMetric(0, "ns/op") // the browser's own start is in it
				b.ReportMetric(took[len(took)/2], "median-ms")
				b.ReportMetric(took[len(took)-1], "max-ms")
			})
		}
	}
}
