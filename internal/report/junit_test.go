package report_test

import (
	"bytes"
	"encoding/xml"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/golden"
)

func junit(t *testing.T, s *summary.Summary) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := report.JUnit(&out, s); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestJUnitGolden(t *testing.T) {
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			golden.Check(t, "testdata/"+f.name+"/junit.xml", junit(t, &f.build().Summary))
		})
	}
}

// Each verdict gives its own counts, so that a CI system can tell them apart.
func TestJUnitCounts(t *testing.T) {
	refusedBudgets := fixtureNamed("over").Summary
	refusedBudgets.Verdict = summary.Refused
	for _, c := range []struct {
		name                             string
		summary                          summary.Summary
		tests, failures, errors, skipped int
	}{
		{"different", fixtureNamed("different").Summary, 5, 0, 0, 0},
		{"within", fixtureNamed("within").Summary, 4, 0, 0, 0},
		{"over", fixtureNamed("over").Summary, 4, 1, 0, 0},
		{"cannot tell", fixtureNamed("cannot-tell").Summary, 5, 0, 0, 3},
		{"refused", fixtureNamed("refused").Summary, 5, 0, 1, 3},
		{"refused with budgets", refusedBudgets, 4, 0, 1, 2},
		{"partial", fixtureNamed("partial").Summary, 5, 0, 1, 0},
		{"empty", fixtureNamed("empty").Summary, 2, 0, 1, 1},
	} {
		var got struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Skipped  int `xml:"skipped,attr"`
			Suites   []struct {
				Cases []struct {
					Failure, Error, Skipped *struct{}
				} `xml:"testcase"`
			} `xml:"testsuite"`
		}
		if err := xml.Unmarshal(junit(t, &c.summary), &got); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got.Tests != c.tests || got.Failures != c.failures || got.Errors != c.errors || got.Skipped != c.skipped {
			t.Errorf("%s: %d tests, %d failures, %d errors, %d skipped; want %d, %d, %d, %d", c.name,
				got.Tests, got.Failures, got.Errors, got.Skipped, c.tests, c.failures, c.errors, c.skipped)
		}
		if n := len(got.Suites[0].Cases); n != c.tests {
			t.Errorf("%s: %d cases, but the suite counts %d", c.name, n, c.tests)
		}
	}
}
