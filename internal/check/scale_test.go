package check

import (
	"fmt"
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// BenchmarkCheck shows the cost of a check by the number of resources; it must
// grow linearly. Reading templates is not in it.
func BenchmarkCheck(b *testing.B) {
	for _, shared := range []bool{false, true} {
		for _, n := range []int{500, 2000, 5000, 20000} {
			b.Run(fmt.Sprintf("resources=%d/shared=%v", n, shared), func(b *testing.B) {
				t := topologytest.Generated(n, shared)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Run(t, Options{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestCostGrowsLinearly counts allocations, which do not depend on the
// machine's mood: eight times the resources may cost at most ten times.
func TestCostGrowsLinearly(t *testing.T) {
	for _, shared := range []bool{false, true} {
		cost := func(n int) float64 {
			top := topologytest.Generated(n, shared)
			return testing.AllocsPerRun(1, func() {
				if _, err := Run(top, Options{}); err != nil {
					t.Fatal(err)
				}
			})
		}
		// Both sizes are above MaxPairs, so both use hints alone.
		small, large := cost(2000), cost(16000)
		if large > 10*small {
			t.Errorf("shared=%v: %.0f allocations for 2000 resources, %.0f for 16000: %.1f times", shared, small, large, large/small)
		}
	}
}

func TestGeneratedFindings(t *testing.T) {
	top := topologytest.Generated(3600, false) // 200 blocks, 25 of them closed
	fs, err := Run(top, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(ofRule(fs, "ingress-port-closed")); n != 25 {
		t.Errorf("%d ingress ports are closed, want 25", n)
	}
}
