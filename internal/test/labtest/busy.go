package labtest

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// Reruns keeps the cases of a test that came out wrong on a fast clock and
// were run again on a slower one, where what they show counts. That forgives a
// machine that is too busy for the fast clock; it would also hide a fault of
// order that shows now and then, so it is bounded. It is safe for concurrent use.
type Reruns struct {
	mu   sync.Mutex
	why  []string
	seen int
}

// Case counts one case, which was run again because of why; "" when it was not.
func (r *Reruns) Case(name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen++
	if why != "" {
		r.why = append(r.why, name+": "+why)
	}
}

// Allowed is how many of n cases may be run again: one, and one more in each
// 50. Of 120 generated deployments none was on two cores with a load of 15, so
// 2 % is many times what a busy machine makes of it; a fault that shows in one
// case of 20 is over the bound in a run of 2000 (100 against 41).
func Allowed(n int) int { return 1 + n/50 }

// Judge logs how many cases were run again and why, and fails when they were
// more than Allowed.
func (r *Reruns) Judge(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	report := fmt.Sprintf("%d of %d cases were run again on a slower clock", len(r.why), r.seen)
	if len(r.why) > 0 {
		report += ", because at first\n  " + strings.Join(r.why, "\n  ")
	}
	if limit := Allowed(r.seen); len(r.why) > limit {
		t.Errorf("%s\nat most %d may be: find out what they have in common before blaming the machine", report, limit)
		return
	}
	t.Log(report)
}

// Conclusive measures over each span in turn until one try can tell. try
// fails the test for what it finds wrong, and returns why it cannot tell, as
// when the machine is too busy to send what was to be sent; "" when it can.
// A test in which no try can tell is neither passed nor failed: it skips, and
// with CI=true, where nothing may skip, it fails.
func Conclusive(t testing.TB, spans []time.Duration, try func(span time.Duration) (cannot string)) {
	t.Helper()
	var why []string
	for _, span := range spans {
		cannot := try(span)
		if cannot == "" || t.Failed() {
			return
		}
		t.Logf("cannot tell from %s: %s", span, cannot)
		why = append(why, cannot)
	}
	reason := fmt.Sprintf("cannot tell, %d times out of %d: %s", len(why), len(spans), strings.Join(why, "; "))
	if os.Getenv("CI") == "true" {
		reason += "; run this test where nothing else runs"
	}
	layer.Lacking(t, reason)
}
