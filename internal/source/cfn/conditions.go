package cfn

import (
	"fmt"

	"github.com/hoplab/hoplab/internal/topology"
)

// truth is the value of a condition; maybe stands for not settled.
type truth uint8

const (
	maybe truth = iota
	yes
	no
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// condition is an entry of Conditions and its result.
type condition struct {
	state uint8 // 0 not evaluated, 1 under evaluation, 2 done
	val   truth
	why   string
	when  *topology.When // nil until asked for
}

// condition returns the named condition and, when it is not settled, why.
func (s *Stack) condition(name string, line int32) (truth, string) {
	c := s.conds[name]
	if c == nil {
		return maybe, s.unknown(line, "", "there is no condition %s", name).Why()
	}
	switch c.state {
	case 1:
		s.asm.cycle(s, line, "condition "+name)
		return maybe, s.unknown(line, "", "condition %s refers to itself", name).Why()
	case 0:
		if !s.asm.descend() {
			return maybe, s.tooLong(line).Why()
		}
		defer s.asm.ascend()
		c.state = 1
		c.val, c.why = s.test(s.root.get("Conditions").get(name), 0)
		c.state = 2
	}
	return c.val, c.why
}

// test evaluates a condition expression.
func (s *Stack) test(n *node, depth int) (truth, string) {
	if n == nil || n.kind != nMap || len(n.keys) != 1 || depth > maxDepth {
		var line int32
		if n != nil {
			line = n.line
		}
		return maybe, s.unknown(line, "", "not a condition").Why()
	}
	name, arg := n.keys[0].name, n.kids[0]
	switch name {
	case "Condition":
		ref, ok := arg.scalar()
		if !ok {
			return maybe, s.unknown(n.line, "", "Condition wants a name").Why()
		}
		return s.condition(ref, n.line)
	case "Fn::Equals":
		return s.equals(arg, n.line)
	case "Fn::Not":
		if arg.kind != nList || len(arg.kids) != 1 {
			return maybe, s.unknown(n.line, "", "Fn::Not wants one condition").Why()
		}
		v, why := s.test(arg.kids[0], depth+1)
		switch v {
		case yes:
			return no, ""
		case no:
			return yes, ""
		}
		return maybe, why
	case "Fn::And":
		return s.all(arg, n.line, no, depth)
	case "Fn::Or":
		return s.all(arg, n.line, yes, depth)
	}
	return maybe, s.unknown(n.line, "", "condition %s is not evaluated", name).Why()
}

// all evaluates And (decides is no) and Or (decides is yes): one condition
// that decides settles it, whatever the others are.
func (s *Stack) all(arg *node, line int32, decides truth, depth int) (truth, string) {
	if arg.kind != nList || len(arg.kids) == 0 {
		return maybe, s.unknown(line, "", "Fn::And and Fn::Or want a list of conditions").Why()
	}
	open := ""
	for _, k := range arg.kids {
		v, why := s.test(k, depth+1)
		switch v {
		case decides:
			return decides, ""
		case maybe:
			if open == "" {
				open = why
			}
		}
	}
	if open != "" {
		return maybe, open
	}
	if decides == yes {
		return no, ""
	}
	return yes, ""
}

func (s *Stack) equals(arg *node, line int32) (truth, string) {
	if arg.kind != nList || len(arg.kids) != 2 {
		return maybe, s.unknown(line, "", "Fn::Equals wants two values").Why()
	}
	a, b := s.eval(arg.kids[0]), s.eval(arg.kids[1])
	x, okx := a.Text()
	y, oky := b.Text()
	switch {
	case okx && oky:
		return truthOf(x == y), ""
	case a.kind != Absent && equal(a, b):
		return yes, ""
	}
	for _, v := range []Value{a, b} {
		if v.kind == Unknown {
			return maybe, v.x.why
		}
	}
	return maybe, s.unknown(line, "", "Fn::Equals of %s and %s", a.describe(), b.describe()).Why()
}

func (s *Stack) fnIf(arg *node, line int32) Value {
	kids, bad, ok := s.args("Fn::If", "a condition and two values", arg, line, 3, 3)
	if !ok {
		return bad
	}
	name, ok := kids[0].scalar()
	if !ok {
		return s.unknown(line, "", "Fn::If wants the name of a condition")
	}
	v, why := s.condition(name, line)
	switch v {
	case yes:
		return s.eval(kids[1])
	case no:
		return s.eval(kids[2])
	}
	alts := []Value{s.eval(kids[1]), s.eval(kids[2])}
	out := s.choice(line, s.open(line, name, why), alts)
	if out.IsChoice() {
		out.x.when = s.named(name, 0)
	}
	// The same condition between the same values chooses the same.
	if a, b := alts[0].Same(), alts[1].Same(); out.IsChoice() && a != "" && b != "" {
		out.x.same = fmt.Sprintf("if:%s/%s(%s,%s)", s.Name, name, a, b)
	}
	return out
}

// open says that something at line hangs on a condition that is not settled.
func (s *Stack) open(line int32, condition, why string) string {
	return fmt.Sprintf("%s: it depends on condition %s, which is open: %s", Pos{s.File, int(line)}, condition, why)
}

// fnCondition is a condition function in the place of a value.
func (s *Stack) fnCondition(_ *node, line int32) Value {
	return s.unknown(line, "", "a condition function stands where a value is wanted")
}
