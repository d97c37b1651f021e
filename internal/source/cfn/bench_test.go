package cfn_test

import (
	"fmt"
	"testing"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/test/cfntest"
)

// BenchmarkRead reads a generated template, finds what is created before
// what and touches every property once. Cost per resource should not grow.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{500, 5000, 20000} {
		for _, format := range []string{"json", "yaml"} {
			data := cfntest.Template(n)
			if format == "yaml" {
				if n > 5000 {
					continue // beyond the size limit for YAML
				}
				data = cfntest.YAML(data)
			}
			b.Run(fmt.Sprintf("%s/%d", format, n), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					a, err := cfn.Parse("t."+format, data, cfn.Options{})
					if err != nil {
						b.Fatal(err)
					}
					if got := len(a.Stacks[0].Resources); got != n {
						b.Fatalf("%d resources, want %d", got, n)
					}
					a.Before("AWS::ECS::Service")
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/resource")
			})
		}
	}
}
