package module

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/apparentlymart/go-cidr/cidr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// The functions that Terraform has and cty's standard library has not, or
// has with another meaning.

func convertArg(v cty.Value, want cty.Type) (cty.Value, error) {
	if want == cty.DynamicPseudoType {
		return v, nil
	}
	return convert.Convert(v, want)
}

// text is a function from strings to a string.
func text(params []string, f func(args []string) (string, error)) function.Function {
	spec := &function.Spec{
		Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			in := make([]string, len(args))
			for i, a := range args {
				in[i] = a.AsString()
			}
			out, err := f(in)
			return cty.StringVal(out), err
		},
	}
	for _, name := range params {
		spec.Params = append(spec.Params, function.Parameter{Name: name, Type: cty.String})
	}
	return function.New(spec)
}

// predicate is a function from two strings to a boolean.
func predicate(f func(a, b string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "str", Type: cty.String}, {Name: "part", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(f(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

// anyValue is a parameter that takes everything but null.
func anyValue(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true}
}

var (
	startsWith  = predicate(strings.HasPrefix)
	endsWith    = predicate(strings.HasSuffix)
	strContains = predicate(strings.Contains)

	md5Hex    = text([]string{"str"}, func(s []string) (string, error) { h := md5.Sum([]byte(s[0])); return hex.EncodeToString(h[:]), nil })
	sha1Hex   = text([]string{"str"}, func(s []string) (string, error) { h := sha1.Sum([]byte(s[0])); return hex.EncodeToString(h[:]), nil })
	sha256Hex = text([]string{"str"}, func(s []string) (string, error) {
		h := sha256.Sum256([]byte(s[0]))
		return hex.EncodeToString(h[:]), nil
	})
	sha512Hex = text([]string{"str"}, func(s []string) (string, error) {
		h := sha512.Sum512([]byte(s[0]))
		return hex.EncodeToString(h[:]), nil
	})

	base64Encode = text([]string{"str"}, func(s []string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(s[0])), nil })
	base64Decode = text([]string{"str"}, func(s []string) (string, error) {
		out, err := base64.StdEncoding.DecodeString(s[0])
		if err == nil && !utf8.Valid(out) {
			err = errors.New("the decoded text is not UTF-8")
		}
		return string(out), err
	})
	urlEncode = text([]string{"str"}, func(s []string) (string, error) { return url.QueryEscape(s[0]), nil })

	// replace takes its second argument as a regular expression when it is
	// written between slashes.
	replace = text([]string{"str", "substr", "replace"}, func(s []string) (string, error) {
		if n := len(s[1]); n > 1 && s[1][0] == '/' && s[1][n-1] == '/' {
			re, err := regexp.Compile(s[1][1 : n-1])
			if err != nil {
				return "", err
			}
			return re.ReplaceAllString(s[0], s[2]), nil
		}
		return strings.ReplaceAll(s[0], s[1], s[2]), nil
	})

	// same returns its argument; hoplab prints no values that are marked sensitive.
	same = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true,
			AllowDynamicType: true, AllowMarked: true}},
		Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0], nil },
	})

	// coalesce passes over empty strings as well as null.
	coalesce = function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "values", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true},
		Type:     function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			types := make([]cty.Type, len(args))
			for i, a := range args {
				types[i] = a.Type()
			}
			want, _ := convert.UnifyUnsafe(types)
			if want == cty.NilType {
				return cty.NilVal, errors.New("all arguments must have the same type")
			}
			for _, a := range args {
				v, err := convert.Convert(a, want)
				switch {
				case err != nil:
					return cty.NilVal, err
				case !v.IsKnown():
					return cty.UnknownVal(want), nil
				case v.IsNull() || want == cty.String && v.AsString() == "":
					continue
				}
				return v, nil
			}
			return cty.NilVal, errors.New("all arguments are null or empty")
		},
	})

	// length also counts the characters of a string, which looks into it.
	length = function.New(&function.Spec{
		Params: []function.Parameter{anyValue("value")},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v := args[0]
			switch {
			case v.Type() == cty.DynamicPseudoType:
				return cty.UnknownVal(cty.Number), nil
			case v.Type() == cty.String && resource.HasSymbol(v):
				return cty.UnknownVal(cty.Number).Mark(resource.Cause{Text: "the length of an identifier is known only after apply"}), nil
			case v.Type() == cty.String:
				return stdlib.Strlen(v)
			case v.Type().IsObjectType():
				return cty.NumberIntVal(int64(len(v.Type().AttributeTypes()))), nil
			}
			return stdlib.Length(v)
		},
	})

	// one returns the only element of a list, or null of an empty one.
	one = function.New(&function.Spec{
		Params: []function.Parameter{anyValue("list")},
		Type:   function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v := args[0]
			if !v.IsKnown() {
				return cty.DynamicVal, nil
			}
			t := v.Type()
			if !t.IsListType() && !t.IsSetType() && !t.IsTupleType() {
				return cty.NilVal, errors.New("a list, set or tuple is needed")
			}
			switch elems := v.AsValueSlice(); {
			case t.IsSetType() && !v.IsWhollyKnown():
				return cty.DynamicVal, nil
			case len(elems) == 0:
				return cty.NullVal(cty.DynamicPseudoType), nil
			case len(elems) == 1:
				return elems[0], nil
			default:
				return cty.NilVal, fmt.Errorf("a list of zero or one elements is needed, not of %d", len(elems))
			}
		},
	})

	allTrue = overBools(true)
	anyTrue = overBools(false)

	index = function.New(&function.Spec{
		Params: []function.Parameter{anyValue("list"), anyValue("value")},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[0].IsWhollyKnown() || !args[1].IsWhollyKnown() {
				return cty.UnknownVal(cty.Number), nil
			}
			if !args[0].CanIterateElements() {
				return cty.NilVal, errors.New("a list is needed")
			}
			for i, e := range args[0].AsValueSlice() {
				if eq, err := stdlib.Equal(e, args[1]); err == nil && eq.IsKnown() && eq.True() {
					return cty.NumberIntVal(int64(i)), nil
				}
			}
			return cty.NilVal, errors.New("the list has no such element")
		},
	})

	matchKeys = function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "values", Type: cty.List(cty.DynamicPseudoType)},
			{Name: "keys", Type: cty.List(cty.DynamicPseudoType)},
			{Name: "search", Type: cty.List(cty.DynamicPseudoType)},
		},
		Type: function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			values, keys, search := args[0].AsValueSlice(), args[1].AsValueSlice(), args[2].AsValueSlice()
			if len(values) != len(keys) {
				return cty.NilVal, errors.New("values and keys must be of the same length")
			}
			var out []cty.Value
			for i, k := range keys {
				for _, s := range search {
					if eq, err := stdlib.Equal(k, s); err == nil && eq.IsKnown() && eq.True() {
						out = append(out, values[i])
						break
					}
				}
			}
			return cty.TupleVal(out), nil
		},
	})

	sum = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[0].CanIterateElements() || args[0].LengthInt() == 0 {
				return cty.NilVal, errors.New("a list with at least one number is needed")
			}
			if !args[0].IsWhollyKnown() {
				return cty.UnknownVal(cty.Number), nil
			}
			total := cty.Zero
			for _, e := range args[0].AsValueSlice() {
				n, err := convert.Convert(e, cty.Number)
				if err != nil || n.IsNull() {
					return cty.NilVal, errors.New("a list of numbers is needed")
				}
				total = total.Add(n)
			}
			return total, nil
		},
	})

	transpose = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "values", Type: cty.Map(cty.List(cty.String))}},
		Type:   function.StaticReturnType(cty.Map(cty.List(cty.String))),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			if !args[0].IsWhollyKnown() {
				return cty.UnknownVal(t), nil
			}
			out := map[string][]cty.Value{}
			for it := args[0].ElementIterator(); it.Next(); {
				k, list := it.Element()
				if list.IsNull() {
					return cty.NilVal, errors.New("a list in the map is null")
				}
				for _, e := range list.AsValueSlice() {
					if e.IsNull() {
						return cty.NilVal, errors.New("a string in the map is null")
					}
					out[e.AsString()] = append(out[e.AsString()], k)
				}
			}
			if len(out) == 0 {
				return cty.MapValEmpty(cty.List(cty.String)), nil
			}
			vals := map[string]cty.Value{}
			for k, list := range out {
				vals[k] = cty.ListVal(list)
			}
			return cty.MapVal(vals), nil
		},
	})

	cidrHost = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "hostnum", Type: cty.Number}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			_, network, err := net.ParseCIDR(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			var num *big.Int // an IPv6 prefix has more hosts than an int
			if err := gocty.FromCtyValue(args[1], &num); err != nil {
				return cty.NilVal, err
			}
			ip, err := cidr.HostBig(network, num)
			return cty.StringVal(ip.String()), err
		},
	})

	cidrNetmask = text([]string{"prefix"}, func(s []string) (string, error) {
		_, network, err := net.ParseCIDR(s[0])
		if err == nil && network.IP.To4() == nil {
			err = errors.New("an IPv6 prefix has no netmask")
		}
		if err != nil {
			return "", err
		}
		return net.IP(network.Mask).String(), nil
	})

	cidrSubnet = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "newbits", Type: cty.Number}, {Name: "netnum", Type: cty.Number}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			_, network, err := net.ParseCIDR(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			var bits int
			var num *big.Int
			if err := errors.Join(gocty.FromCtyValue(args[1], &bits), gocty.FromCtyValue(args[2], &num)); err != nil {
				return cty.NilVal, err
			}
			sub, err := cidr.SubnetBig(network, bits, num)
			if err != nil {
				return cty.NilVal, err
			}
			return cty.StringVal(sub.String()), nil
		},
	})

	cidrSubnets = function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "prefix", Type: cty.String}},
		VarParam: &function.Parameter{Name: "newbits", Type: cty.Number},
		Type:     function.StaticReturnType(cty.List(cty.String)),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) == 1 {
				return cty.ListValEmpty(cty.String), nil
			}
			_, network, err := net.ParseCIDR(args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			ones, size := network.Mask.Size()
			var out []cty.Value
			var current *net.IPNet
			for _, a := range args[1:] {
				var bits int
				if err := gocty.FromCtyValue(a, &bits); err != nil {
					return cty.NilVal, err
				}
				if bits < 1 || bits > 32 || ones+bits > size { // 32 is Terraform's own limit, here only
					return cty.NilVal, fmt.Errorf("a prefix of /%d cannot be extended by %d bits", ones, bits)
				}
				if current == nil {
					current, err = cidr.Subnet(network, bits, 0)
				} else {
					var over bool
					if current, over = cidr.NextSubnet(current, ones+bits); over || !network.Contains(current.IP) {
						err = fmt.Errorf("%s has no room for another /%d", network, ones+bits)
					}
				}
				if err != nil {
					return cty.NilVal, err
				}
				out = append(out, cty.StringVal(current.String()))
			}
			return cty.ListVal(out), nil
		},
	})

	// jsonEncode writes unknown values as holes, so that the rest of a
	// container definition can still be read.
	jsonEncode = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true,
			AllowDynamicType: true, AllowMarked: true}},
		Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if u, marks := args[0].Unmark(); !u.IsKnown() {
				return cty.UnknownVal(cty.String).WithMarks(marks), nil
			}
			return stdlib.JSONEncode(withHoles(args[0]))
		},
	})
)

// withHoles returns v, unmarked, with a hole in place of each unknown value.
func withHoles(v cty.Value) cty.Value {
	u, _ := v.Unmark()
	t := u.Type()
	switch {
	case !u.IsKnown():
		return cty.StringVal(resource.Hole(resource.Why(v)))
	case u.IsNull() || t.IsPrimitiveType():
		return u
	case t.IsMapType() || t.IsObjectType():
		out := map[string]cty.Value{}
		for it := u.ElementIterator(); it.Next(); {
			k, e := it.Element()
			out[k.AsString()] = withHoles(e)
		}
		return cty.ObjectVal(out)
	case u.CanIterateElements():
		out := []cty.Value{}
		for it := u.ElementIterator(); it.Next(); {
			_, e := it.Element()
			out = append(out, withHoles(e))
		}
		return cty.TupleVal(out)
	}
	return u
}

// unknownString is a function whose result no reader can know.
func unknownString(name string) function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true,
			AllowDynamicType: true, AllowMarked: true},
		Type: function.StaticReturnType(cty.String),
		Impl: func([]cty.Value, cty.Type) (cty.Value, error) {
			return cty.UnknownVal(cty.String).Mark(resource.Cause{Text: name + "() is evaluated by Terraform only"}), nil
		},
	})
}

// overBools is alltrue (all set) or anytrue.
func overBools(all bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool), AllowUnknown: true}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[0].IsKnown() {
				return cty.UnknownVal(cty.Bool), nil
			}
			result := cty.BoolVal(all)
			for _, e := range args[0].AsValueSlice() {
				switch {
				case e.IsNull():
					if all {
						return cty.False, nil
					}
				case !e.IsKnown():
					result = cty.UnknownVal(cty.Bool)
				case e.True() != all:
					return cty.BoolVal(!all), nil
				}
			}
			return result, nil
		},
	})
}
