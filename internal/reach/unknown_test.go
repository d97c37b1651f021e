package reach

import (
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// open are places whose being unknown is answered by an assumption that the
// prediction states, or that no outcome depends on.
var open = map[string]bool{
	".Services[0].DesiredCount": true, // stated in Assumes
}

// TestUnknownIsNeverGuessed makes one value after the other unknown: a
// prediction may then say unknown or stay what it was.
func TestUnknownIsNeverGuessed(t *testing.T) {
	for name, build := range topologytest.Variants() {
		t.Run(name, func(t *testing.T) {
			base := predict(t, build(), Options{})
			n := topologytest.EachUnknown(build, func(at string, f *topologytest.Fixture) {
				for _, p := range predict(t, f, Options{}).Predictions {
					b := base.Find(p.ID)
					if b == nil || open[at] {
						continue
					}
					if got, want := p.Outcome.Class, b.Outcome.Class; got != want && got != Unknown {
						t.Errorf("%s unknown: %s is %s (%s), was %s", at, p.ID, got, p.Outcome.Why, want)
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
	for name, build := range topologytest.Variants() {
		topologytest.EachAbsent(build, func(at string, f *topologytest.Fixture) {
			for _, p := range predict(t, f, Options{}).Predictions {
				if p.Outcome.Class == "" || p.Outcome.Why == "" {
					t.Errorf("%s, %s absent: %s has no outcome or no reason", name, at, p.ID)
				}
			}
		})
	}
}
