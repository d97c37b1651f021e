package resource

import (
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
)

// Reserved is the set of characters that no input may contain.
const Reserved = "\uFDD0\uFDD1\uFDD2\uFDD3"

// Symbol returns the string that stands for attribute attr of the resource
// at address, for example ("aws_security_group.alb", "id").
func Symbol(address, attr string) string {
	return string(symbolOpen) + address + string(symbolMid) + attr + string(closing)
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
	address, attr, ok = strings.Cut(rest, string(symbolMid))
	if !ok || strings.ContainsAny(address+attr, Reserved) {
		return "", "", false
	}
	return address, attr, true
}

// Hole returns the string that stands for an unknown value inside a string
// that is encoded structure, such as the result of jsonencode. why is its reason.
func Hole(why string) string {
	return string(holeOpen) + strings.Map(dropReserved, why) + string(closing)
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

func dropReserved(r rune) rune {
	if strings.ContainsRune(Reserved, r) {
		return -1
	}
	return r
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
	for _, r := range s {
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

// Cause is the mark that an unknown value carries: why it is unknown, with
// the place. It rides through expressions so that the attribute at the end
// can say which data source or variable left it open.
type Cause struct{ Text string }

// Unknown returns a value of no settled type that says why it is unknown.
func Unknown(why string) cty.Value { return cty.DynamicVal.Mark(Cause{why}) }
