package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
)

// TestFirstCause: the screen has the cause, whatever stands before it, and counts
// the rest. An Envoy's warnings are no causes, and neither is what was ended
// because something else had failed.
func TestFirstCause(t *testing.T) {
	taken := func(n int) string {
		return fmt.Sprintf("service many/Svc%d: task %08x: agent of task %08x: listen tcp 127.0.0.%d:8080: bind: address already in use", n, n, n, n)
	}
	warning := "[2026-11-29 02:00:00.123][4711][warning][main] [source/server/server.cc:1] there is no configured limit"
	for name, c := range map[string]struct {
		lines         []string
		want          string
		alike, others int
	}{
		"one":            {[]string{taken(1)}, taken(1), 0, 0},
		"three alike":    {[]string{taken(1), taken(2), taken(3)}, taken(1), 2, 0},
		"warnings first": {[]string{warning, warning, taken(7), warning}, taken(7), 0, 0},
		"ended because of it": {
			[]string{"service many/Svc3: task 3: context canceled", "app of task 4: signal: killed", taken(5)}, taken(5), 0, 2,
		},
		"two kinds":            {[]string{taken(1), "service many/Svc9: the disk is full", taken(2)}, taken(1), 1, 1},
		"nothing but warnings": {[]string{warning}, warning, 0, 0},
	} {
		got := firstCause(strings.Join(c.lines, "\n"))
		if got.text != c.want || got.alike != c.alike || got.others != c.others {
			t.Errorf("%s: %+v; want %q and %d, %d more", name, got, c.want, c.alike, c.others)
		}
	}
	if c := firstCause(strings.Repeat("x", 6000)); len([]rune(c.text)) > maxCause+2 || !c.cut {
		t.Errorf("%d characters reach the screen", len(c.text))
	}
}

// TestFailedStartKeepsItsLog: what the screen leaves out is in a file that
// outlives the lab's directory, until the next lab of that name starts.
func TestFailedStartKeepsItsLog(t *testing.T) {
	base, err := os.MkdirTemp("/tmp", "hoplab") // a socket's path is short; t.TempDir's may not be
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	t.Setenv("XDG_RUNTIME_DIR", base)
	p, err := labctl.At("x")
	if err != nil {
		t.Fatal(err)
	}
	log, err := p.Make()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	fmt.Fprint(log, "progress\nhoplab lab serve: task 1: no\ntask 2: no\ntask 3: other\n  → do this\n")
	got := notStarted(fmt.Errorf("exit status 5"), p, log)
	kept := filepath.Join(filepath.Dir(p.Dir), "x.failed.log")
	want := "the lab did not start: task 1: no; and 1 more like it; and 1 other error; the whole is in " + kept
	if got.Error() != want || fail.HintOf(got) != "do this" {
		t.Errorf("%q (%q); want %q", got, fail.HintOf(got), want)
	}
	if err := p.Remove(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(kept); err != nil || !strings.Contains(string(text), "task 2: no") {
		t.Errorf("%q: %v", text, err)
	}
	again, err := p.Make()
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if _, err := os.Stat(kept); err == nil {
		t.Error("the log of the failed start is still there when the next one starts")
	}
}

// TestFoldedNames: many names are a count, with the namespace that they are all
// of, or how many that has.
func TestFoldedNames(t *testing.T) {
	status := func(counts ...int) *lab.Status {
		st := &lab.Status{}
		for i, n := range counts {
			names := map[string]string{}
			for k := range n {
				names[fmt.Sprintf("s%02d.shop:80", k)] = "127.255.0.1"
			}
			st.Services = append(st.Services, lab.ServiceStatus{Name: fmt.Sprintf("s%02d", i), Tasks: []lab.TaskStatus{{Names: names}}})
		}
		return st
	}
	st := status(50, 7, 2)
	all := everyName(st)
	for i, want := range []string{"50 names, all of shop", "7 of the 50 names of shop", "s00.shop:80 s01.shop:80"} {
		if got := foldNames(sortedKeys(st.Services[i].Tasks[0].Names), all); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
