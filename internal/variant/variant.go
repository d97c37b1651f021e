// Package variant works out which of a deployment's conditional resources exist
// at once. A source with open conditions stands for several deployments, its
// variants; a solver for satisfiability tells which there are.
package variant

import (
	"github.com/go-air/gini"
	"github.com/go-air/gini/logic"
	"github.com/go-air/gini/z"

	"github.com/hoplab/hoplab/internal/topology"
)

// Bounds of what is worked out. A formula of more comparisons, or a source with
// more of them, is left alone: then nothing is known of what excludes what.
const (
	maxComparisons = 64
	maxNodes       = 4096
	maxVariants    = 64
)

// Space is the variants of one topology. It is not safe for concurrent use.
type Space struct {
	circuit  *logic.C
	solver   *gini.Gini
	added    []int8 // what of the circuit the solver knows
	lits     map[*topology.When]z.Lit
	is       map[[2]string]z.Lit
	texts    map[string][]string // by value: the texts that it is compared with
	among    map[string]bool     // values whose texts are all listed
	nodes    int
	tooLarge bool
	// whens are the formulas of resources, each once, in the order of the topology.
	whens []*topology.When
}

// New returns the variants of t, or nil when no resource has a formula, so that
// there is one variant.
func New(t *topology.Topology) *Space {
	s := &Space{circuit: logic.NewC(), lits: map[*topology.When]z.Lit{}, is: map[[2]string]z.Lit{},
		texts: map[string][]string{}, among: map[string]bool{}}
	seen := map[z.Lit]bool{}
	eachOrigin(t, func(o *topology.Origin) {
		if o.When == nil {
			return
		}
		if l := s.lit(o.When); !seen[l] {
			seen[l] = true
			s.whens = append(s.whens, o.When)
		}
	})
	if len(s.whens) == 0 {
		return nil
	}
	s.start()
	return s
}

// lit returns the literal of a formula.
func (s *Space) lit(w *topology.When) z.Lit {
	if l, ok := s.lits[w]; ok {
		return l
	}
	s.nodes++
	if s.tooLarge = s.tooLarge || s.nodes > maxNodes || len(s.is) > maxComparisons; s.tooLarge {
		return s.circuit.T
	}
	l := s.build(w)
	s.lits[w] = l
	return l
}

func (s *Space) build(w *topology.When) z.Lit {
	if w.Op == topology.WhenIs {
		for _, text := range w.Among {
			s.comparison(w.Value, text)
		}
		if len(w.Among) > 0 {
			s.among[w.Value] = true
		}
		return s.comparison(w.Value, w.Text)
	}
	parts := make([]z.Lit, len(w.Parts))
	for i, p := range w.Parts {
		parts[i] = s.lit(p)
	}
	switch w.Op {
	case topology.WhenNot:
		return parts[0].Not()
	case topology.WhenAny:
		return s.circuit.Ors(parts...)
	}
	return s.circuit.Ands(parts...)
}

func (s *Space) comparison(value, text string) z.Lit {
	k := [2]string{value, text}
	l, ok := s.is[k]
	if !ok {
		l = s.circuit.Lit()
		s.is[k] = l
		s.texts[value] = append(s.texts[value], text)
	}
	return l
}

// start gives the solver the formulas, and that a value is equal to one text
// only: of those that it may have, to one.
func (s *Space) start() {
	if s.tooLarge {
		return
	}
	s.solver = gini.New()
	for _, w := range s.whens {
		s.know(s.lits[w])
	}
	for value, texts := range s.texts {
		for i, a := range texts {
			for _, b := range texts[:i] {
				s.clause(s.is[[2]string{value, a}].Not(), s.is[[2]string{value, b}].Not())
			}
		}
		if !s.among[value] {
			continue
		}
		var one []z.Lit
		for _, a := range texts {
			one = append(one, s.is[[2]string{value, a}])
		}
		s.clause(one...)
	}
}

// know adds the clauses of a formula to the solver.
func (s *Space) know(l z.Lit) {
	s.added, _ = s.circuit.CnfSince(s.solver, s.added, l)
}

func (s *Space) clause(lits ...z.Lit) {
	for _, l := range lits {
		s.solver.Add(l)
	}
	s.solver.Add(z.LitNull)
}

// can reports whether the literals hold at once in some variant; it says yes
// when that is not known.
func (s *Space) can(lits ...z.Lit) bool {
	if s.solver == nil {
		return true
	}
	for _, l := range lits {
		s.know(l)
	}
	s.solver.Assume(lits...)
	return s.solver.Solve() >= 0
}

// Excludes reports that the two never exist at once. A nil Space knows of none.
func (s *Space) Excludes(a, b topology.Origin) bool {
	if s == nil || a.When == nil || b.When == nil {
		return false
	}
	return !s.can(s.lit(a.When), s.lit(b.When))
}

// Implies reports that b exists wherever a does.
func (s *Space) Implies(a, b topology.Origin) bool {
	if b.Maybe == "" {
		return true
	}
	if s == nil || a.When == nil || b.When == nil || s.solver == nil {
		return false
	}
	return !s.can(s.lit(a.When), s.lit(b.When).Not())
}

// Variant is one choice of which conditional resources exist.
type Variant struct {
	space *Space
	holds map[z.Lit]bool
}

// All returns the variants, in a fixed order for a given topology, and whether
// those are all of them. A nil Space has none, since nothing is conditional.
func (s *Space) All() ([]Variant, bool) {
	if s == nil {
		return nil, true
	}
	if s.solver == nil {
		return nil, false
	}
	var out []Variant
	for s.solver.Solve() > 0 {
		if len(out) == maxVariants {
			return nil, false
		}
		v := Variant{s, make(map[z.Lit]bool, len(s.whens))}
		var other []z.Lit // one of them is otherwise in the next variant
		blocked := map[z.Var]bool{}
		for _, w := range s.whens {
			l := s.lits[w]
			// A variable that no clause names has no value for either literal.
			v.holds[l] = s.solver.Value(l.Var().Pos()) == l.IsPos()
			if blocked[l.Var()] {
				continue // a formula and its negation
			}
			blocked[l.Var()] = true
			if v.holds[l] {
				l = l.Not()
			}
			other = append(other, l)
		}
		out = append(out, v)
		s.clause(other...)
	}
	return out, len(out) > 0
}

// Holds reports whether the formula holds in the variant; nil always does.
func (v Variant) Holds(w *topology.When) bool { return w == nil || v.holds[v.space.lits[w]] }

// Formulas returns the formulas of the topology's resources, each once.
func (s *Space) Formulas() []*topology.When { return s.whens }
