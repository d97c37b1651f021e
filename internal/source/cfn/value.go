package cfn

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// Kind says what a value resolved to.
type Kind uint8

const (
	Absent    Kind = iota // not in the template, null, or AWS::NoValue
	Scalar                // a known string, number or boolean
	List                  // a list; its items may be anything
	Map                   // a map; its values may be anything
	Reference             // a reference to a resource or one of its attributes
	Unknown               // set, but not settled by the templates
)

// Value is what an expression in a template resolves to. Values inside a
// list or map are resolved when they are asked for. The zero Value is absent.
type Value struct {
	kind  Kind
	line  int32
	stack *Stack
	node  *node // of a list or map as written
	text  string
	x     *extra
}

// extra is what the rarer kinds need.
type extra struct {
	items []Value        // of a list that a function or parameter built
	ref   Ref            // of a Reference
	why   string         // of an Unknown
	same  string         // of an Unknown: equal means certainly the same value
	label string         // of an Unknown: its name for people, when same does not hold it
	parts []Value        // of an Unknown string: known text and what stands between
	alts  []Value        // of an Unknown choice: each value it may be
	when  *topology.When // of Fn::If: under what it is the first of alts, else the second
}

// Ref is a reference to a resource of the assembly: to itself when Attr is
// empty (Ref), else to an attribute (Fn::GetAtt).
type Ref struct {
	Resource *Resource
	Attr     string
}

// Pos is a place in a file. Line counts from 1; it is 0 when there is none.
type Pos struct {
	File string
	Line int
}

// String returns "file:line", or the file alone.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Kind returns what the value is.
func (v Value) Kind() Kind { return v.kind }

// IsAbsent reports that there is no value.
func (v Value) IsAbsent() bool { return v.kind == Absent }

// IsUnknown reports that the value is set but not settled by the templates.
func (v Value) IsUnknown() bool { return v.kind == Unknown }

// Pos returns where the value is written. For an imported value it is the
// place of the output that exports it.
func (v Value) Pos() Pos {
	if v.stack == nil {
		return Pos{}
	}
	return Pos{v.stack.File, int(v.line)}
}

// Text returns the text of a scalar. Numbers and booleans have the text they
// were written with.
func (v Value) Text() (string, bool) { return v.text, v.kind == Scalar }

// Int returns a scalar as an integer; 8080, "8080" and 8080.0 are the same,
// as for CloudFormation.
func (v Value) Int() (int, bool) {
	if v.kind != Scalar {
		return 0, false
	}
	text := strings.TrimSpace(v.text)
	if n, err := strconv.Atoi(text); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}

// Bool returns a scalar as a boolean; true and "true" are the same.
func (v Value) Bool() (val, ok bool) {
	if v.kind != Scalar {
		return false, false
	}
	switch strings.ToLower(v.text) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Ref returns the resource or attribute that the value refers to.
func (v Value) Ref() (Ref, bool) {
	if v.kind != Reference {
		return Ref{}, false
	}
	return v.x.ref, true
}

// Why returns why an unknown value is unknown, with file and line, else "".
func (v Value) Why() string {
	if v.kind != Unknown {
		return ""
	}
	return v.x.why
}

// Get returns the value under name in a map. It is absent when the map has
// none, and unknown when v is unknown or no map.
func (v Value) Get(name string) Value {
	switch v.kind {
	case Absent:
		return Value{}
	case Map:
		n := v.node.get(name)
		if n == nil {
			return v.added(name)
		}
		return v.stack.eval(n)
	case Unknown:
		if v.x.alts != nil {
			return v.each(func(a Value) Value { return a.Get(name) })
		}
		return Value{kind: Unknown, line: v.line, stack: v.stack, x: &extra{why: v.x.why}}
	}
	return v.unknown("expected a map with %s, found %s", name, v.describe())
}

// added returns what a map without an entry of that name has under it: nothing,
// or something unknown when a loop or a transform adds to the map at deploy.
func (v Value) added(name string) Value {
	for _, k := range v.node.keys {
		if isLoop(k.name) || k.name == "Fn::Transform" {
			return v.stack.unknown(k.line, "", "%s may add %s", k.name, name)
		}
	}
	return Value{}
}

// each applies f to every value that an unsettled choice may be: when all
// agree, the choice does not matter.
func (v Value) each(f func(Value) Value) Value {
	out := make([]Value, len(v.x.alts))
	for i, a := range v.x.alts {
		out[i] = f(a)
	}
	return v.stack.choice(v.line, v.x.why, out)
}

// At follows names through nested maps.
func (v Value) At(names ...string) Value {
	for _, n := range names {
		v = v.Get(n)
	}
	return v
}

// Keys returns the names of a map in the order they are written.
func (v Value) Keys() []string {
	if v.kind != Map {
		return nil
	}
	out := make([]string, len(v.node.keys))
	for i := range v.node.keys {
		out[i] = v.node.keys[i].name
	}
	return out
}

// Items returns the items of a list without those that AWS::NoValue removes.
// Anything but a list has none; see Each for properties that take one value
// or several.
func (v Value) Items() []Value {
	if v.kind != List {
		return nil
	}
	if v.node == nil {
		return v.x.items
	}
	out := make([]Value, 0, len(v.node.kids))
	for _, n := range v.node.kids {
		if item := v.stack.eval(n); item.kind != Absent {
			out = append(out, item)
		}
	}
	return out
}

// Each returns the items of a list, or the value itself when it is present
// and no list: IAM actions and the like are written both ways. An unknown
// list gives one unknown item.
func (v Value) Each() []Value {
	switch v.kind {
	case Absent:
		return nil
	case List:
		return v.Items()
	}
	return []Value{v}
}

// Alternative is a value that another may be.
type Alternative struct {
	Value Value
	When  *topology.When // nil: always
	Why   string         // why it is not settled; "" when it is
}

// Alternatives returns the values that v may be and when it is each, through
// choices in choices; an absent one is left out. They are v alone, always, when
// it is no choice by a condition.
func (v Value) Alternatives() []Alternative { return v.alternatives(nil, "", 0) }

func (v Value) alternatives(when *topology.When, why string, depth int) []Alternative {
	if v.kind == Absent {
		return nil
	}
	if v.kind != Unknown || v.x.when == nil || depth > maxChoices {
		return []Alternative{{v, when, why}}
	}
	not := &topology.When{Op: topology.WhenNot, Parts: []*topology.When{v.x.when}}
	out := v.x.alts[0].alternatives(topology.Both(when, v.x.when), v.x.why, depth+1)
	return append(out, v.x.alts[1].alternatives(topology.Both(when, not), v.x.why, depth+1)...)
}

// maxChoices bounds choices in choices.
const maxChoices = 4

// Parts returns known text and unknown pieces of a built string in order, or
// v alone.
func (v Value) Parts() []Value {
	if v.kind == Unknown && v.x.parts != nil {
		return v.x.parts
	}
	return []Value{v}
}

// String returns "Stack/LogicalID" or "Stack/LogicalID.Attr".
func (r Ref) String() string {
	if r.Attr == "" {
		return r.Resource.Name()
	}
	return r.Resource.Name() + "." + r.Attr
}

// describe names the kind and, briefly, the content for a message.
func (v Value) describe() string {
	switch v.kind {
	case Scalar:
		if len(v.text) > 40 {
			return fmt.Sprintf("%q…", v.text[:40])
		}
		return strconv.Quote(v.text)
	case List:
		return "a list"
	case Map:
		return "a map"
	case Reference:
		return "a reference to " + v.x.ref.String()
	case Unknown:
		return "an unknown value"
	}
	return "nothing"
}

// unknown returns an unknown value at v's place; the reason starts with it.
func (v Value) unknown(format string, args ...any) Value {
	return v.stack.unknown(v.line, "", format, args...)
}

// unknown returns an unknown value of s at line. Values with the same
// non-empty key are certainly equal.
func (s *Stack) unknown(line int32, same, format string, args ...any) Value {
	why := fmt.Sprintf(format, args...)
	if s != nil {
		why = Pos{s.File, int(line)}.String() + ": " + why
	}
	return Value{kind: Unknown, line: line, stack: s, x: &extra{why: why, same: same}}
}

func (s *Stack) known(line int32, text string) Value {
	return Value{kind: Scalar, line: line, stack: s, text: text}
}

func (s *Stack) list(line int32, items []Value) Value {
	return Value{kind: List, line: line, stack: s, x: &extra{items: items}}
}

func (s *Stack) ref(line int32, r *Resource, attr string) Value {
	return Value{kind: Reference, line: line, stack: s, x: &extra{ref: Ref{r, attr}}}
}
