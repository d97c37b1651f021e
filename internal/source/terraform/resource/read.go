package resource

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/hoplab/hoplab/internal/topology"
)

// String returns a string attribute; numbers and booleans are converted as
// Terraform does.
func (b *Body) String(name string) topology.Opt[string] {
	a, ok := b.Attrs[name]
	if !ok {
		return topology.Opt[string]{}
	}
	return b.stringOf(a, name, a.Value)
}

func (b *Body) stringOf(a Attr, name string, v cty.Value) topology.Opt[string] {
	v, why, ok := settle(a, name, v)
	switch {
	case why != "":
		return topology.Unknown[string](why)
	case !ok:
		return topology.Opt[string]{}
	}
	s, err := convert.Convert(v, cty.String)
	if err != nil || s.IsNull() {
		return topology.Unknown[string](at(a, name, fmt.Sprintf("a string is needed, not %s", v.Type().FriendlyName())))
	}
	text := s.AsString()
	if !IsSettled(text) {
		return topology.Unknown[string](at(a, name, OpenParts(text)))
	}
	return topology.Known(text)
}

// Int returns a whole-number attribute.
func (b *Body) Int(name string) topology.Opt[int] {
	a, ok := b.Attrs[name]
	if !ok {
		return topology.Opt[int]{}
	}
	return scalar[int](a, name, cty.Number, "a whole number")
}

// NotInt says why a whole-number attribute has a settled value that is none,
// which the AWS provider refuses; it is "" for a number, and for a value that is
// not there or not known.
func (b *Body) NotInt(name string) (why, file string, line int) {
	a, ok := b.Attrs[name]
	if !ok {
		return "", "", 0
	}
	v, open, ok := settle(a, name, a.Value)
	if _, fits := b.Int(name).Get(); fits || open != "" || !ok || HasSymbol(v) || !v.IsWhollyKnown() {
		return "", "", 0
	}
	return fmt.Sprintf("%s: expected an integer, found %s", name, show(v)), a.File, a.Line
}

// Bool returns a boolean attribute.
func (b *Body) Bool(name string) topology.Opt[bool] {
	a, ok := b.Attrs[name]
	if !ok {
		return topology.Opt[bool]{}
	}
	return scalar[bool](a, name, cty.Bool, "true or false")
}

func scalar[T any](a Attr, name string, want cty.Type, kind string) topology.Opt[T] {
	v, why, ok := settle(a, name, a.Value)
	switch {
	case why != "":
		return topology.Unknown[T](why)
	case !ok:
		return topology.Opt[T]{}
	}
	if HasSymbol(v) {
		open := "it is made of what is known only after apply"
		if v.Type() == cty.String {
			open = OpenParts(v.AsString())
		}
		return topology.Unknown[T](at(a, name, open))
	}
	var out T
	c, err := convert.Convert(v, want)
	if err == nil {
		err = gocty.FromCtyValue(c, &out)
	}
	if err != nil {
		return topology.Unknown[T](at(a, name, fmt.Sprintf("%s is needed, not %s", kind, show(v))))
	}
	return topology.Known(out)
}

// Strings returns the elements of a list or set of strings. A list that is
// unknown as a whole is one unknown element; null elements are left out.
func (b *Body) Strings(name string) []topology.Opt[string] { return b.each(name, b.stringOf) }

// Ref returns the symbol that an attribute refers to, as the pair of address
// and attribute joined by Symbol, or the literal string when it is written out.
func (b *Body) Ref(name string) topology.Opt[string] {
	a, ok := b.Attrs[name]
	if !ok {
		return topology.Opt[string]{}
	}
	return b.refOf(a, name, a.Value)
}

// Refs returns what the elements of a list attribute refer to, as Ref does.
func (b *Body) Refs(name string) []topology.Opt[string] { return b.each(name, b.refOf) }

// each returns what of makes of the elements of a list attribute. A list that is
// unknown as a whole is one unknown element; absent elements are left out.
func (b *Body) each(name string, of func(a Attr, name string, v cty.Value) topology.Opt[string]) []topology.Opt[string] {
	a, ok := b.Attrs[name]
	if !ok {
		return nil
	}
	elems, why := elements(a, name)
	if why != "" {
		return []topology.Opt[string]{topology.Unknown[string](why)}
	}
	var out []topology.Opt[string]
	for _, e := range elems {
		if v := of(a, name, e); !v.IsAbsent() {
			out = append(out, v)
		}
	}
	return out
}

func (b *Body) refOf(a Attr, name string, v cty.Value) topology.Opt[string] {
	u, _ := v.Unmark()
	if u.IsKnown() && !u.IsNull() && u.Type() == cty.String {
		if s := u.AsString(); IsExactSymbol(s) {
			return topology.Known(s)
		}
	}
	s := b.stringOf(a, name, v)
	if text, ok := s.Get(); ok && b.Physical != nil {
		if symbol, ok := b.Physical(text); ok {
			return topology.Known(symbol)
		}
	}
	return s
}

// IsExactSymbol reports that s is one symbol and nothing else.
func IsExactSymbol(s string) bool {
	_, _, ok := ParseSymbol(s)
	return ok
}

// Prefix returns what is certain about the beginning of a string attribute
// that is not settled: the literal text before its first unknown part.
func (b *Body) Prefix(name string) string {
	a, ok := b.Attrs[name]
	if !ok {
		return ""
	}
	v, _ := a.Value.UnmarkDeep()
	if v.IsNull() {
		return ""
	}
	if !v.IsKnown() {
		if v.Type() != cty.String {
			return ""
		}
		return v.Range().StringPrefix()
	}
	if v.Type() != cty.String {
		return ""
	}
	s := v.AsString()
	if i := strings.IndexAny(s, Reserved); i >= 0 {
		return s[:i]
	}
	return s
}

// Map returns a map of strings; ok is false when its keys are not known.
func (b *Body) Map(name string) (m map[string]topology.Opt[string], ok bool) {
	a, set := b.Attrs[name]
	if !set {
		return nil, true
	}
	v, _ := a.Value.Unmark()
	if v.IsNull() {
		return nil, true
	}
	if !v.IsKnown() || !v.Type().IsMapType() && !v.Type().IsObjectType() {
		return nil, false
	}
	m = map[string]topology.Opt[string]{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		k, _ = k.Unmark()
		m[k.AsString()] = b.stringOf(a, name, e)
	}
	return m, true
}

// List returns the nested blocks of a type, or the objects of the attribute
// of that name. why is not empty when their number is unknown; the known
// ones are returned as well.
func (b *Body) List(name string) (blocks []*Body, why string) {
	blocks, why = b.Blocks[name], b.OpenBlocks[name]
	a, ok := b.Attrs[name]
	if !ok {
		return blocks, why
	}
	v, _ := a.Value.Unmark()
	if v.IsKnown() && !v.IsNull() && (v.Type().IsObjectType() || v.Type().IsMapType()) {
		return append(blocks, b.child(a, v)), why
	}
	elems, open := elements(a, name)
	for _, e := range elems {
		e, _ := e.Unmark()
		switch {
		case e.IsNull():
		case e.IsKnown() && (e.Type().IsObjectType() || e.Type().IsMapType()):
			blocks = append(blocks, b.child(a, e))
		case open == "":
			open = at(a, name, causes(e))
		}
	}
	if why == "" {
		why = open
	}
	return blocks, why
}

// One returns the only nested block of a type. why is not empty when it is
// unknown whether there is one.
func (b *Body) One(name string) (block *Body, why string) {
	blocks, why := b.List(name)
	if len(blocks) > 0 {
		return blocks[0], ""
	}
	return nil, why
}

// Has reports that the attribute or block is written at all, be it null-free or unknown.
func (b *Body) Has(name string) bool {
	if len(b.Blocks[name]) > 0 || b.OpenBlocks[name] != "" {
		return true
	}
	a, ok := b.Attrs[name]
	if !ok {
		return false
	}
	v, _ := a.Value.Unmark()
	return !v.IsKnown() || !v.IsNull()
}

// child makes an object value readable as a block. It keeps the place of the
// attribute that holds it: an object's own line is not recorded.
func (b *Body) child(a Attr, v cty.Value) *Body {
	c := NewBody(a.File, a.Line)
	c.Physical = b.Physical
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		k, _ = k.Unmark()
		c.Attrs[k.AsString()] = Attr{Value: e, File: a.File, Line: a.Line}
	}
	return c
}

// elements returns the elements of a list, set or tuple, or why they are unknown.
// A single string counts as a list of one: a plan cannot tell them apart.
func elements(a Attr, name string) (elems []cty.Value, why string) {
	v, why, ok := settle(a, name, a.Value)
	switch {
	case why != "":
		return nil, why
	case !ok:
		return nil, ""
	}
	t := v.Type()
	switch {
	case t.IsListType(), t.IsSetType(), t.IsTupleType():
		return v.AsValueSlice(), ""
	case t == cty.String:
		return []cty.Value{v}, ""
	}
	return nil, at(a, name, fmt.Sprintf("a list is needed, not %s", t.FriendlyName()))
}

// settle unmarks v one level deep and sorts out the two cases in which there
// is nothing to read: null (ok false) and unknown (why set).
func settle(a Attr, name string, v cty.Value) (out cty.Value, why string, ok bool) {
	u, _ := v.Unmark()
	if !u.IsKnown() {
		return u, at(a, name, causes(v)), false
	}
	if u.IsNull() {
		return u, "", false
	}
	return u, "", true
}

// at puts place and attribute name in front of a reason.
func at(a Attr, name, why string) string {
	if a.Line > 0 {
		place := fmt.Sprintf("%s:%d: ", a.File, a.Line)
		return place + name + ": " + strings.TrimPrefix(why, place)
	}
	return fmt.Sprintf("%s: %s", name, why)
}

// Why returns the reason that an unknown value carries.
func Why(v cty.Value) string { return causes(v) }

// causes lists the reasons of an unknown value; two are enough to act on.
func causes(v cty.Value) string {
	_, marks := v.UnmarkDeep()
	var texts []string
	for m := range marks {
		if c, ok := m.(Cause); ok {
			texts = append(texts, c.Text)
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Compare(a, b) })
	switch len(texts) {
	case 0:
		return "known only after apply"
	case 1, 2:
		return strings.Join(texts, "; ")
	}
	return fmt.Sprintf("%s; %s; and %d more reasons", texts[0], texts[1], len(texts)-2)
}

// show renders a value for a message, short.
func show(v cty.Value) string {
	v, _ = v.UnmarkDeep()
	if s, err := convert.Convert(v, cty.String); err == nil && s.IsKnown() && !s.IsNull() {
		text := Render(s.AsString())
		if r := []rune(text); len(r) > 60 {
			text = string(r[:60]) + "..."
		}
		return fmt.Sprintf("%q", text)
	}
	return v.Type().FriendlyName()
}

// Raw returns a string attribute with its symbols and holes still in it.
func (b *Body) Raw(name string) (string, bool) {
	a, ok := b.Attrs[name]
	if !ok {
		return "", false
	}
	v, _ := a.Value.Unmark()
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
		return "", false
	}
	return v.AsString(), true
}

// RawList returns the strings of a list attribute with their symbols and
// holes; an unknown element, or an unknown list, is "".
func (b *Body) RawList(name string) []string {
	a, ok := b.Attrs[name]
	if !ok {
		return nil
	}
	elems, why := elements(a, name)
	if why != "" {
		return []string{""}
	}
	var out []string
	for _, e := range elems {
		u, _ := e.Unmark()
		text := ""
		if u.IsKnown() && !u.IsNull() && u.Type() == cty.String {
			text = u.AsString()
		}
		out = append(out, text)
	}
	return out
}

// JSONDepth is how deep brackets nest in a text, outside of its strings.
func JSONDepth(text string) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
