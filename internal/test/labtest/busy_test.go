package labtest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// judged stands in for a test and keeps what becomes of it.
type judged struct {
	testing.TB
	logged, errors, skipped, fatal string
}

func (j *judged) Helper()                   {}
func (j *judged) Log(args ...any)           { j.logged += fmt.Sprintln(args...) }
func (j *judged) Logf(f string, a ...any)   { j.logged += fmt.Sprintf(f, a...) + "\n" }
func (j *judged) Errorf(f string, a ...any) { j.errors += fmt.Sprintf(f, a...) + "\n" }
func (j *judged) Skip(args ...any)          { j.skipped = fmt.Sprint(args...) }
func (j *judged) Fatal(args ...any)         { j.fatal = fmt.Sprint(args...); panic(j) }
func (j *judged) Failed() bool              { return j.errors != "" }

// run runs f until its end or a call of Fatal.
func (j *judged) run(f func(t testing.TB)) {
	defer func() {
		if p := recover(); p != nil && p != any(j) {
			panic(p)
		}
	}()
	f(j)
}

func TestRerunsAreBounded(t *testing.T) {
	for _, c := range []struct {
		cases, again int
		fails        bool
	}{
		{40, 0, false}, {40, 1, false}, {40, 2, true}, {300, 7, false}, {300, 8, true},
		{2000, 41, false}, {2000, 42, true}, {2000, 2000, true},
	} {
		var r Reruns
		for i := range c.cases {
			why := ""
			if i < c.again {
				why = "late"
			}
			r.Case(fmt.Sprintf("case %d", i), why)
		}
		var j judged
		j.run(r.Judge)
		if fails := j.errors != ""; fails != c.fails {
			t.Errorf("%d of %d: fails %v, want %v: %s%s", c.again, c.cases, fails, c.fails, j.logged, j.errors)
		}
		said := j.logged + j.errors
		count := fmt.Sprintf("%d of %d cases", c.again, c.cases)
		if !strings.Contains(said, count) || c.again > 0 && !strings.Contains(said, "case 0: late") {
			t.Errorf("%d of %d: said %.200s", c.again, c.cases, said)
		}
	}
}

func TestConclusive(t *testing.T) {
	spans := []time.Duration{10 * time.Second, 5 * time.Second}
	busy := func(span time.Duration) string { return "busy for " + span.String() }
	never := func(_ testing.TB, s time.Duration) string { return busy(s) }
	const both = "cannot tell, 2 times out of 2: busy for 10s; busy for 5s"
	for name, c := range map[string]struct {
		ci    string
		try   func(t testing.TB, span time.Duration) string
		tries int
		// what becomes of the test
		skipped, errors, fatal string
	}{
		"tells at once": {try: func(testing.TB, time.Duration) string { return "" }, tries: 1},
		"tells later": {ci: "true", tries: 2, try: func(_ testing.TB, s time.Duration) string {
			if s == spans[0] {
				return busy(s)
			}
			return ""
		}},
		"never tells":       {try: never, tries: 2, skipped: both},
		"never tells in CI": {ci: "true", try: never, tries: 2, fatal: both + "; run this test where nothing else runs"},
		"wrong at once": {tries: 1, errors: "wrong", try: func(t testing.TB, s time.Duration) string {
			t.Errorf("wrong")
			return busy(s)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			var j judged
			tries := 0
			j.run(func(tb testing.TB) {
				Conclusive(tb, spans, func(s time.Duration) string {
					tries++
					return c.try(tb, s)
				})
			})
			got := []any{tries, j.skipped, j.fatal, strings.TrimSpace(j.errors)}
			if want := []any{c.tries, c.skipped, c.fatal, c.errors}; !reflect.DeepEqual(got, want) {
				t.Errorf("tries, skipped, fatal, errors: %q; want %q", got, want)
			}
		})
	}
}
