package account_test

import (
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/cloud/account"
)

func TestProperties(t *testing.T) {
	p := map[string]any{"Port": "80", "Half": "0.5", "On": "True", "Sub": map[string]any{"List": []any{"a", map[string]any{}, "b"}}}
	if n, ok := account.Int(p, "Port"); !ok || n != 80 {
		t.Errorf("Port: %d, %v; want 80", n, ok)
	}
	for _, path := range [][]string{{"Half"}, {"On"}, {"Sub"}, {"None"}, {"Port", "deeper"}} {
		if n, ok := account.Int(p, path...); ok {
			t.Errorf("%v: %d is no whole number", path, n)
		}
	}
	if !account.Flag(p, "On") || account.Flag(p, "Port") || account.Flag(p, "None") {
		t.Error("flags: only On is true")
	}
	if got := account.Texts(p, "Sub", "List"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q; want a and b", got)
	}
	if account.Map(p, "Sub") == nil || account.Map(p, "Port") != nil || account.List(p, "Sub") != nil {
		t.Error("maps and lists: Sub is a map and nothing else is")
	}
}
