package cfn

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// When returns the formula of the conditions on which the resource's existence
// hangs, those of the nested stacks around it included; nil when it is settled,
// or when no formula can be given.
func (r *Resource) When() *topology.When {
	var outer *topology.When
	if p := r.Stack.Nested; p != nil {
		outer = p.When()
	}
	if r.exist != maybe {
		return outer
	}
	name, ok := r.body.get("Condition").scalar()
	if !ok {
		return outer
	}
	return topology.Both(outer, r.Stack.named(name, 0))
}

// named returns the formula of a condition, the same one each time.
func (s *Stack) named(name string, depth int) *topology.When {
	c := s.conds[name]
	if c == nil {
		return &topology.When{Value: "condition " + s.Name + "/" + name}
	}
	if c.when == nil {
		c.when = s.opaque(s.root.get("Conditions").get(name)) // what a condition finds that refers to itself
		title := name
		if s.Nested != nil {
			title += " of " + s.Name
		}
		c.when = s.formula(s.root.get("Conditions").get(name), depth+1).Named(title)
	}
	return c.when
}

// opaque is a comparison of which nothing is known but where it stands.
func (s *Stack) opaque(n *node) *topology.When {
	return &topology.When{Value: fmt.Sprintf("%s %p", s.Name, n)}
}

// formula returns the formula of a condition expression.
func (s *Stack) formula(n *node, depth int) *topology.When {
	if n == nil || n.kind != nMap || len(n.keys) != 1 || depth > maxDepth {
		return s.opaque(n)
	}
	arg := n.kids[0]
	var op topology.WhenOp
	switch n.keys[0].name {
	case "Condition":
		if name, ok := arg.scalar(); ok {
			return s.named(name, depth)
		}
		return s.opaque(n)
	case "Fn::Equals":
		return s.compared(n)
	case "Fn::Not":
		op = topology.WhenNot
	case "Fn::And":
		op = topology.WhenAll
	case "Fn::Or":
		op = topology.WhenAny
	default:
		return s.opaque(n)
	}
	if arg.kind != nList || len(arg.kids) == 0 || op == topology.WhenNot && len(arg.kids) != 1 {
		return s.opaque(n)
	}
	out := &topology.When{Op: op}
	for _, k := range arg.kids {
		out.Parts = append(out.Parts, s.formula(k, depth+1))
	}
	return out
}

// compared returns the formula of Fn::Equals.
func (s *Stack) compared(n *node) *topology.When {
	arg := n.kids[0]
	if arg.kind != nList || len(arg.kids) != 2 {
		return s.opaque(n)
	}
	switch v, _ := s.equals(arg, n.line); v {
	case yes:
		return &topology.When{Op: topology.WhenAll}
	case no:
		return &topology.When{Op: topology.WhenAny}
	}
	x, y := s.eval(arg.kids[0]).Same(), s.eval(arg.kids[1]).Same()
	if strings.HasPrefix(x, "=") {
		x, y = y, x
	}
	switch {
	case x == "" || y == "":
		return s.opaque(n)
	case strings.HasPrefix(y, "="):
		return &topology.When{Value: x, Text: y, Among: s.allowed(x)}
	}
	return &topology.When{Value: min(x, y) + "\x00" + max(x, y)}
}

// maxAllowed bounds the allowed values of a parameter that are looked at.
const maxAllowed = 16

// allowed returns the texts that a parameter without a value may have, as Same
// gives them; nil when any is allowed.
func (s *Stack) allowed(same string) []string {
	name, ok := strings.CutPrefix(same, "param:"+s.Name+"/")
	if !ok {
		return nil
	}
	list := s.root.get("Parameters").get(name).get("AllowedValues")
	if list == nil || list.kind != nList || len(list.kids) > maxAllowed {
		return nil
	}
	var out []string
	for _, k := range list.kids {
		t, ok := k.scalar()
		if !ok {
			return nil
		}
		out = append(out, "="+t)
	}
	return out
}
