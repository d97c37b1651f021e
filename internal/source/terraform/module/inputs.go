package module

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// Inputs are the values for the variables of the root module, by ascending
// precedence: Env, the tfvars files in the directory, VarFiles in order, Vars.
type Inputs struct {
	Env      []string          // NAME=value; those named TF_VAR_x set variable x
	VarFiles []string          // tfvars files, native or JSON syntax
	Vars     map[string]string // as --var gives them
}

// input is a value for a variable, not yet of the variable's type.
type input struct {
	value cty.Value
	from  string // the file or flag, for messages
}

// inputs collects the values for the root module's variables.
func (r *reader) inputs(c *config, in Inputs) (map[string]input, error) {
	out := map[string]input{}
	for _, pair := range in.Env {
		name, value, _ := strings.Cut(pair, "=")
		if name, ok := strings.CutPrefix(name, "TF_VAR_"); ok && c.variables[name] != nil {
			v, err := r.parseInput(c.variables[name], value, "TF_VAR_"+name)
			if err != nil {
				return nil, err
			}
			out[name] = input{v, "TF_VAR_" + name}
		}
	}
	names, err := r.files.list(c.dir)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "check the path and its permissions", "%s: %w", c.dir, err)
	}
	var paths []string
	for _, first := range []string{"terraform.tfvars", "terraform.tfvars.json"} {
		if slices.Contains(names, first) {
			paths = append(paths, filepath.Join(c.dir, first))
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".auto.tfvars") || strings.HasSuffix(name, ".auto.tfvars.json") {
			paths = append(paths, filepath.Join(c.dir, name))
		}
	}
	for _, path := range paths {
		if err := r.varFile(c, c.dir, path, out); err != nil {
			return nil, err
		}
	}
	for _, path := range in.VarFiles {
		if err := r.varFile(c, "", path, out); err != nil {
			return nil, err
		}
	}
	for _, name := range sortedKeys(in.Vars) {
		v := c.variables[name]
		if v == nil {
			return nil, fail.Newf(fail.Usage, declaredHint(c), "--var %s: the root module declares no such variable", name)
		}
		value, err := r.parseInput(v, in.Vars[name], "--var "+name)
		if err != nil {
			return nil, err
		}
		out[name] = input{value, "--var " + name}
	}
	return out, nil
}

func declaredHint(c *config) string {
	names := sortedKeys(c.variables)
	if len(names) == 0 {
		return "it declares no variables at all"
	}
	if len(names) > 8 {
		names = append(names[:8:8], "...")
	}
	return "it declares " + strings.Join(names, ", ")
}

// varFile reads a tfvars file: of dir, or, if that is "", one that the user named. Values for undeclared variables are noted,
// not refused, as Terraform does.
func (r *reader) varFile(c *config, dir, path string, out map[string]input) error {
	src, err := r.loader.source(dir, path)
	if err != nil {
		return err
	}
	file, _, err := parse(path, src)
	if err != nil {
		return err
	}
	attrs, diags := file.Body.JustAttributes()
	if diags.HasErrors() {
		return syntaxError(diags)
	}
	for _, name := range sortedKeys(attrs) {
		a := attrs[name]
		if c.variables[name] == nil {
			r.note(resource.Note{File: path, Line: a.Range.Start.Line,
				Text: fmt.Sprintf("a value for %q, which the root module does not declare as a variable", name)})
			continue
		}
		if native, ok := a.Expr.(hclsyntax.Expression); ok {
			if err := r.loader.prepare(native); err != nil {
				return err
			}
		}
		v, diags := a.Expr.Value(nil)
		r.meter.check()
		if diags.HasErrors() {
			return syntaxError(diags)
		}
		out[name] = input{v, place(a.Range)}
	}
	return nil
}

// parseInput reads a value from a flag or the environment: text for
// variables of a primitive type or none, an expression for all others.
func (r *reader) parseInput(v *variable, raw, from string) (cty.Value, error) {
	if err := checkReserved(from, raw); err != nil {
		return cty.NilVal, err
	}
	if v.typ.IsPrimitiveType() || !v.declared {
		return cty.StringVal(raw), nil
	}
	tokens, _ := hclsyntax.LexExpression([]byte(raw), from, hcl.InitialPos)
	if err := checkTokens(tokens); err != nil {
		return cty.NilVal, err
	}
	expr, diags := hclsyntax.ParseExpression([]byte(raw), from, hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, inputError(from, v, diags[0].Summary)
	}
	if err := r.loader.prepare(expr); err != nil {
		return cty.NilVal, err
	}
	value, diags := expr.Value(nil)
	r.meter.check()
	if diags.HasErrors() {
		return cty.NilVal, inputError(from, v, diags[0].Summary)
	}
	return value, nil
}

func inputError(from string, v *variable, problem string) error {
	return fail.Newf(fail.Usage, fmt.Sprintf("the variable is declared at %s", place(v.rng)), "%s: not a value for variable %q: %s", from, v.name, problem)
}

// typed gives a value the type of its variable, with the defaults of optional attributes.
func (v *variable) typed(value cty.Value) (cty.Value, error) {
	if v.defaults != nil && !value.IsNull() {
		value = v.defaults.Apply(value)
	}
	return convert.Convert(value, v.typ)
}

// rootVariable returns the value of a variable of the root module.
func (r *reader) rootVariable(v *variable, given input, set bool) (cty.Value, error) {
	if set && !(given.value.IsNull() && !v.nullable) {
		value, err := v.typed(given.value)
		if err != nil {
			return cty.NilVal, inputError(given.from, v, err.Error())
		}
		return value, nil
	}
	if v.def != nil {
		value, err := v.typed(*v.def)
		if err != nil {
			return cty.NilVal, fail.Newf(fail.Usage, "correct the default or the type", "%s: the default of variable %q does not fit its type: %v", place(v.rng), v.name, err)
		}
		return value, nil
	}
	why := fmt.Sprintf("variable %q (%s) has no value; give --var %s=…", v.name, place(v.rng), v.name)
	return cty.UnknownVal(v.typ).Mark(resource.Cause{Set: true, Text: why}), nil
}
