package report

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// note is a warning with the number under which every rendering refers to it.
// The same warning about several numbers is one note.
type note struct {
	Number int
	Code   string
	Text   string
	Abouts []string // what it weakens, in order
}

// Words is the note as a line of its own.
func (n note) Words() string {
	abouts := make([]string, len(n.Abouts))
	for i, about := range n.Abouts {
		abouts[i] = differenceName(about)
	}
	return strings.Join(abouts, ", ") + ": " + clean(n.Text)
}

// notes holds every warning of a summary: those about the whole run, which
// stand under the answer, and the numbered ones, which stand beside the number
// that they weaken.
type notes struct {
	Run      []summary.Warning
	Numbered []note
	byPlace  map[string][]int // a place such as "p99" or "agent - bypass p99" → numbers, ascending
}

// collectNotes numbers the warnings in the order in which the summary holds
// them. A warning about something that the summary does not show is one about
// the run, so that none is lost.
func collectNotes(s *summary.Summary) *notes {
	n := &notes{byPlace: map[string][]int{}}
	places := placesOf(s)
	for _, w := range s.Warnings {
		if places[w.About] {
			n.file(w.About, w)
		} else {
			n.Run = append(n.Run, w)
		}
	}
	for _, d := range s.Differences {
		place := cellPlace(d.Of, quantity.Quantile(d.Quantile))
		for _, w := range d.Warnings {
			if w.About == "" {
				w.About = place
			}
			n.file(place, w)
		}
	}
	return n
}

// file puts a warning at a place. The same warning met again, at another
// number or once more at the same, keeps its number.
func (n *notes) file(place string, w summary.Warning) {
	i := slices.IndexFunc(n.Numbered, func(have note) bool { return have.Code == w.Code && have.Text == w.Text })
	if i < 0 {
		i = len(n.Numbered)
		n.Numbered = append(n.Numbered, note{Number: i + 1, Code: w.Code, Text: w.Text})
	}
	if have := &n.Numbered[i].Abouts; !slices.Contains(*have, w.About) {
		*have = append(*have, w.About)
	}
	if number := i + 1; !slices.Contains(n.byPlace[place], number) {
		n.byPlace[place] = append(n.byPlace[place], number)
	}
}

// at returns the numbers filed at a place, leaving out those that already
// stand at one of the wider places around it.
func (n *notes) at(place string, around ...string) []int {
	var numbers []int
	for _, number := range n.byPlace[place] {
		wider := slices.ContainsFunc(around, func(p string) bool { return slices.Contains(n.byPlace[p], number) })
		if !wider {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// touching returns every number that weakens the value of one quantile of one
// difference or arm, wherever it is filed.
func (n *notes) touching(of, quantile string) []int {
	var numbers []int
	for _, place := range []string{quantile, of, cellPlace(of, quantile)} {
		numbers = append(numbers, n.byPlace[place]...)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// cellPlace is the place of one number in a table: its row and its quantile.
func cellPlace(row, quantile string) string { return row + " " + quantile }

// placesOf lists the places that the tables of a summary have.
func placesOf(s *summary.Summary) map[string]bool {
	places := map[string]bool{}
	quantiles := columnsOf(s)
	for _, q := range quantiles {
		places[q] = true
	}
	for _, row := range rowNames(s) {
		places[row] = true
		for _, q := range quantiles {
			places[cellPlace(row, q)] = true
		}
	}
	return places
}

func rowNames(s *summary.Summary) []string {
	var names []string
	for _, a := range s.Arms {
		names = append(names, a.Name)
	}
	for _, d := range s.Differences {
		if !slices.Contains(names, d.Of) {
			names = append(names, d.Of)
		}
	}
	return names
}
