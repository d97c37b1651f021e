package module

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/customdecode"
	yaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// structural functions move whole values about and never look into a
// string, so symbols pass through them unharmed.
var structural = map[string]function.Function{
	"chunklist":    stdlib.ChunklistFunc,
	"coalesce":     coalesce,
	"coalescelist": stdlib.CoalesceListFunc,
	"compact":      stdlib.CompactFunc,
	"concat":       stdlib.ConcatFunc,
	"distinct":     stdlib.DistinctFunc,
	"element":      stdlib.ElementFunc,
	"flatten":      stdlib.FlattenFunc,
	"format":       stdlib.FormatFunc,
	"formatlist":   stdlib.FormatListFunc,
	"join":         stdlib.JoinFunc,
	"jsonencode":   jsonEncode,
	"keys":         stdlib.KeysFunc,
	"length":       length,
	"lookup":       lookup,
	"merge":        stdlib.MergeFunc,
	"nonsensitive": same,
	"one":          one,
	"reverse":      stdlib.ReverseListFunc,
	"sensitive":    same,
	"setproduct":   stdlib.SetProductFunc,
	"setunion":     stdlib.SetUnionFunc,
	"slice":        slice,
	"tolist":       stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
	"tomap":        stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"toset":        stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
	"tostring":     stdlib.MakeToFunc(cty.String),
	"values":       stdlib.ValuesFunc,
	"zipmap":       stdlib.ZipmapFunc,
}

// inspecting functions look into strings. What they would make of an
// identifier is known only after apply, so a symbol makes their result unknown.
var inspecting = map[string]function.Function{
	"abs":             stdlib.AbsoluteFunc,
	"alltrue":         allTrue,
	"anytrue":         anyTrue,
	"base64decode":    base64Decode,
	"base64encode":    base64Encode,
	"base64gzip":      unknownString("base64gzip"),
	"ceil":            stdlib.CeilFunc,
	"chomp":           stdlib.ChompFunc,
	"cidrhost":        cidrHost,
	"cidrnetmask":     cidrNetmask,
	"cidrsubnet":      cidrSubnet,
	"cidrsubnets":     cidrSubnets,
	"contains":        stdlib.ContainsFunc,
	"csvdecode":       stdlib.CSVDecodeFunc,
	"endswith":        endsWith,
	"floor":           stdlib.FloorFunc,
	"formatdate":      stdlib.FormatDateFunc,
	"index":           index,
	"indent":          stdlib.IndentFunc,
	"jsondecode":      stdlib.JSONDecodeFunc,
	"log":             stdlib.LogFunc,
	"lower":           stdlib.LowerFunc,
	"matchkeys":       matchKeys,
	"max":             stdlib.MaxFunc,
	"md5":             md5Hex,
	"min":             stdlib.MinFunc,
	"parseint":        stdlib.ParseIntFunc,
	"pow":             stdlib.PowFunc,
	"range":           stdlib.RangeFunc,
	"regex":           stdlib.RegexFunc,
	"regexall":        stdlib.RegexAllFunc,
	"replace":         replace,
	"setintersection": stdlib.SetIntersectionFunc,
	"setsubtract":     stdlib.SetSubtractFunc,
	"sha1":            sha1Hex,
	"sha256":          sha256Hex,
	"sha512":          sha512Hex,
	"signum":          stdlib.SignumFunc,
	"sort":            stdlib.SortFunc,
	"split":           stdlib.SplitFunc,
	"startswith":      startsWith,
	"strcontains":     strContains,
	"strrev":          stdlib.ReverseFunc,
	"substr":          stdlib.SubstrFunc,
	"sum":             sum,
	"timeadd":         stdlib.TimeAddFunc,
	"title":           stdlib.TitleFunc,
	"tobool":          stdlib.MakeToFunc(cty.Bool),
	"tonumber":        stdlib.MakeToFunc(cty.Number),
	"transpose":       transpose,
	"trim":            stdlib.TrimFunc,
	"trimprefix":      stdlib.TrimPrefixFunc,
	"trimspace":       stdlib.TrimSpaceFunc,
	"trimsuffix":      stdlib.TrimSuffixFunc,
	"upper":           stdlib.UpperFunc,
	"urlencode":       urlEncode,
	"yamldecode":      yaml.YAMLDecodeFunc,
	"yamlencode":      yaml.YAMLEncodeFunc,

	// Different on every run, or dependent on the machine: never a value.
	"bcrypt":        unknownString("bcrypt"),
	"pathexpand":    unknownString("pathexpand"),
	"plantimestamp": unknownString("plantimestamp"),
	"timestamp":     unknownString("timestamp"),
	"uuid":          unknownString("uuid"),
	"uuidv5":        unknownString("uuidv5"),
}

// amplifiers can return far more than they are given; they are weighed
// before they run. The result is the size in bytes or elements that is about
// to be made, at least.
var amplifiers = map[string]func(args []cty.Value) int64{
	"chunklist":  product,
	"format":     formatSize,
	"formatlist": formatSize,
	"indent":     indentSize,
	"join":       joinSize,
	"matchkeys":  product,
	"replace":    replaceSize,
	"setproduct": product,
	"contains":   product,
	"distinct":   square,
	"compact":    product,
}

// functions returns the table for a module in dir. Files are read below dir only.
func (r *reader) functions(dir string) map[string]function.Function {
	if t, ok := r.tables[dir]; ok {
		return t
	}
	t := map[string]function.Function{}
	for name, f := range structural {
		t[name] = r.wrap(name, f, false)
	}
	for name, f := range inspecting {
		t[name] = r.wrap(name, f, true)
	}
	for name, f := range r.fileFunctions(dir) {
		t[name] = r.wrap(name, f, true)
	}
	t["templatefile"] = r.wrap("templatefile", r.templateFile(dir, true), false)
	t["templatestring"] = r.wrap("templatestring", r.templateFile(dir, false), false)
	t["try"] = r.try()
	t["can"] = r.can()
	for name, f := range t {
		t["core::"+name] = f
	}
	r.tables[dir] = t
	return t
}

// wrap meters a function, and keeps symbols out of it when it inspects.
func (r *reader) wrap(name string, f function.Function, inspects bool) function.Function {
	anything := func(p function.Parameter) function.Parameter {
		p.AllowNull, p.AllowUnknown, p.AllowDynamicType, p.AllowMarked = true, true, true, true
		p.Type = cty.DynamicPseudoType
		return p
	}
	spec := &function.Spec{
		Type: function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return r.call(name, f, inspects, args) },
	}
	for _, p := range f.Params() {
		spec.Params = append(spec.Params, anything(p))
	}
	if p := f.VarParam(); p != nil {
		v := anything(*p)
		spec.VarParam = &v
	}
	return function.New(spec)
}

func (r *reader) call(name string, f function.Function, inspects bool, args []cty.Value) (cty.Value, error) {
	r.meter.spend(costCall)
	touched := false
	for i, a := range args {
		r.meter.weigh(a)
		r.meter.weighType(a.Type())
		touched = touched || (inspects || name == "lookup" && i == 1) && resource.HasSymbol(a)
		want := f.VarParam()
		if params := f.Params(); i < len(params) {
			want = &params[i]
		}
		v, err := convertArg(a, want.Type)
		if err != nil {
			return cty.NilVal, function.NewArgError(i, err)
		}
		args[i] = v
	}
	if touched {
		if v, ok := throughSymbols(name, args); ok {
			return v, nil
		}
		return resource.Unknown(fmt.Sprintf("%s() of an identifier is known only after apply", name)), nil
	}
	if name == "jsondecode" || name == "yamldecode" {
		if err := checkDecoded(args[0]); err != nil {
			return cty.NilVal, err
		}
	}
	if size, ok := amplifiers[name]; ok {
		plain := make([]cty.Value, len(args))
		for i, a := range args {
			plain[i], _ = a.UnmarkDeep()
		}
		r.meter.spend(size(plain))
	}
	v, err := f.Call(args)
	if p, ok := errors.AsType[function.PanicError](err); ok {
		// Its own text holds a stack trace.
		return cty.NilVal, fmt.Errorf("it cannot handle these arguments: %.200s", fmt.Sprint(p.Value))
	}
	if err != nil {
		return v, err
	}
	r.meter.weigh(v)
	if inspects && resource.HasSymbol(v) {
		return resource.Unknown(name + "() made a Unicode noncharacter (U+FDD0 to U+FDD5)"), nil
	}
	return v, nil
}

var (
	yamlAnchor = regexp.MustCompile(`&[0-9A-Za-z_-]`)
	yamlAlias  = regexp.MustCompile(`\*[0-9A-Za-z_-]`)
)

// checkDecoded refuses text whose nesting would overflow the decoder's stack,
// and YAML whose anchors may stand for each other many times over.
func checkDecoded(v cty.Value) error {
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
		return nil
	}
	text := v.AsString()
	if resource.JSONDepth(text) > maxNesting {
		return fmt.Errorf("it nests deeper than %d", maxNesting)
	}
	anchors, aliases := len(yamlAnchor.FindAllString(text, -1)), len(yamlAlias.FindAllString(text, -1))
	if anchors > 0 && math.Pow(float64(aliases)/float64(anchors)+1, float64(anchors)) > maxRun {
		return errors.New("its anchors and aliases multiply")
	}
	return nil
}

// try and can evaluate their arguments once each. They differ from the
// library's tryfunc in that alone: there, nested calls double the work.
func (r *reader) try() function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "expressions", Type: customdecode.ExpressionClosureType},
		Type:     function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			r.meter.spend(costCall)
			var failed []string
			for _, arg := range args {
				v, diags := customdecode.ExpressionClosureFromVal(arg).Value()
				if !diags.HasErrors() {
					return v, nil
				}
				failed = append(failed, diagText(diags[0]))
			}
			return cty.NilVal, fmt.Errorf("no argument of try() could be evaluated: %s", strings.Join(failed, "; "))
		},
	})
}

func (r *reader) can() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "expression", Type: customdecode.ExpressionClosureType}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			r.meter.spend(costCall)
			v, diags := customdecode.ExpressionClosureFromVal(args[0]).Value()
			if diags.HasErrors() {
				return cty.False, nil
			}
			if !v.IsWhollyKnown() {
				_, marks := v.UnmarkDeep()
				return cty.UnknownVal(cty.Bool).WithMarks(marks), nil
			}
			return cty.True, nil
		},
	})
}
