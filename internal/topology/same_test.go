package topology_test

import (
	"net/netip"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

func unknown(why, symbol string) topology.Opt[string] {
	return topology.Symbolic[string](symbol, why)
}

// TestSame: what two templates say alike is the same, whatever the lines it
// stands on; anything else is not.
func TestSame(t *testing.T) {
	make := func(change func(*topology.Service)) *topology.Service {
		s := &topology.Service{Name: topology.Known("app"), Task: &topology.TaskDefinition{Containers: []topology.Container{{Name: "web",
			Environment: map[string]topology.Opt[string]{"PORT": topology.Known("80")}}}},
			Groups: []topology.Opt[topology.ID]{topology.Known(topology.ID("sg"))}}
		s.ID = "svc"
		s.PlatformVersion, s.LaunchType = unknown("a.json:1: settled at deploy", ""), unknown("a.json:1: settled at deploy", "${B}")
		if change != nil {
			change(s)
		}
		return s
	}
	for name, c := range map[string]struct {
		change func(*topology.Service)
		want   bool
	}{
		"nothing":          {nil, true},
		"file and line":    {func(s *topology.Service) { s.File, s.Line = "other.json", 7; s.Task.Line = 9 }, true},
		"the ID":           {func(s *topology.Service) { s.ID = "other" }, false},
		"a name":           {func(s *topology.Service) { s.Name = topology.Known("web") }, false},
		"a value in a map": {func(s *topology.Service) { s.Task.Containers[0].Environment["PORT"] = topology.Known("81") }, false},
		"a key in a map":   {func(s *topology.Service) { s.Task.Containers[0].Environment["X"] = topology.Known("1") }, false},
		"another key": {func(s *topology.Service) {
			s.Task.Containers[0].Environment = map[string]topology.Opt[string]{"X": topology.Known("80")}
		}, false},
		"one more in a list":              {func(s *topology.Service) { s.Groups = append(s.Groups, s.Groups[0]) }, false},
		"where an unknown value was read": {func(s *topology.Service) { s.PlatformVersion = unknown("b.json:9: settled at deploy", "") }, true},
		"why a value is unknown":          {func(s *topology.Service) { s.PlatformVersion = unknown("a.json:1: an import", "") }, false},
		"a symbol":                        {func(s *topology.Service) { s.LaunchType = unknown("a.json:1: settled at deploy", "${C}") }, false},
		"where a symbol was read":         {func(s *topology.Service) { s.LaunchType = unknown("b.json:2: settled at deploy", "${B}") }, true},
		"a pointer to nothing":            {func(s *topology.Service) { s.Task = nil }, false},
	} {
		if got := topology.Same(make(nil), make(c.change)); got != c.want {
			t.Errorf("%s changed: same is %v", name, got)
		}
	}
	a, b := topology.Known(netip.MustParsePrefix("10.0.0.0/16")), topology.Known(netip.MustParsePrefix("10.1.0.0/16"))
	if !topology.Same(a, a) || topology.Same(a, b) {
		t.Error("ranges of addresses are not told apart")
	}
}
