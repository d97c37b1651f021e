package cfn

import (
	"iter"
	"strings"
	"unicode"

	"github.com/hoplab/hoplab/internal/fail"
)

// loopPrefix begins the name of a loop of the transform AWS::LanguageExtensions.
const loopPrefix = "Fn::ForEach::"

// isLoop reports that name is a loop or something else that adds entries to the
// map it stands in when the template is deployed.
func isLoop(name string) bool { return strings.HasPrefix(name, "Fn::ForEach") }

// expand returns n with the loops below it written out. A loop whose collection
// is not settled stays as it is. Nodes without loops are shared, not copied.
// Loops that multiply beyond maxWritten are an error of the load, and nothing
// more is written out.
// Source of the form: the language reference's page on Fn::ForEach.
func (s *Stack) expand(n *node, depth int) *node {
	if s.asm.failure != nil || n == nil || n.kind == nScalar || n.kind == nNull || depth > maxDepth || !hasLoop(n, 0) {
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
		for r := range rounds {
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

// rounds yields the body of a loop once for each item of its collection.
func (s *Stack) rounds(n *node) (iter.Seq[*node], bool) {
	if n == nil || n.kind != nList || len(n.kids) != 3 || n.kids[2].kind != nMap {
		return nil, false
	}
	id, ok := n.kids[0].scalar()
	list := s.eval(n.kids[1])
	if !ok || list.kind != List {
		return nil, false
	}
	var texts []string
	for _, item := range list.Items() {
		text, ok := item.Text()
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return func(yield func(*node) bool) {
		for _, text := range texts {
			made := newCopier(id, text, &s.asm.writes).copy(n.kids[2], 0)
			if s.asm.writes < 0 {
				s.tooManyRounds(n.line)
				return
			}
			if !yield(made) || s.asm.failure != nil {
				return
			}
		}
	}, true
}

func (s *Stack) tooManyRounds(line int32) {
	if s.asm.failure == nil {
		s.asm.failure = fail.Newf(fail.Usage, "write fewer items, or loops inside each other",
			"%s:%d: Fn::ForEach writes out more than %d values, or text of as much", s.File, line, maxWritten)
	}
}

// copier copies a loop's body and puts the item in the place of its name. It
// takes one of left for a value and for each textPerValue bytes of text.
type copier struct {
	id, text string
	put      *strings.Replacer
	left     *int
}

const textPerValue = 64

// newCopier puts the item as it is in the place of ${id}, and its letters and
// digits alone in that of &{id}.
func newCopier(id, text string, left *int) *copier {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
	return &copier{id, text, strings.NewReplacer("${"+id+"}", text, "&{"+id+"}", plain), left}
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

// replace puts the item into a string; what would be longer than what is left
// stays as it is.
func (c *copier) replace(s string) string {
	places := strings.Count(s, "{"+c.id+"}")
	if *c.left -= places * (1 + len(c.text)/textPerValue); places == 0 || *c.left < 0 {
		return s
	}
	return c.put.Replace(s)
}
