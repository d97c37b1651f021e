package cfn

import (
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// maxAtoms bounds the comparisons of a stack that may come out either way; with
// more, nothing is said of which conditions exclude one another. A table of
// every combination is enough for so few, and needs no solver.
const maxAtoms = 10

// atoms are the comparisons of a stack's conditions that are not settled, and
// the combinations of their results that can be.
type atoms struct {
	index map[string]int
	can   topology.Cases
}

// Cases returns the combinations in which the resource exists; nil when it
// always does, or when that cannot be said.
func (r *Resource) Cases() topology.Cases {
	if r.exist != maybe {
		return nil
	}
	name, ok := r.body.get("Condition").scalar()
	if !ok {
		return nil
	}
	s := r.Stack
	if s.atoms == nil {
		s.findAtoms()
	}
	if len(s.atoms.index) == 0 || len(s.atoms.index) > maxAtoms {
		return nil
	}
	w := s.cases(&node{kind: nMap, keys: []key{{name: "Condition"}}, kids: []*node{{kind: nScalar, text: name}}}, 0)
	return w.And(s.atoms.can)
}

// findAtoms lists the open comparisons of all conditions of the stack.
func (s *Stack) findAtoms() {
	a := &atoms{index: map[string]int{}}
	s.atoms = a
	type pair struct{ value, literal string }
	var pairs []pair
	var walk func(n *node, depth int)
	walk = func(n *node, depth int) {
		if n == nil || depth > maxDepth || len(a.index) > maxAtoms {
			return
		}
		if n.kind == nMap && len(n.keys) == 1 && n.keys[0].name == "Fn::Equals" {
			if k, value, literal := s.atom(n); k != "" {
				if _, ok := a.index[k]; !ok {
					a.index[k] = len(a.index)
					pairs = append(pairs, pair{value, literal})
				}
			}
			return
		}
		for _, k := range n.kids {
			walk(k, depth+1)
		}
	}
	walk(s.root.get("Conditions"), 0)
	if len(a.index) == 0 || len(a.index) > maxAtoms {
		return
	}
	size := 1 << len(a.index)
	a.can = topology.NewCases(size)
	for w := range size {
		ok := true
		for i, p := range pairs {
			for j, q := range pairs[:i] {
				// One value is not equal to two different texts.
				if w>>i&1 == 1 && w>>j&1 == 1 && p.value == q.value && p.literal != "" && q.literal != "" && p.literal != q.literal {
					ok = false
				}
			}
		}
		if ok {
			a.can.Set(w)
		}
	}
}

// atom returns a key of a comparison that is not settled, with the value and
// the text that it is compared with; "" for one that is settled.
func (s *Stack) atom(n *node) (key, value, literal string) {
	arg := n.kids[0]
	if v, _ := s.equals(arg, n.line); v != maybe || arg.kind != nList || len(arg.kids) != 2 {
		return "", "", ""
	}
	x, y := s.eval(arg.kids[0]).Same(), s.eval(arg.kids[1]).Same()
	if strings.HasPrefix(x, "=") {
		x, y = y, x
	}
	if x == "" || y == "" {
		return Pos{s.File, int(n.line)}.String() + x + y, "", ""
	}
	if strings.HasPrefix(y, "=") {
		literal = y
	} else if y < x {
		x, y = y, x
	}
	return x + "\x00" + y, x, literal
}

// cases returns the combinations in which a condition holds.
func (s *Stack) cases(n *node, depth int) topology.Cases {
	size := 1 << len(s.atoms.index)
	out := topology.NewCases(size)
	all := func() topology.Cases {
		for w := range size {
			out.Set(w)
		}
		return out
	}
	if n == nil || n.kind != nMap || len(n.keys) != 1 || depth > maxDepth {
		return all() // nothing is known, so it may hold in every one
	}
	arg := n.kids[0]
	switch n.keys[0].name {
	case "Condition":
		name, _ := arg.scalar()
		if c := s.root.get("Conditions").get(name); c != nil {
			return s.cases(c, depth+1)
		}
	case "Fn::Not":
		if arg.kind == nList && len(arg.kids) == 1 && s.exact(arg.kids[0], depth+1) {
			inner := s.cases(arg.kids[0], depth+1)
			for w := range size {
				if !inner.Has(w) {
					out.Set(w)
				}
			}
			return out
		}
	case "Fn::And", "Fn::Or":
		if arg.kind != nList || len(arg.kids) == 0 {
			break
		}
		out = s.cases(arg.kids[0], depth+1)
		for _, k := range arg.kids[1:] {
			next := s.cases(k, depth+1)
			if n.keys[0].name == "Fn::And" {
				out = out.And(next)
			} else {
				out = out.Or(next)
			}
		}
		return out
	case "Fn::Equals":
		if v, _ := s.equals(arg, n.line); v == no {
			return out
		}
		if k, _, _ := s.atom(n); k != "" {
			i := s.atoms.index[k]
			for w := range size {
				if w>>i&1 == 1 {
					out.Set(w)
				}
			}
			return out
		}
	}
	return all()
}

// exact reports that cases of a condition are exactly those in which it holds,
// so that the others are those in which it does not.
func (s *Stack) exact(n *node, depth int) bool {
	if n == nil || n.kind != nMap || len(n.keys) != 1 || depth > maxDepth {
		return false
	}
	arg := n.kids[0]
	switch n.keys[0].name {
	case "Condition":
		name, _ := arg.scalar()
		return s.exact(s.root.get("Conditions").get(name), depth+1)
	case "Fn::Equals":
		return true
	case "Fn::Not", "Fn::And", "Fn::Or":
		if arg.kind != nList || len(arg.kids) == 0 {
			return false
		}
		for _, k := range arg.kids {
			if !s.exact(k, depth+1) {
				return false
			}
		}
		return true
	}
	return false
}
