package cfn

import "strings"

// Pattern returns a string that is built from parts with its unknown parts
// as ${Label}; the text of a scalar is returned as it is, and anything else
// as "".
func (v Value) Pattern() string {
	switch v.kind {
	case Scalar:
		return v.text
	case Reference:
		return "${" + v.x.ref.String() + "}"
	case Unknown:
		if v.x.parts != nil {
			var b strings.Builder
			for _, p := range v.x.parts {
				b.WriteString(p.Pattern())
			}
			return b.String()
		}
		if l := v.Label(); l != "" {
			return "${" + l + "}"
		}
	}
	return ""
}

// Label names what an unknown value or a reference stands for, for a
// reader: a parameter, an import, a function. Different values may share a
// label; Same tells them apart.
func (v Value) Label() string {
	switch v.kind {
	case Reference:
		return v.x.ref.String()
	case Unknown:
		if v.x.parts != nil {
			return v.Pattern()
		}
		if v.x.label != "" {
			return v.x.label
		}
		name := v.x.same
		if i := strings.IndexByte(name, '('); i > 0 {
			return name[:i]
		}
		if i := strings.LastIndexByte(name, '@'); i >= 0 {
			name = name[:i]
		}
		for _, prefix := range []string{"param:", "name:", "attr:"} {
			name = strings.TrimPrefix(name, prefix)
		}
		return strings.Replace(name, "import:=", "import:", 1)
	}
	return ""
}

// Tail returns the known text at the end of a string: all of a scalar, what
// follows the last unknown part of a built string, else "".
func (v Value) Tail() string {
	switch v.kind {
	case Scalar:
		return v.text
	case Unknown:
		if n := len(v.x.parts); n > 0 {
			t, _ := v.x.parts[n-1].Text()
			return t
		}
	}
	return ""
}

// IsChoice reports that the value is one of several, which a condition that is
// not settled chooses among.
func (v Value) IsChoice() bool { return v.kind == Unknown && v.x.alts != nil }

// Same returns a key that two values share only if they are certainly equal
// once deployed, known or not. It is "" when nothing can be said.
func (v Value) Same() string {
	switch v.kind {
	case Scalar:
		return "=" + v.text
	case Reference:
		return "@" + v.x.ref.String()
	case Unknown:
		if v.x.parts == nil {
			return v.x.same
		}
		var b strings.Builder
		b.WriteByte('+')
		for _, p := range v.x.parts {
			s := p.Same()
			if s == "" {
				return ""
			}
			b.WriteString(s)
			b.WriteByte(0)
		}
		return b.String()
	}
	return ""
}

// choice returns the value that all alternatives agree on, else unknown.
func (s *Stack) choice(line int32, why string, alts []Value) Value {
	first := alts[0]
	agree := true
	for _, a := range alts[1:] {
		agree = agree && equal(first, a)
	}
	if agree {
		return first
	}
	return Value{kind: Unknown, line: line, stack: s, x: &extra{why: why, alts: alts}}
}

// equal reports that two values are certainly the same.
func equal(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case Absent:
		return true
	case List:
		return equalLists(a, b)
	case Map:
		return equalMaps(a, b)
	}
	k := a.Same()
	return k != "" && k == b.Same()
}

func equalLists(a, b Value) bool {
	if a.node != nil && a.node == b.node && a.stack == b.stack {
		return true
	}
	x, y := a.Items(), b.Items()
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !equal(x[i], y[i]) {
			return false
		}
	}
	return true
}

func equalMaps(a, b Value) bool {
	if a.node == b.node && a.stack == b.stack {
		return true
	}
	if len(a.node.keys) != len(b.node.keys) {
		return false
	}
	for _, k := range a.Keys() {
		if b.node.at(k) < 0 || !equal(a.Get(k), b.Get(k)) {
			return false
		}
	}
	return true
}
