package module

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// lookup takes two arguments or three, and null as the third.
var lookup = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "inputMap", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true},
		{Name: "key", Type: cty.String},
	},
	VarParam: &function.Parameter{
		Name: "default", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true,
	},
	Type: function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		m, key := args[0], args[1].AsString()
		t := m.Type()
		switch {
		case len(args) > 3:
			return cty.NilVal, function.NewArgErrorf(3, "one default at most")
		case !m.IsKnown():
			return cty.DynamicVal, nil
		case t.IsObjectType():
			if t.HasAttribute(key) {
				return m.GetAttr(key), nil
			}
		case t.IsMapType():
			if has := m.HasIndex(args[1]); has.IsKnown() && has.True() {
				return m.Index(args[1]), nil
			}
		default:
			return cty.NilVal, function.NewArgErrorf(0, "a map or an object is needed")
		}
		if len(args) == 3 {
			return args[2], nil
		}
		return cty.NilVal, function.NewArgErrorf(1, "the given key does not identify an element of the map")
	},
})

// slice takes a piece of a list. Of a list that is not known the piece has as
// many elements as it is asked for: Terraform refuses a shorter list.
var slice = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "list", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true},
		{Name: "start_index", Type: cty.Number},
		{Name: "end_index", Type: cty.Number},
	},
	Type: function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		var from, to int
		err := errors.Join(gocty.FromCtyValue(args[1], &from), gocty.FromCtyValue(args[2], &to))
		list, marks := args[0].Unmark()
		if list.IsKnown() || err != nil || from < 0 || to < from || to-from > maxPiece {
			return stdlib.SliceFunc.Call(args)
		}
		element := cty.DynamicVal
		if t := list.Type(); t.IsListType() {
			element = cty.UnknownVal(t.ElementType())
		}
		piece := make([]cty.Value, to-from)
		for i := range piece {
			piece[i] = element.WithMarks(marks)
		}
		return cty.TupleVal(piece), nil
	},
})

// maxPiece bounds the piece of an unknown list, of which its indices alone give the size.
const maxPiece = 100

// idTypes are the resources whose id is a prefix and hexadecimal digits, such
// as sg-0a1b: letters in lower case, digits and hyphens.
var idTypes = regexp.MustCompile(`(^|\.)aws_(default_)?(security_group|subnet|vpc|instance|route_table|internet_gateway|launch_template|vpc_endpoint)\.`)

// plainID returns the symbol that v is, if it is the id of such a resource.
func plainID(v cty.Value) (address string, ok bool) {
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
		return "", false
	}
	address, attr, ok := resource.ParseSymbol(v.AsString())
	return address, ok && attr == "id" && idTypes.MatchString(address)
}

// idForm is the form of the ids of idTypes.
var idForm = regexp.MustCompile(`^[a-z]+-[0-9a-f]+$`)

// neverEqual reports that v is an id or an ARN and that other is a text which
// has not the form of one.
func neverEqual(v, other cty.Value) bool {
	if !isSymbol(v) || !other.IsKnown() || other.IsNull() || other.Type() != cty.String || !resource.IsSettled(other.AsString()) {
		return false
	}
	if _, ok := plainID(v); ok {
		return !idForm.MatchString(other.AsString())
	}
	_, attr, _ := resource.ParseSymbol(v.AsString())
	return attr == "arn" && !strings.HasPrefix(other.AsString(), "arn:")
}

// apart reports that no id holds the text: one of its characters never stands in one.
func apart(text string) bool {
	for _, r := range text {
		if r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			return true
		}
	}
	return false
}

// spaces are the regular expressions, as replace takes them, that match white space alone.
var spaces = regexp.MustCompile(`^/(\\s|\\n|\\r|\\t|\[\[:space:\]\]|[ +*])+/$`)

// throughSymbols evaluates a function that looks into strings for arguments
// with identifiers, where what it makes of them is certain.
func throughSymbols(name string, args []cty.Value) (cty.Value, bool) {
	text := func(i int) string {
		if i >= len(args) {
			return ""
		}
		v, _ := args[i].Unmark()
		if !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
			return ""
		}
		return v.AsString()
	}
	_, id := plainID(args[0])
	switch name {
	case "trimspace", "chomp":
		if _, _, exact := resource.ParseSymbol(text(0)); exact {
			return args[0], true
		}
	case "lower":
		return args[0], id
	case "trim", "trimprefix", "trimsuffix":
		return args[0], id && apart(text(1))
	case "replace":
		re := len(text(1)) > 1 && strings.HasPrefix(text(1), "/") && strings.HasSuffix(text(1), "/")
		return args[0], id && (re && spaces.MatchString(text(1)) || !re && apart(text(1)))
	case "split":
		return splitSymbols(text(0), text(1))
	case "sort":
		return sortSymbols(args[0])
	case "jsondecode":
		return decodeSymbols(text(0))
	}
	return cty.NilVal, false
}

// splitSymbols splits a text with identifiers where none of them can hold the separator.
func splitSymbols(sep, text string) (cty.Value, bool) {
	if address, attr, ok := resource.ParseSymbol(text); ok && attr == "arn" && sep == "/" && idTypes.MatchString(address) {
		// arn:aws:ec2:region:account:type/id
		front := resource.Unknown(address + ".arn is known only after apply")
		return cty.TupleVal([]cty.Value{front, cty.StringVal(resource.Symbol(address, "id"))}), true
	}
	if sep == "" || strings.Trim(sep, ",;| \t\n") != "" {
		return cty.NilVal, false // others may stand in an ARN or a name
	}
	var parts []cty.Value
	var part strings.Builder
	for text != "" {
		if n := resource.SymbolLength(text); n > 0 {
			part.WriteString(text[:n])
			text = text[n:]
			continue
		}
		if rest, ok := strings.CutPrefix(text, sep); ok {
			parts = append(parts, cty.StringVal(part.String()))
			part.Reset()
			text = rest
			continue
		}
		part.WriteByte(text[0])
		text = text[1:]
	}
	parts = append(parts, cty.StringVal(part.String()))
	return cty.ListVal(parts), true
}

// sortSymbols returns a list whose order is certain: of one element, or of equal ones.
func sortSymbols(v cty.Value) (cty.Value, bool) {
	u, _ := v.Unmark()
	if !u.IsKnown() || u.IsNull() || !u.CanIterateElements() {
		return cty.NilVal, false
	}
	list := u.AsValueSlice()
	for _, e := range list[1:] {
		if !e.RawEquals(list[0]) {
			return cty.NilVal, false
		}
	}
	return v, true
}

// decodeSymbols decodes JSON in which identifiers stand inside strings.
func decodeSymbols(text string) (cty.Value, bool) {
	if resource.JSONDepth(text) > maxNesting || !json.Valid([]byte(text)) {
		return cty.NilVal, false
	}
	v, err := stdlib.JSONDecode(cty.StringVal(text))
	return v, err == nil
}
