package topology_test

import (
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

func TestOpenSetDoesNotSayNo(t *testing.T) {
	even := func(n int) bool { return n%2 == 0 }
	for _, c := range []struct {
		name       string
		set        topology.Set[int]
		any, empty string
	}{
		{"zero", topology.Set[int]{}, "no", "yes"},
		{"closed without a match", topology.Closed([]int{1, 3}), "no", "no"},
		{"closed with a match", topology.Closed([]int{1, 2}), "yes", "no"},
		{"open without a match", topology.Open([]int{1}, "a loop"), "a loop", "no"},
		{"open with a match", topology.Open([]int{2}, "a loop"), "yes", "no"},
		{"open and nothing read", topology.Open[int](nil, "a loop"), "a loop", "a loop"},
	} {
		if got := said(c.set.Any(even)); got != c.any {
			t.Errorf("%s: Any = %s, want %s", c.name, got, c.any)
		}
		if got := said(c.set.Empty()); got != c.empty {
			t.Errorf("%s: Empty = %s, want %s", c.name, got, c.empty)
		}
	}
}

func said(o topology.Opt[bool]) string {
	yes, ok := o.Get()
	switch {
	case !ok:
		return o.Why()
	case yes:
		return "yes"
	}
	return "no"
}
