package check

import (
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// TestUnknownIsNoError makes one value after the other unknown: no error may
// appear that was not there before.
func TestUnknownIsNoError(t *testing.T) {
	for name, build := range topologytest.Variants() {
		t.Run(name, func(t *testing.T) {
			errors := map[string]bool{}
			for _, g := range check(t, build(), Options{}) {
				if g.Severity == Error {
					errors[g.Rule] = true
				}
			}
			n := topologytest.EachUnknown(build, func(at string, f *topologytest.Fixture) {
				for _, g := range check(t, f, Options{}) {
					if g.Severity == Error && !errors[g.Rule] {
						t.Errorf("%s unknown: new error %s: %s", at, g.Rule, g.Message)
					}
				}
			})
			if n < 80 {
				t.Errorf("only %d values were made unknown", n)
			}
		})
	}
}

// TestAbsentDoesNotPanic takes one value after the other away.
func TestAbsentDoesNotPanic(t *testing.T) {
	for _, build := range topologytest.Variants() {
		n := topologytest.EachAbsent(build, func(_ string, f *topologytest.Fixture) { check(t, f, Options{}) })
		if n < 80 {
			t.Errorf("only %d values were taken away", n)
		}
	}
}
