package module

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// fileFunctions returns the functions that read files, for a module in dir.
// They read below the module's and the root module's directory only: a
// configuration from elsewhere must not be able to read the machine.
func (r *reader) fileFunctions(dir string) map[string]function.Function {
	open := func(path string) ([]byte, error) {
		if filepath.IsAbs(path) {
			return nil, fmt.Errorf("%s: only files below the module's directory are read", path)
		}
		full := filepath.Join(r.root, path)
		src, err := r.files.readBelow(dir, full)
		if err != nil {
			src, err = r.files.readBelow(r.root, full)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: no such file", path)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: only files below the module's directory are read: %w", path, err)
		}
		r.meter.spend(int64(len(src)))
		return src, nil
	}
	readText := func(path string) (string, error) {
		src, err := open(path)
		if err == nil && !utf8.Valid(src) {
			err = fmt.Errorf("%s: not UTF-8", path)
		}
		return string(src), err
	}
	hash := func(sum func([]byte) []byte) function.Function {
		return text([]string{"path"}, func(s []string) (string, error) {
			src, err := open(s[0])
			return hex.EncodeToString(sum(src)), err
		})
	}
	return map[string]function.Function{
		"file": text([]string{"path"}, func(s []string) (string, error) { return readText(s[0]) }),
		"filebase64": text([]string{"path"}, func(s []string) (string, error) {
			b, err := open(s[0])
			return base64.StdEncoding.EncodeToString(b), err
		}),
		"filemd5":    hash(func(b []byte) []byte { h := md5.Sum(b); return h[:] }),
		"filesha1":   hash(func(b []byte) []byte { h := sha1.Sum(b); return h[:] }),
		"filesha256": hash(func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }),
		"filebase64sha256": text([]string{"path"}, func(s []string) (string, error) {
			b, err := open(s[0])
			h := sha256.Sum256(b)
			return base64.StdEncoding.EncodeToString(h[:]), err
		}),
		"fileexists": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "path", Type: cty.String}},
			Type:   function.StaticReturnType(cty.Bool),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				_, err := open(args[0].AsString())
				return cty.BoolVal(err == nil), nil
			},
		}),
		"basename": text([]string{"path"}, func(s []string) (string, error) { return filepath.Base(s[0]), nil }),
		"dirname":  text([]string{"path"}, func(s []string) (string, error) { return filepath.Dir(s[0]), nil }),
		"abspath":  unknownString("abspath"),
		"fileset":  unknownString("fileset"),
	}
}

// templateFile is templatefile(path, vars); templateString the same with the
// template given. Unknown variables become holes in the text, so that a
// rendered container definition can be read around them.
func (r *reader) templateFile(dir string, fromFile bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "template", Type: cty.String},
			{Name: "vars", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true},
		},
		Type: function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			src, at := args[0].AsString(), hcl.Range{Filename: "template", Start: hcl.InitialPos}
			if fromFile {
				content, err := r.fileFunctions(dir)["file"].Call(args[:1])
				if err != nil {
					return cty.NilVal, err
				}
				src, at.Filename = content.AsString(), filepath.Join(r.root, src)
			}
			vars, marks := args[1].Unmark()
			if !vars.IsKnown() {
				return cty.UnknownVal(cty.String).WithMarks(marks), nil
			}
			if !vars.Type().IsObjectType() && !vars.Type().IsMapType() {
				return cty.NilVal, errors.New("the variables of a template must be a map")
			}
			return r.render(dir, src, at, vars)
		},
	})
}

func (r *reader) render(dir, src string, at hcl.Range, vars cty.Value) (cty.Value, error) {
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxDepth {
		return cty.NilVal, errors.New("templates nest too deep")
	}
	expr, err := r.loader.template(src, at)
	if err != nil {
		return cty.NilVal, err
	}
	ctx := &hcl.EvalContext{Functions: r.functions(dir), Variables: map[string]cty.Value{}}
	for it := vars.ElementIterator(); it.Next(); {
		k, v := it.Element()
		if u, _ := v.Unmark(); !u.IsKnown() {
			v = cty.StringVal(resource.Hole(resource.Why(v)))
		}
		ctx.Variables[k.AsString()] = v
	}
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		return cty.NilVal, errors.New(diagText(diags[0]))
	}
	return v, nil
}
