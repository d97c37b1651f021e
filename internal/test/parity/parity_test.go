package parity

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

func table() (out []*exchange) {
	n := map[string]int{}
	for _, x := range append(requests(), answersOfOrigins()...) {
		n[x.kind]++
		x.name = fmt.Sprintf("%s %d", x.kind, n[x.kind])
		out = append(out, &x)
	}
	return out
}

// short shows an exchange in a line.
func (x *exchange) short() string {
	s := fmt.Sprintf("%q → %q", x.client, x.answers)
	s = longRun.ReplaceAllString(s, "xxx…")
	if len(s) > 400 {
		s = s[:400] + "…"
	}
	return s
}

// TestExchanges: several hundred exchanges by hand, through both hops.
func TestExchanges(t *testing.T) {
	layer.Full(t, "starts Envoy")
	xs := table()
	if only := os.Getenv("PARITY_ONLY"); only != "" {
		xs = slices.DeleteFunc(xs, func(x *exchange) bool { return !strings.HasPrefix(x.name, only) })
	}
	report(t, xs)
}

// report performs exchanges and fails the test for what differs without leave.
func report(t *testing.T, xs []*exchange) {
	t.Helper()
	differ := differing(t, xs)
	kinds := map[string]int{}
	for _, x := range xs {
		if ds := differ[x]; len(ds) > 0 {
			kinds[x.kind]++
			t.Errorf("%s: %s%s", x.name, x.short(), listed(ds))
		}
	}
	t.Logf("%d exchanges on 2 routes, %d differ: %v", len(xs), len(differ), kinds)
}

// differing performs exchanges and returns what differs without leave. It is
// tried again, since a busy machine can make a moment differ.
func differing(t *testing.T, xs []*exchange) map[*exchange][]difference {
	t.Helper()
	differ := map[*exchange][]difference{}
	todo := xs
	for round := range 3 {
		var again []*exchange
		for _, tr := range compareAll(t, todo, 150, []int{240, 60, 12}[round]) {
			if tr.err != nil {
				t.Errorf("%s: %v", tr.x.name, tr.err)
			}
			ds := slices.DeleteFunc(tr.differences(), func(d difference) bool { return allowedFor(d) != nil })
			delete(differ, tr.x)
			if len(ds) > 0 {
				differ[tr.x] = ds
				again = append(again, tr.x)
			}
		}
		if todo = again; len(todo) == 0 || os.Getenv("PARITY_ONCE") != "" {
			break
		}
	}
	return differ
}
