package resource

import (
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// The identity of a resource ("aws_lb.main.arn") is not known before apply,
// yet it is all a topology needs. It travels through expressions as a string
// that names the resource between Unicode noncharacters, which are reserved
// for such internal use and cannot stand in a Terraform file that loads.
const (
	symbolOpen = '\uFDD0' // opens a symbol
	symbolMid  = '\uFDD1' // between address and attribute
	holeOpen   = '\uFDD2' // opens a hole: an unknown value inside an encoded string
	closing    = '\uFDD3' // ends either
	quote      = '\uFDD4' // a quotation mark in an address, so that JSON can hold symbols
	backslash  = '\uFDD5' // likewise
)

// Reserved is the set of characters that no input may contain.
const Reserved = "\uFDD0\uFDD1\uFDD2\uFDD3\uFDD4\uFDD5"

var (
	conceal = strings.NewReplacer(`"`, string(quote), `\`, string(backslash))
	reveal  = strings.NewReplacer(string(quote), `"`, string(backslash), `\`)
)

// Symbol returns the string that stands for attribute attr of the resource
// at address, for example ("aws_security_group.alb", "id").
func Symbol(address, attr string) string {
	return string(symbolOpen) + conceal.Replace(address) + string(symbolMid) + attr + string(closing)
}

// ParseSymbol returns the address and attribute if s is exactly one symbol.
func ParseSymbol(s string) (address, attr string, ok bool) {
	rest, ok := strings.CutPrefix(s, string(symbolOpen))
	if !ok {
		return "", "", false
	}
	rest, ok = strings.CutSuffix(rest, string(closing))
	if !ok {
		return "", "", false
	}
	address, attr, ok = strings.Cut(reveal.Replace(rest), string(symbolMid))
	if !ok || strings.ContainsAny(address+attr, Reserved) {
		return "", "", false
	}
	return address, attr, true
}

// Hole returns the string that stands for an unknown value inside a string
// that is encoded structure, such as the result of jsonencode. why is its reason.
func Hole(why string) string {
	return string(holeOpen) + strings.Map(plainRune, why) + string(closing)
}

// ParseHole returns the reason if s is exactly one hole.
func ParseHole(s string) (why string, ok bool) {
	rest, ok := strings.CutPrefix(s, string(holeOpen))
	if !ok {
		return "", false
	}
	rest, ok = strings.CutSuffix(rest, string(closing))
	if !ok || strings.ContainsAny(rest, Reserved) {
		return "", false
	}
	return rest, true
}

// QuoteHoles puts the holes of a JSON text that stand outside of its strings
// into quotation marks, as where a template writes a number that is not known.
func QuoteHoles(text string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); {
		n := 1
		switch c := text[i]; {
		case strings.HasPrefix(text[i:], string(holeOpen)) && SymbolLength(text[i:]) > 0:
			n = SymbolLength(text[i:])
			if !inString {
				b.WriteString(`"` + text[i:i+n] + `"`)
				i += n
				continue
			}
		case inString && c == '\\' && i+1 < len(text):
			n = 2
		case c == '"':
			inString = !inString
		}
		b.WriteString(text[i : i+n])
		i += n
	}
	return b.String()
}

func plainRune(r rune) rune {
	switch {
	case strings.ContainsRune(Reserved, r), r < ' ':
		return -1
	case r == '"':
		return '\''
	case r == '\\':
		return '/'
	}
	return r
}

// OpenParts tells what keeps a string from being settled: the reasons of its
// holes, and the symbols in it. It is empty for a settled string.
func OpenParts(s string) string {
	var parts []string
	add := func(text string) {
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	for {
		i := strings.IndexAny(s, string(symbolOpen)+string(holeOpen))
		if i < 0 {
			break
		}
		s = s[i:]
		end := strings.IndexRune(s, closing)
		if end < 0 {
			break
		}
		part := s[:end+len(string(closing))]
		s = s[len(part):]
		if why, ok := ParseHole(part); ok {
			add(why)
		} else if address, attr, ok := ParseSymbol(part); ok {
			add(address + "." + attr + " is known only after apply")
		}
	}
	if len(parts) > 2 {
		parts = append(parts[:2:2], "and more")
	}
	return strings.Join(parts, "; ")
}

// IsSettled reports that s holds no symbol and no hole: it is the text that
// AWS will see.
func IsSettled(s string) bool { return !strings.ContainsAny(s, Reserved) }

// Render shows a string with symbols as a reader would write it:
// "${aws_lb.main.arn}".
func Render(s string) string {
	if IsSettled(s) {
		return s
	}
	var b strings.Builder
	hole := false
	for _, r := range reveal.Replace(s) {
		switch r {
		case symbolOpen:
			b.WriteString("${")
		case symbolMid:
			b.WriteByte('.')
		case holeOpen:
			b.WriteString("${unknown}")
			hole = true
		case closing:
			if !hole {
				b.WriteByte('}')
			}
			hole = false
		default:
			if !hole {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// HasSymbol reports that v, which may be a collection, holds a string that
// is not settled. Unknown values are not symbols.
func HasSymbol(v cty.Value) bool {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() {
		return false
	}
	t := v.Type()
	if t == cty.String {
		return !IsSettled(v.AsString())
	}
	if !t.IsCollectionType() && !t.IsObjectType() && !t.IsTupleType() {
		return false
	}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if HasSymbol(e) || (t.IsMapType() || t.IsObjectType()) && HasSymbol(k) {
			return true
		}
	}
	return false
}

// EachSymbol calls f for every symbol in the strings of v, at any depth.
func EachSymbol(v cty.Value, f func(address, attr string)) {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() {
		return
	}
	t := v.Type()
	if t == cty.String {
		s := v.AsString()
		for i := strings.IndexRune(s, symbolOpen); i >= 0; i = strings.IndexRune(s, symbolOpen) {
			s = s[i:]
			n := SymbolLength(s)
			if n == 0 {
				return
			}
			if address, attr, ok := ParseSymbol(s[:n]); ok {
				f(address, attr)
			}
			s = s[n:]
		}
		return
	}
	if !t.IsCollectionType() && !t.IsObjectType() && !t.IsTupleType() {
		return
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		EachSymbol(e, f)
	}
}

// Cause is the mark that an unknown value carries: why it is unknown, with
// the place. It rides through expressions so that the attribute at the end
// can say which data source or variable left it open.
type Cause struct {
	Text string
	// Set is set for a value that is certainly not null, whatever it is.
	Set bool
}

// Unknown returns a value of no settled type that says why it is unknown.
func Unknown(why string) cty.Value { return cty.DynamicVal.Mark(Cause{Text: why}) }

// UnknownSet is Unknown of a value that is certainly not null.
func UnknownSet(why string) cty.Value { return cty.DynamicVal.Mark(Cause{Text: why, Set: true}) }

// SymbolLength returns the length in bytes of the symbol or hole with which s
// begins, 0 when it begins with none.
func SymbolLength(s string) int {
	if !strings.HasPrefix(s, string(symbolOpen)) && !strings.HasPrefix(s, string(holeOpen)) {
		return 0
	}
	end := strings.IndexRune(s, closing)
	if end < 0 {
		return 0
	}
	return end + len(string(closing))
}
