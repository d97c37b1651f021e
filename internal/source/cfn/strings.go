package cfn

import (
	"encoding/base64"
	"strings"
)

// concat joins parts into a string. Parts that are not known keep it
// unknown, with the known text around them.
func (s *Stack) concat(fn string, parts []Value, line int32) Value {
	var out []Value
	var text strings.Builder // known text not yet in out
	flush := func() {
		if text.Len() > 0 {
			out = append(out, s.known(line, text.String()))
			text.Reset()
		}
	}
	size := 0
	for _, p := range parts {
		for _, q := range p.Parts() {
			if size += len(q.text) + 1; size > maxText {
				return s.unknown(line, "", "%s builds more than %d bytes", fn, maxText)
			}
			switch q.kind {
			case Absent:
			case Scalar:
				text.WriteString(q.text)
			case List, Map:
				return s.unknown(line, "", "%s: %s stands where text is wanted", fn, q.describe())
			default:
				flush()
				out = append(out, q)
			}
		}
	}
	flush()
	s.asm.work -= size / 16
	switch {
	case len(out) == 0:
		return s.known(line, "")
	case len(out) == 1:
		v := out[0]
		v.line, v.stack = line, s
		return v
	}
	v := s.unknown(line, "", "")
	v.x.parts, v.x.why = out, s.openPart(fn, out, line)
	return v
}

// openPart says which part leaves the string open.
func (s *Stack) openPart(fn string, parts []Value, line int32) string {
	for _, p := range parts {
		switch p.kind {
		case Unknown:
			return p.x.why
		case Reference:
			return s.unknown(line, "", "%s: %s is settled at deploy", fn, p.x.ref.String()).Why()
		}
	}
	return ""
}

func (s *Stack) fnJoin(arg *node, line int32) Value {
	kids, bad, ok := s.args("Fn::Join", "a delimiter and a list", arg, line, 2, 2)
	if !ok {
		return bad
	}
	delim, ok := s.eval(kids[0]).Text()
	if !ok && kids[0].kind != nNull {
		return s.unknown(line, "", "Fn::Join: the delimiter is not settled")
	}
	list := s.eval(kids[1])
	switch list.kind {
	case List:
	case Unknown, Reference:
		return s.from(list, line, "Fn::Join", delim)
	default:
		return s.unknown(line, "", "Fn::Join: %s is no list", list.describe())
	}
	items := list.Items()
	parts := make([]Value, 0, 2*len(items))
	for i, item := range items {
		if i > 0 && delim != "" {
			parts = append(parts, s.known(line, delim))
		}
		parts = append(parts, item)
	}
	return s.concat("Fn::Join", parts, line)
}

func (s *Stack) fnSub(arg *node, line int32) Value {
	text, ok := arg.scalar()
	var vars *node
	if !ok {
		kids, bad, ok := s.args("Fn::Sub", "text, or text and a map", arg, line, 1, 2)
		if !ok {
			return bad
		}
		if text, ok = kids[0].scalar(); !ok {
			return s.unknown(line, "", "Fn::Sub: the text is not literal")
		}
		if len(kids) == 2 {
			vars = kids[1]
		}
	}
	var parts []Value
	for text != "" {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			break
		}
		name := strings.TrimSpace(text[i+2 : i+end])
		if i > 0 {
			parts = append(parts, s.known(line, text[:i]))
		}
		text = text[i+end+1:]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			parts = append(parts, s.known(line, "${"+literal+"}"))
			continue
		}
		parts = append(parts, s.variable(name, vars, line))
		if len(parts) > maxItems {
			return s.unknown(line, "", "Fn::Sub has more than %d variables", maxItems)
		}
	}
	parts = append(parts, s.known(line, text))
	return s.concat("Fn::Sub", parts, line)
}

// variable resolves ${name}: from the function's own map, a name, or an attribute.
func (s *Stack) variable(name string, vars *node, line int32) Value {
	if s.asm.work--; s.asm.work < 0 {
		return s.unknown(line, "", "the templates take too long to resolve")
	}
	if n := vars.get(name); n != nil {
		return s.eval(n)
	}
	id, attr, ok := strings.Cut(name, ".")
	if !ok {
		return s.lookup(name, line)
	}
	if r := s.byID[id]; r != nil {
		return s.resource(r, attr, line)
	}
	return s.unknown(line, "name:"+s.Name+"/"+name, "%s is not a resource of this template", id)
}

func (s *Stack) fnSplit(arg *node, line int32) Value {
	kids, bad, ok := s.args("Fn::Split", "a delimiter and text", arg, line, 2, 2)
	if !ok {
		return bad
	}
	delim, ok := s.eval(kids[0]).Text()
	if !ok || delim == "" {
		return s.unknown(line, "", "Fn::Split: the delimiter is not settled")
	}
	text := s.eval(kids[1])
	if text.kind == List || text.kind == Map || text.kind == Absent {
		return s.unknown(line, "", "Fn::Split: %s is no text", text.describe())
	}
	parts := text.Parts()
	for _, p := range parts {
		if !solid(p, delim) {
			return s.from(text, line, "Fn::Split", delim)
		}
	}
	return s.cut(parts, delim, line)
}

// solid reports that p cannot hold the delimiter, or is known text.
// Identifiers and ARNs hold neither commas nor bars, with which lists are
// passed between stacks; regions, accounts and partitions hold letters,
// digits, dots and dashes only.
func solid(p Value, delim string) bool {
	switch p.kind {
	case Scalar:
		return true
	case Reference:
		return strings.Trim(delim, ",|") == ""
	case Unknown:
		name, _, _ := strings.Cut(p.x.same, "@")
		switch name {
		case "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix":
			return strings.Trim(delim, ",|/:") == ""
		}
	}
	return false
}

// cut splits a built string at a delimiter that stands in known text only.
func (s *Stack) cut(parts []Value, delim string, line int32) Value {
	var items []Value
	var open []Value
	for _, p := range parts {
		if p.kind != Scalar {
			open = append(open, p)
			continue
		}
		pieces := strings.Split(p.text, delim)
		s.asm.work -= len(pieces)
		if len(items)+len(pieces) > maxItems {
			return s.unknown(line, "", "Fn::Split makes more than %d items", maxItems)
		}
		for i, piece := range pieces {
			if i > 0 {
				items, open = append(items, s.concat("Fn::Split", open, line)), nil
			}
			open = append(open, s.known(line, piece))
		}
	}
	items = append(items, s.concat("Fn::Split", open, line))
	return s.list(line, items)
}

func (s *Stack) fnBase64(arg *node, line int32) Value {
	v := s.eval(arg)
	if t, ok := v.Text(); ok {
		if base64.StdEncoding.EncodedLen(len(t)) > maxText {
			return s.unknown(line, "", "Fn::Base64 builds more than %d bytes", maxText)
		}
		s.asm.work -= len(t) / 16
		return s.known(line, base64.StdEncoding.EncodeToString([]byte(t)))
	}
	return s.from(v, line, "Fn::Base64", "")
}
