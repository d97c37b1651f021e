package render_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/golden"
)

// many is what explain is given of a deployment of many services.
func many(t testing.TB, s cfntest.Fleet, maxPairs int) *reach.Predictor {
	t.Helper()
	return predictor(t, s.Template(), maxPairs)
}

func predictor(t testing.TB, text []byte, maxPairs int) *reach.Predictor {
	t.Helper()
	top := cfntest.Parse(t, "many.json", text)
	p, err := reach.New(top, reach.Options{MaxPairs: maxPairs})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func explain(t testing.TB, p *reach.Predictor, want reach.Selection) string {
	t.Helper()
	paths, err := p.Select(p.All(), want)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := render.Explain(&b, p.Outline(), paths, render.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFiftyServices: what is alike is said once, and what fails with its reason.
func TestFiftyServices(t *testing.T) {
	for name, s := range map[string]cfntest.Fleet{
		"fifty-unordered": {N: 50},
		"fifty-ordered":   {N: 50, Ordered: true, Balanced: 50},
		"fifty-broken":    {N: 50, Ordered: true, Closed: 5, Balanced: 50},
	} {
		t.Run(name, func(t *testing.T) {
			text := explain(t, many(t, s, 10_000), reach.Selection{})
			if n := strings.Count(text, "\n"); n >= 200 {
				t.Errorf("%d lines", n)
			}
			golden.Check(t, filepath.Join("testdata", name+".explain.txt"), []byte(text))
		})
	}
}

// TestFoldedCounts: the folded lines count what the predictions say one by one.
func TestFoldedCounts(t *testing.T) {
	p := many(t, cfntest.Fleet{N: 30, Ordered: true, Closed: 7}, 10_000)
	text := explain(t, p, reach.Selection{})
	all, works := map[string]int{}, map[string]int{}
	failures := 0
	for pr := range p.All() {
		if pr.Kind != reach.KindMesh || !pr.Likely {
			continue
		}
		name := strings.TrimSuffix(strings.TrimPrefix(pr.URL, "http://"), "/")
		all[name]++
		if pr.Failed() {
			failures++
		} else {
			works[name]++
		}
	}
	if failures == 0 || len(all) != 29 {
		t.Fatalf("%d failures, %d names", failures, len(all))
	}
	// A line for each name that some reach and some do not, one for all that
	// everybody reaches, one for all that nobody reaches.
	var whole, none span
	lines := []string{}
	for name, n := range all {
		switch works[name] {
		case n:
			whole.add(n)
		case 0:
			none.add(n)
		default:
			lines = append(lines, fmt.Sprintf("  %d of %d services reach %s: ", works[name], n, name))
		}
	}
	lines = append(lines, "  all of "+whole.String()+": 200 from the app\n", "  0 of "+none.String()+": see below\n")
	for _, line := range lines {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
	if want := fmt.Sprintf("Failures: %d paths, ", failures); !strings.Contains(text, want) {
		t.Errorf("%q is not in\n%s", want, text)
	}
}

// span is how many names there are, and how few and how many services call one.
type span struct{ names, least, most int }

func (s *span) add(callers int) {
	if s.names == 0 || callers < s.least {
		s.least = callers
	}
	s.names, s.most = s.names+1, max(s.most, callers)
}

func (s *span) String() string {
	return fmt.Sprintf("%d to %d services reach each of %d names", s.least, s.most, s.names)
}

// TestFewAreNotFolded: a reader finds each of a few names by itself.
func TestFewAreNotFolded(t *testing.T) {
	text := explain(t, many(t, cfntest.Fleet{N: 20, Ordered: true}, 10_000), reach.Selection{To: []string{"s0", "s1", "s2"}})
	for i := range 3 {
		line := fmt.Sprintf("  %d of %d services reach s%d.ns:80: 200 from the app\n", 19-i, 19-i, i)
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

// TestSelection: a caller and what is called are found by any of their names.
func TestSelection(t *testing.T) {
	p := many(t, cfntest.Fleet{N: 30, Ordered: true, Closed: 2}, 10_000)
	count := func(w reach.Selection) int {
		paths, err := p.Select(p.All(), w)
		if err != nil {
			t.Fatal(err)
		}
		return len(slices.Collect(paths))
	}
	one := count(reach.Selection{From: []string{"s1"}, To: []string{"s0"}})
	if one == 0 || one > 3 {
		t.Errorf("%d paths from s1 to s0", one)
	}
	for _, from := range []string{"S1", "many/Svc1", "Svc1"} {
		for _, to := range []string{"s0.ns", "s0.ns:80", "many/Svc0"} {
			if n := count(reach.Selection{From: []string{from}, To: []string{to}}); n == 0 || n > one {
				t.Errorf("%d paths from %s to %s, want 1 to %d", n, from, to, one)
			}
		}
	}
	if _, err := p.Select(p.All(), reach.Selection{From: []string{"s99"}}); err == nil || !strings.Contains(err.Error(), "s99") {
		t.Errorf("a caller that is not there: %v", err)
	}
	for pr := range p.All() {
		if pr.Failed() != (pr.Outcome.Class != reach.OK) && pr.Kind == reach.KindMesh {
			t.Errorf("%s: failed %v, outcome %s", pr.ID, pr.Failed(), pr.Outcome.Class)
		}
	}
	text := explain(t, p, reach.Selection{OnlyFailures: true})
	if strings.Contains(text, "200 from the app") || !strings.Contains(text, "blocked: Shut lets nothing in") {
		t.Errorf("only failures:\n%s", text)
	}
}

// BenchmarkExplain is the text of a deployment of so many services each of which
// may call all others, and of one of so many resources. Reading is not in it.
func BenchmarkExplain(b *testing.B) {
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"services=50", cfntest.Fleet{N: 50}.Template()},
		{"services=100", cfntest.Fleet{N: 100}.Template()},
		{"services=100/ordered", cfntest.Fleet{N: 100, Ordered: true}.Template()},
		{"resources=20000", cfntest.Template(20_000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			top := predictor(b, c.text, 10_000).Index().Topology
			b.ReportAllocs()
			for b.Loop() {
				p, err := reach.New(top, reach.Options{MaxPairs: 10_000})
				if err != nil {
					b.Fatal(err)
				}
				explain(b, p, reach.Selection{})
			}
		})
	}
}
