package report

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/summary"
)

// JUnit writes a summary as JUnit XML, for CI systems that show test results.
// The suite holds these cases:
//
//   - plan: an error when the run did not finish its plan; skipped for files,
//     which follow no plan of hoplab's.
//   - evidence: an error when the evidence contradicts the plan; skipped when
//     there is none.
//   - one case per budget: a failure when it is exceeded, skipped when the data
//     cannot tell or the run is refused.
//   - without budgets, one case per quantile of each difference: it passes when
//     the difference is told apart from zero, and is skipped when it cannot be
//     or the run is refused. A difference is no failure when nobody set a limit.
//
// Skipped is green in most CI systems; hoplab's exit code (3 for "cannot
// tell") is what keeps a job from passing on no answer.
func JUnit(w io.Writer, s *summary.Summary) error {
	v := newView(s)
	suite := junitSuite{Name: "hoplab " + clean(s.Run)}
	suite.add(planCase(v))
	suite.add(evidenceCase(v))
	if len(s.Budgets) > 0 {
		for _, b := range s.Budgets {
			suite.add(budgetCase(v, b))
		}
	} else {
		for i := range s.Differences {
			if !isTwinDifference(s, s.Differences[i].Of) {
				suite.add(differenceCase(v, &s.Differences[i]))
			}
		}
	}
	suite.SystemOut = junitOut(v)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	root := junitRoot{Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Skipped: suite.Skipped, Suites: []junitSuite{suite}}
	if err := e.Encode(root); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

type junitRoot struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Cases     []junitCase `xml:"testcase"`
	SystemOut string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Failure *junitResult `xml:"failure"`
	Error   *junitResult `xml:"error"`
	Skipped *junitResult `xml:"skipped"`
	Out     string       `xml:"system-out,omitempty"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func planCase(v *view) junitCase {
	c := junitCase{Class: "hoplab.run", Name: "the run finished its plan"}
	switch {
	case v.Partial != "":
		c.Error = &junitResult{Message: v.Partial, Text: v.Resume}
	case v.Summary.Target == targetFiles:
		c.Skipped = &junitResult{Message: "Not looked at: files have no plan."}
	}
	return c
}

func evidenceCase(v *view) junitCase {
	c := junitCase{Class: "hoplab.run", Name: "every request took its planned path"}
	var proofs []string
	for _, a := range v.Arms {
		proofs = append(proofs, a.Name+": "+joinNonEmpty("; ", a.Proof, a.Trouble))
	}
	c.Out = strings.Join(proofs, "\n")
	if !v.Refused && !slices.ContainsFunc(v.Summary.Arms, looked) {
		c.Skipped = &junitResult{Message: "Not looked at: nothing here says which path a request took."}
	}
	if v.Refused {
		var lines []string
		for _, contradiction := range v.Summary.Contradictions {
			lines = append(lines, contradictionWords(contradiction))
		}
		c.Error = &junitResult{Message: strings.Join(v.Answer, " "), Text: strings.Join(lines, "\n")}
	}
	return c
}

// looked reports whether anything says which way an arm's requests went.
func looked(a summary.Arm) bool {
	return len(a.Evidence.AgentHops) > 0 || a.Evidence.Missing > 0 || a.Evidence.Contradictions > 0 || a.Evidence.AgentCounter > 0 ||
		len(a.Evidence.Headers) > 0
}

const notJudged = "Not judged: the evidence contradicts the plan."

func budgetCase(v *view, b summary.BudgetResult) junitCase {
	row := newBudgetView(b)
	c := junitCase{Class: "hoplab.budget", Name: row.Budget, Out: row.Estimate + " " + row.Interval}
	words := row.Budget + ": " + row.Verdict + "; the difference is " + row.Estimate + " " + row.Interval
	switch {
	case v.Refused:
		c.Skipped, c.Out = &junitResult{Message: notJudged}, ""
	case b.Verdict == summary.Over:
		c.Failure = &junitResult{Message: words}
	case b.Verdict != summary.Within:
		c.Skipped = &junitResult{Message: words}
	}
	return c
}

func differenceCase(v *view, d *summary.Difference) junitCase {
	cell := newDifferenceCell(d, 0)
	name := differenceName(d.Of) + " at " + columnName(d)
	c := junitCase{Class: "hoplab.difference", Name: name, Out: cell.Estimate + " " + cell.Interval}
	switch {
	case v.Refused:
		c.Skipped, c.Out = &junitResult{Message: notJudged}, ""
	case d.Verdict == summary.CannotTell || !hasInterval(*d):
		c.Skipped = &junitResult{Message: name + ": cannot tell; the interval is " + cell.Interval}
	}
	return c
}

// junitOut is the answer and every warning, for the reader of a CI log.
func junitOut(v *view) string {
	lines := append([]string{}, v.Answer...)
	lines = append(lines, v.NotWhat)
	for _, warning := range v.Notes.Run {
		lines = append(lines, "Warning: "+clean(warning.Text))
	}
	for _, n := range v.Notes.Numbered {
		lines = append(lines, "Warning: "+n.Words())
	}
	return strings.Join(append(lines, "Verdict: "+verdictWords(v.Summary.Verdict)), "\n")
}
