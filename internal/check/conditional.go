package check

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
	"github.com/hoplab/hoplab/internal/variant"
)

// A source with open conditions is several deployments, and a finding holds in
// some of them. No rule looks after that: each is asked of the whole source, in
// which everything stands that may exist, and of every variant. Two resources
// that exclude one another stand together in no variant, so nothing is said of
// the two.

// conflict records a finding of the current rule that two resources which do
// not refer to each other are at odds. It returns nil when it is not known of
// both under which condition they exist, as each may be the other's replacement,
// and when they exclude one another.
func (c *checker) conflict(at, other topology.Origin, fix, format string, args ...any) *Finding {
	unsure := func(o topology.Origin) bool { return o.Maybe != "" && o.When == nil }
	if unsure(at) && other.Maybe != "" || unsure(other) && at.Maybe != "" || c.p.Variants().Excludes(at, other) {
		return nil
	}
	f := c.add(at, fix, format, args...)
	f.Related = []topology.Origin{other}
	return f
}

// variants holds what was found in the variants of a deployment.
type variants struct {
	space *variant.Space
	all   []variant.Variant
	// has are the formulas that hold in each variant, by their index.
	has  [][]bool
	keys map[spot][]string // by spot, in the order in which they were found
	seen map[spot]map[string]*sighting
}

// spot is what a finding is about.
type spot struct {
	rule string
	id   topology.ID
}

// sighting is a finding and the variants in which it was found.
type sighting struct {
	f  Finding
	in []bool
}

func spotOf(f *Finding) spot { return spot{f.Rule, f.Origin.ID} }

// keyOf tells the findings at a spot apart: by the rule to add, as what is near
// to it differs from variant to variant, or by what they say.
func keyOf(f *Finding) string {
	if f.Add != nil {
		return "add " + f.Add.String()
	}
	return f.Message
}

// conditional returns the findings with the condition under which each holds:
// those that the whole source and a variant have, and those that a variant has
// and that nothing which may exist beside it takes away. What only the whole
// source has does not hold. When there are too many variants to look at each,
// only what needs resources that exclude one another is left out.
func conditional(p *reach.Predictor, before *topology.Index, space *variant.Space, whole []Finding) []Finding {
	all, complete := space.All()
	if !complete {
		return slices.DeleteFunc(whole, func(f Finding) bool { return torn(space, &f) })
	}
	v := &variants{space: space, all: all, keys: map[spot][]string{}, seen: map[spot]map[string]*sighting{}}
	for i := range all {
		var has []bool
		for _, w := range space.Formulas() {
			has = append(has, all[i].Holds(w))
		}
		v.has = append(v.has, has)
		v.collect(i, findings(p.Variant(all[i]), before))
	}
	return v.merge(whole)
}

// torn reports that two of the resources of a finding exclude one another.
func torn(space *variant.Space, f *Finding) bool {
	parts := append([]topology.Origin{f.Origin}, f.Related...)
	for i, a := range parts {
		for _, b := range parts[:i] {
			if space.Excludes(a, b) {
				return true
			}
		}
	}
	return false
}

func (v *variants) collect(i int, found []Finding) {
	for _, f := range found {
		k := spotOf(&f)
		if v.seen[k] == nil {
			v.seen[k] = map[string]*sighting{}
		}
		s := v.seen[k][keyOf(&f)]
		if s == nil {
			s = &sighting{f: f, in: make([]bool, len(v.all))}
			v.seen[k][keyOf(&f)] = s
			v.keys[k] = append(v.keys[k], keyOf(&f))
		}
		s.in[i] = true
	}
}

func (v *variants) merge(whole []Finding) []Finding {
	var out, unsettled []Finding
	kept := map[spot]bool{}
	said := map[spot]map[string]bool{}
	for _, f := range whole {
		k := spotOf(&f)
		s := v.seen[k][keyOf(&f)]
		if s == nil {
			if f.Rule == rulePathUnknown {
				unsettled = append(unsettled, f)
			}
			continue
		}
		if f.Rule != rulePathUnknown {
			f.When = v.describe(s.in)
		}
		f.Related = slices.DeleteFunc(slices.Clone(f.Related), func(o topology.Origin) bool {
			return !slices.ContainsFunc(s.f.Related, func(p topology.Origin) bool { return p.ID == o.ID })
		})
		out = append(out, f)
		if said[k] == nil {
			said[k] = map[string]bool{}
		}
		kept[k], said[k][keyOf(&f)] = true, true
	}
	lost := false // what some variant has and nothing was said of
	for _, k := range v.spots() {
		more := v.only(k, said[k])
		if len(more) == 0 && !kept[k] {
			if f, ok := v.either(k); ok {
				more = append(more, f)
			}
		}
		if len(more) == 0 && !kept[k] {
			lost = lost || v.seen[k][v.keys[k][0]].f.Severity > Note
		}
		out = append(out, more...)
	}
	if lost {
		out = append(out, unsettled...)
	}
	return out
}

// spots returns the spots in a fixed order.
func (v *variants) spots() []spot {
	var out []spot
	for k := range v.keys {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b spot) int {
		return strings.Compare(a.rule+"\x00"+string(a.id), b.rule+"\x00"+string(b.id))
	})
	return out
}

// only returns the findings at a spot that the whole source does not have.
func (v *variants) only(k spot, said map[string]bool) []Finding {
	var out []Finding
	for _, key := range v.keys[k] {
		s := v.seen[k][key]
		if said[key] || !v.stays(s.in) {
			continue
		}
		f := s.f
		if f.Rule != rulePathUnknown {
			f.When = v.describe(s.in)
		}
		out = append(out, f)
	}
	return out
}

// either returns one finding for a spot at which the variants have different
// ones, when together they stay.
func (v *variants) either(k spot) (Finding, bool) {
	in := make([]bool, len(v.all))
	for _, s := range v.seen[k] {
		for i := range in {
			in[i] = in[i] || s.in[i]
		}
	}
	if !v.stays(in) {
		return Finding{}, false
	}
	f := v.seen[k][v.keys[k][0]].f
	if f.Rule != rulePathUnknown {
		f.When = v.describe(in)
	}
	return f, true
}

// stays reports that whatever may exist beside the resources of a variant with
// the finding does not take it away: it rests on what is there and not on what
// is missing, which another value of a parameter would add.
func (v *variants) stays(in []bool) bool {
	for i, has := range in {
		for j := range in {
			if has && !in[j] && v.within(i, j) {
				return false
			}
		}
	}
	return true
}

// within reports that what exists in variant i exists in variant j too.
func (v *variants) within(i, j int) bool {
	for k, has := range v.has[i] {
		if has && !v.has[j][k] {
			return false
		}
	}
	return true
}

// describe says in the source's terms which variants those are; "" for all.
func (v *variants) describe(in []bool) string {
	if !slices.Contains(in, false) {
		return ""
	}
	var terms []string
	left := make([]bool, len(in)) // variants that the terms so far admit
	for i := range left {
		left[i] = true
	}
	for k, w := range v.space.Formulas() {
		name, same := named(w)
		for _, want := range []bool{true, false} {
			common, exact, narrows := name != "", true, false
			for i := range in {
				common = common && (!in[i] || v.has[i][k] == want)
				exact = exact && in[i] == (v.has[i][k] == want)
				narrows = narrows || left[i] && v.has[i][k] != want
			}
			switch {
			case common && exact:
				return term(name, want == same)
			case common && narrows && !slices.Equal(left, in):
				terms = append(terms, term(name, want == same))
				for i := range left {
					left[i] = left[i] && v.has[i][k] == want
				}
			}
		}
	}
	if len(terms) == 0 {
		return "some of the conditions hold that are open"
	}
	return strings.Join(terms, " and ")
}

// named returns the name of a formula, or with same unset that of which it is
// the contrary.
func named(w *topology.When) (name string, same bool) {
	if w.Name == "" && w.Op == topology.WhenNot {
		return w.Parts[0].Name, false
	}
	return w.Name, true
}

// term says that a condition, or several joined by "and", holds or does not.
func term(name string, holds bool) string {
	several := strings.Contains(name, " and ")
	switch {
	case holds && several:
		return "conditions " + name + " hold"
	case holds:
		return "condition " + name + " holds"
	case several:
		return "conditions " + name + " do not both hold"
	}
	return "condition " + name + " does not hold"
}
