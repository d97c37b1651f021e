package cfn

import (
	"strings"
	"unicode"
)

// loopPrefix begins the name of a loop of the transform AWS::LanguageExtensions.
const loopPrefix = "Fn::ForEach::"

// isLoop reports that name is a loop or something else that adds entries to the
// map it stands in when the template is deployed.
func isLoop(name string) bool { return strings.HasPrefix(name, "Fn::ForEach") }

// expand returns n with the loops below it written out. A loop whose collection
// is not settled stays as it is. Nodes without loops are shared, not copied.
// Source of the form: the language reference's page on Fn::ForEach.
func (s *Stack) expand(n *node, depth int) *node {
	if n == nil || n.kind == nScalar || n.kind == nNull || depth > maxDepth || !hasLoop(n, 0) {
		return n
	}
	out := &node{kind: n.kind, line: n.line, text: n.text}
	if n.kind == nList {
		for _, k := range n.kids {
			out.kids = append(out.kids, s.expand(k, depth+1))
		}
		return out
	}
	for i, k := range n.keys {
		if !strings.HasPrefix(k.name, loopPrefix) {
			out.add(k, s.expand(n.kids[i], depth+1))
			continue
		}
		rounds, ok := s.rounds(n.kids[i])
		if !ok {
			out.add(k, n.kids[i])
			continue
		}
		for _, r := range rounds {
			made := s.expand(r, depth+1)
			for j := range made.keys {
				out.add(made.keys[j], made.kids[j])
			}
		}
	}
	return out
}

// hasLoop reports whether a loop stands anywhere below n.
func hasLoop(n *node, depth int) bool {
	if n == nil || depth > maxDepth {
		return false
	}
	for _, k := range n.keys {
		if strings.HasPrefix(k.name, loopPrefix) {
			return true
		}
	}
	for _, k := range n.kids {
		if k.kind >= nList && hasLoop(k, depth+1) {
			return true
		}
	}
	return false
}

// rounds returns the body of a loop once for each item of its collection.
func (s *Stack) rounds(n *node) ([]*node, bool) {
	if n == nil || n.kind != nList || len(n.kids) != 3 || n.kids[2].kind != nMap {
		return nil, false
	}
	id, ok := n.kids[0].scalar()
	list := s.eval(n.kids[1])
	if !ok || list.kind != List {
		return nil, false
	}
	var out []*node
	for _, item := range list.Items() {
		text, ok := item.Text()
		if !ok {
			return nil, false
		}
		c := copier{id: id, text: text, left: &s.asm.work}
		out = append(out, c.copy(n.kids[2], 0))
		if s.asm.work < 0 {
			return nil, false
		}
	}
	return out, true
}

// copier copies a loop's body and puts the item in the place of its name.
type copier struct {
	id, text string
	left     *int
}

func (c *copier) copy(n *node, depth int) *node {
	if *c.left--; n == nil || depth > maxDepth || *c.left < 0 {
		return n
	}
	if name, arg, ok := call(n); ok && name == "Ref" {
		if t, ok := arg.scalar(); ok && t == c.id {
			return &node{kind: nScalar, line: n.line, text: c.text}
		}
	}
	out := &node{kind: n.kind, line: n.line, text: n.text}
	if n.kind == nScalar {
		out.text = c.replace(n.text)
	}
	for i, k := range n.kids {
		v := c.copy(k, depth+1)
		if n.kind == nMap {
			out.add(key{c.replace(n.keys[i].name), n.keys[i].line}, v)
			continue
		}
		out.kids = append(out.kids, v)
	}
	return out
}

// replace puts the item into a string: as it is for ${Name}, its letters and
// digits alone for &{Name}.
func (c *copier) replace(s string) string {
	if !strings.Contains(s, "{"+c.id+"}") {
		return s
	}
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, c.text)
	return strings.NewReplacer("${"+c.id+"}", c.text, "&{"+c.id+"}", plain).Replace(s)
}
