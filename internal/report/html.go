package report

import (
	_ "embed"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

//go:embed page/page.css
var pageStyle string

// HTML writes a result as one page that needs no network and no script: nine
// sections from the answer to the limits, with pictures for a desk, a phone
// and paper, in the reader's light or dark theme. Every picture has a text
// alternative and its numbers in a table.
func HTML(w io.Writer, r *summary.Result) error {
	v := newView(&r.Summary)
	page := htmlPage{view: v, Detail: &r.Detail, Style: markup(pageStyle)}
	page.fill()
	var out htmlWriter
	out.page(&page)
	_, err := io.WriteString(w, out.String())
	return err
}

// htmlPage is what the page shows, in its order.
type htmlPage struct {
	*view
	Detail *summary.Detail
	Style  markup

	Title          string
	Kicker         []string
	Answer         []sentence
	Verdict        string
	VerdictClass   string
	VerdictSign    string
	Warnings       []string // of the whole run
	Contradictions []string
	AnswerTables   []*htmlTable
	Basis          []string
	Notes          []note
	Budgets        *htmlTable
	Figures        []htmlFigure
	Numbers        []*htmlTable
	Method         string
	Facts          []summary.KeyValue
	Repeat, Render string
	NotShown       []string
	Run            string
}

// sentence is one sentence of the answer, with the numbers of the warnings
// that weaken what it says.
type sentence struct {
	Phrases []phrase
	Marks   []int
}

func (p *htmlPage) fill() {
	s := p.Summary
	p.Run = clean(s.Run)
	p.Title = "hoplab: " + verdictWords(s.Verdict) + " – " + p.Run
	p.Kicker = []string{"run " + p.Run, "target " + targetWords(s)}
	p.Answer = p.sentences()
	p.Verdict, p.VerdictSign = verdictWords(s.Verdict), verdictSign(s.Verdict)
	p.VerdictClass = verdictClass(s.Verdict)
	for _, w := range p.view.Notes.Run {
		p.Warnings = append(p.Warnings, clean(w.Text))
	}
	if p.Refused {
		for _, c := range s.Contradictions {
			p.Contradictions = append(p.Contradictions, contradictionWords(c))
		}
	}
	p.AnswerTables = p.answerTables()
	p.Basis = p.basis()
	if len(p.Differences) > 0 && p.Floor == nil && p.floorLabel() != "" {
		p.Basis = append(p.Basis, p.floorLabel()+".")
	}
	p.Notes = p.view.Notes.Numbered
	p.Budgets = p.budgetTable()
	p.Figures = p.figures()
	p.Numbers = p.numbers()
	p.Method = clean(p.Detail.Method)
	p.Facts = p.facts()
	p.Repeat, p.Render = clean(p.Detail.Repeat), clean(p.Detail.Render)
	p.NotShown = cleanAll(p.Detail.NotShown)
	if len(p.NotShown) == 0 {
		p.NotShown = []string{p.NotWhat}
	}
}

// unitSpace is the space between a number and its unit, where a line must not break.
var unitSpace = regexp.MustCompile(`(\d) (µs|ms|s\b|%)`)

var quantileWord = regexp.MustCompile(`\bp\d+(?:\.\d+)?\b`)

// sentences marks each sentence with the warnings about the quantile it names.
func (p *htmlPage) sentences() []sentence {
	of := ""
	if len(p.Summary.Differences) > 0 {
		of = p.Summary.Differences[0].Of
	}
	var out []sentence
	for _, text := range headlineApart(p.view.Answer) {
		one := sentence{Phrases: codeSpans(unitSpace.ReplaceAllString(text, "$1\u00a0$2"))}
		if q := quantileWord.FindString(text); q != "" && !p.Refused {
			one.Marks = p.view.Notes.touching(of, q)
		}
		out = append(out, one)
	}
	return out
}

// headlineApart ends the headline where its first sentence ends.
func headlineApart(answer []string) []string {
	at := strings.Index(answer[0], ". ")
	if at < 0 {
		return answer
	}
	return append([]string{answer[0][:at+1], answer[0][at+2:]}, answer[1:]...)
}

// verdictSign is a sign beside the verdict's words, so that a glance is enough.
func verdictSign(verdict string) string {
	switch verdict {
	case summary.Within:
		return "✓"
	case summary.Over:
		return "✕"
	case summary.Different:
		return "≠"
	case summary.Refused:
		return "!"
	}
	return "?"
}

// verdictClass is the verdict as a class name; one that is not hoplab's gives none.
func verdictClass(verdict string) string {
	switch verdict {
	case summary.Within, summary.Over, summary.Different, summary.CannotTell, summary.Refused:
		return verdict
	}
	return "unknown"
}

// targetWords names target and fabric.
func targetWords(s *summary.Summary) string {
	switch {
	case s.Fabric == "":
		return clean(s.Target)
	case s.Fabric == fabricTask:
		return clean(s.Target) + ", from a load task"
	case s.Target != "lab":
		return "lab, through " + clean(s.Fabric)
	}
	return clean(s.Target) + ", " + clean(s.Fabric) + " fabric"
}

// facts are what a reader needs to judge the run, and to repeat it.
func (p *htmlPage) facts() []summary.KeyValue {
	s := p.Summary
	facts := []summary.KeyValue{
		{Key: "plan", Value: planWords(s.Plan)},
		{Key: "arms", Value: clean(joinNonEmpty(", ", s.Plan.Arms...))},
		{Key: "design", Value: clean(s.Plan.Design)},
		{Key: "client", Value: clean(s.Plan.Client)},
		{Key: "plan hash", Value: clean(s.Plan.Hash)},
		{Key: "seed", Value: strconv.FormatUint(s.Seed, 10)},
		{Key: "target", Value: targetWords(s)},
	}
	for _, kv := range p.Detail.Machine {
		facts = append(facts, summary.KeyValue{Key: clean(kv.Key), Value: clean(kv.Value)})
	}
	kept := facts[:0]
	for _, f := range facts {
		if f.Value != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

// source is the line that a picture carries with it.
func (p *htmlPage) source() string {
	s := p.Summary
	text := "hoplab, " + targetWords(s)
	if s.Plan.RatePerS > 0 {
		text += ", " + trimFloat(s.Plan.RatePerS) + " requests/s"
	}
	if n := len(p.Summary.Differences); n > 0 {
		text += ", " + plural(p.Summary.Differences[0].Replicates, "replicate")
	}
	return text + ", run " + p.Run
}

// primary is the comparison that the pictures show; nil when there is none.
func (p *htmlPage) primary() *differenceView {
	for i := range p.Differences {
		if p.Differences[i].Of == p.Detail.Primary {
			return &p.Differences[i]
		}
	}
	if len(p.Differences) > 0 {
		return &p.Differences[0]
	}
	return nil
}

// atMedian is the primary difference at p50, or nil.
func (p *htmlPage) atMedian() *differenceCell {
	d := p.primary()
	if d == nil {
		return nil
	}
	for i := range d.Cells {
		if p.Columns[i] == quantity.Quantile(0.5) && d.Cells[i].Difference != nil && hasInterval(*d.Cells[i].Difference) {
			return &d.Cells[i]
		}
	}
	return nil
}
