package module

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// loader reads module directories, each once.
type loader struct {
	files   files
	meter   *meter
	configs map[string]*config
	bytes   int
	// names is every attribute name that any expression reads. A reference to
	// a whole resource becomes an object that has them all.
	names map[string]bool
}

// IsFile reports that a file name is one that Terraform reads as configuration.
func IsFile(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") || strings.HasSuffix(name, "~") {
		return false
	}
	return strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json") || isTofu(name)
}

// isTofu reports that only OpenTofu reads the file.
func isTofu(name string) bool {
	return strings.HasSuffix(name, ".tofu") || strings.HasSuffix(name, ".tofu.json")
}

// inForce leaves out the .tf files beside which a .tofu file of the same name
// stands: OpenTofu reads that instead.
// Source: https://opentofu.org/docs/language/files/
func inForce(names []string) []string {
	var out []string
	for _, name := range names {
		tofu := strings.Replace(name, ".tf", ".tofu", 1)
		if !isTofu(name) && (strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json")) && slices.Contains(names, tofu) {
			continue
		}
		out = append(out, name)
	}
	return out
}

func isOverride(name string) bool {
	base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".json"), ".tf"), ".tofu")
	return base == "override" || strings.HasSuffix(base, "_override")
}

// config reads the module in dir.
func (l *loader) config(dir string) (*config, error) {
	if c, ok := l.configs[dir]; ok {
		return c, nil
	}
	names, err := l.files.list(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fail.Newf(fail.Usage, "give a directory with .tf files", "%s: no such directory", dir)
		}
		return nil, fail.Newf(fail.Usage, "check the path and its permissions", "%s: %w", dir, err)
	}
	c := &config{dir: dir, variables: map[string]*variable{}, locals: map[string]attr{}, outputs: map[string]attr{},
		resources: map[string]*resourceDecl{}, calls: map[string]*moduleCall{}}
	names = inForce(names)
	var found bool
	for _, override := range []bool{false, true} {
		for _, name := range names {
			if !IsFile(name) || isOverride(name) != override {
				continue
			}
			found = true
			if err := l.file(c, filepath.Join(dir, name), override); err != nil {
				return nil, err
			}
		}
	}
	if !found {
		return nil, fail.Newf(fail.Usage, "give a directory with .tf files", "%s: holds no .tf, .tf.json or .tofu file", dir)
	}
	l.configs[dir] = c
	return c, nil
}

func (l *loader) file(c *config, path string, override bool) error {
	src, err := l.source(c.dir, path)
	if err != nil {
		return err
	}
	file, accepted, err := parse(path, src)
	if err != nil {
		return err
	}
	content, diags := file.Body.Content(rootSchema)
	if diags.HasErrors() {
		return syntaxError(diags)
	}
	for _, block := range content.Blocks {
		b, err := l.body(block.Body)
		if err != nil {
			return err
		}
		b.rng = block.DefRange
		if native, ok := block.Body.(*hclsyntax.Body); ok && block.Type == "resource" {
			b.suppress, accepted = within(accepted, hcl.RangeBetween(block.DefRange, native.EndRange))
		}
		if err := c.declare(block, b, override); err != nil {
			return err
		}
	}
	for _, s := range accepted {
		c.suppress = append(c.suppress, s.Suppression)
	}
	return nil
}

// source reads a file of the configuration in dir, or, if that is "", one that
// the user named, and keeps count of all that was read.
func (l *loader) source(dir, path string) ([]byte, error) {
	var src []byte
	var err error
	if dir == "" {
		src, err = l.files.read(path)
	} else {
		src, err = l.files.readOwn(dir, path)
	}
	if err != nil {
		if fail.CodeOf(err) == fail.Usage {
			return nil, err
		}
		if errors.Is(err, bounded.ErrOutside) {
			return nil, fail.Newf(fail.Usage, "put a copy of the file there; name variables with --var-file", "%w", err)
		}
		return nil, fail.Newf(fail.Usage, "check the path and its permissions", "%s: %w", path, err)
	}
	if l.bytes += len(src); l.bytes > maxTotalBytes {
		return nil, fail.Newf(fail.Usage, "read one part of the configuration at a time", "%s: the configuration is larger than %d MiB", path, maxTotalBytes>>20)
	}
	if err := checkReserved(path, string(src)); err != nil {
		return nil, err
	}
	return src, nil
}

// parse parses native or JSON syntax by the file's name. The native syntax
// has comments, and with them suppressions.
func parse(path string, src []byte) (*hcl.File, []suppression, error) {
	if strings.HasSuffix(path, ".json") {
		if err := checkJSON(path, src); err != nil {
			return nil, nil, err
		}
		file, diags := json.Parse(src, path)
		if diags.HasErrors() {
			return nil, nil, syntaxError(diags)
		}
		return file, nil, nil
	}
	// The lexer's own complaints come again from the parser, with context.
	tokens, _ := hclsyntax.LexConfig(src, path, hcl.InitialPos)
	if err := checkTokens(tokens); err != nil {
		return nil, nil, err
	}
	file, diags := hclsyntax.ParseConfig(src, path, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, nil, syntaxError(diags)
	}
	return file, suppressions(tokens), nil
}

// checkReserved refuses the characters that stand for references inside hoplab.
func checkReserved(path, src string) error {
	if i := strings.IndexAny(src, resource.Reserved); i >= 0 {
		return fail.Newf(fail.Usage, "remove the character", "%s:%d: holds a Unicode noncharacter (U+FDD0 to U+FDD5)", path, 1+strings.Count(src[:i], "\n"))
	}
	return nil
}

// syntaxError turns the parser's complaints into one error with places.
func syntaxError(diags hcl.Diagnostics) error {
	var lines []string
	for _, d := range diags.Errs() {
		var diag *hcl.Diagnostic
		if !errors.As(d, &diag) {
			continue
		}
		if len(lines) == 3 {
			lines = append(lines, "and more")
			break
		}
		lines = append(lines, diagText(diag))
	}
	return fail.Newf(fail.Usage, "correct the file; `terraform validate` finds the same", "%s", strings.Join(lines, "\n"))
}

// diagText renders a diagnostic as "main.tf:12: summary: detail".
func diagText(d *hcl.Diagnostic) string {
	text := d.Summary
	// The library suggests one of several similar names, by map order.
	if detail, _, _ := strings.Cut(resource.Render(d.Detail), " Did you mean"); detail != "" {
		text += ": " + strings.Join(strings.Fields(detail), " ")
	}
	if d.Subject != nil {
		return place(*d.Subject) + ": " + text
	}
	return text
}

// body converts a parsed body into the common form and prepares its
// expressions for evaluation.
func (l *loader) body(b hcl.Body) (*body, error) {
	if native, ok := b.(*hclsyntax.Body); ok {
		return l.nativeBody(native)
	}
	attrs, diags := b.JustAttributes()
	if diags.HasErrors() {
		return nil, syntaxError(diags)
	}
	out := &body{attrs: map[string]attr{}}
	for _, name := range sortedKeys(attrs) {
		a := attrs[name]
		if name == "//" {
			continue // a comment
		}
		if name == "dynamic" {
			blocks, err := l.jsonDynamic(a.Expr)
			if err != nil {
				return nil, err
			}
			out.blocks = append(out.blocks, blocks...)
			continue
		}
		expr, err := l.jsonExpr(a.Expr)
		if err != nil {
			return nil, err
		}
		out.attrs[name] = attr{expr: expr, raw: a.Expr, rng: a.Range}
	}
	return out, nil
}

func (l *loader) nativeBody(b *hclsyntax.Body) (*body, error) {
	out := &body{attrs: map[string]attr{}, rng: b.SrcRange}
	for _, name := range sortedKeys(b.Attributes) {
		a := b.Attributes[name]
		if err := l.prepare(a.Expr); err != nil {
			return nil, err
		}
		out.attrs[name] = attr{expr: a.Expr, raw: a.Expr, rng: a.SrcRange}
	}
	for _, block := range b.Blocks {
		inner, err := l.nativeBody(block.Body)
		if err != nil {
			return nil, err
		}
		inner.rng = block.DefRange()
		out.blocks = append(out.blocks, &blockDecl{typ: block.Type, labels: block.Labels, body: inner, rng: block.DefRange()})
	}
	return out, nil
}

// jsonExpr converts an expression of the JSON syntax, in which strings are
// templates, into native syntax.
func (l *loader) jsonExpr(e hcl.Expression) (hclsyntax.Expression, error) {
	if list, diags := hcl.ExprList(e); !diags.HasErrors() {
		out := &hclsyntax.TupleConsExpr{SrcRange: e.Range(), OpenRange: e.StartRange()}
		for _, item := range list {
			expr, err := l.jsonExpr(item)
			if err != nil {
				return nil, err
			}
			out.Exprs = append(out.Exprs, expr)
		}
		return out, nil
	}
	if pairs, diags := hcl.ExprMap(e); !diags.HasErrors() {
		out := &hclsyntax.ObjectConsExpr{SrcRange: e.Range(), OpenRange: e.StartRange()}
		for _, pair := range pairs {
			key, err := l.jsonExpr(pair.Key)
			if err != nil {
				return nil, err
			}
			value, err := l.jsonExpr(pair.Value)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: value})
		}
		return out, nil
	}
	// Without a context the value is the literal as it stands in the file.
	v, diags := e.Value(nil)
	if diags.HasErrors() {
		return nil, syntaxError(diags)
	}
	if v.IsNull() || v.Type() != cty.String {
		l.meter.where = e.Range()
		l.meter.weigh(v)
		return &hclsyntax.LiteralValueExpr{Val: v, SrcRange: e.Range()}, nil
	}
	return l.template(v.AsString(), e.Range())
}

// template parses a string as a template and prepares it for evaluation.
func (l *loader) template(src string, rng hcl.Range) (hclsyntax.Expression, error) {
	if err := checkReserved(place(rng), src); err != nil {
		return nil, err
	}
	tokens, _ := hclsyntax.LexTemplate([]byte(src), rng.Filename, rng.Start)
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	expr, diags := hclsyntax.ParseTemplate([]byte(src), rng.Filename, rng.Start)
	if diags.HasErrors() {
		return nil, syntaxError(diags)
	}
	return expr, l.prepare(expr)
}

// jsonDynamic reads {"ingress": {"for_each": …, "content": {…}}} and its
// variants with lists.
func (l *loader) jsonDynamic(e hcl.Expression) ([]*blockDecl, error) {
	var out []*blockDecl
	for _, group := range listOrSelf(e) {
		pairs, diags := hcl.ExprMap(group)
		if diags.HasErrors() {
			return nil, syntaxError(diags)
		}
		for _, pair := range pairs {
			key, diags := pair.Key.Value(nil)
			if diags.HasErrors() || key.Type() != cty.String {
				return nil, fail.Newf(fail.Usage, "name the block that is dynamic", "%s: malformed dynamic block", place(pair.Key.Range()))
			}
			for _, item := range listOrSelf(pair.Value) {
				inner, err := l.jsonBody(item)
				if err != nil {
					return nil, err
				}
				out = append(out, &blockDecl{typ: "dynamic", labels: []string{key.AsString()}, body: inner, rng: item.Range()})
			}
		}
	}
	return out, nil
}

// jsonBody reads an object expression as a body; "content" is a nested block.
func (l *loader) jsonBody(e hcl.Expression) (*body, error) {
	pairs, diags := hcl.ExprMap(e)
	if diags.HasErrors() {
		return nil, syntaxError(diags)
	}
	out := &body{attrs: map[string]attr{}, rng: e.Range()}
	for _, pair := range pairs {
		key, diags := pair.Key.Value(nil)
		if diags.HasErrors() || key.Type() != cty.String {
			return nil, fail.Newf(fail.Usage, "use plain attribute names", "%s: malformed attribute name", place(pair.Key.Range()))
		}
		switch name := key.AsString(); name {
		case "//":
		case "content":
			for _, item := range listOrSelf(pair.Value) {
				inner, err := l.jsonBody(item)
				if err != nil {
					return nil, err
				}
				out.blocks = append(out.blocks, &blockDecl{typ: name, body: inner, rng: item.Range()})
			}
		case "dynamic":
			blocks, err := l.jsonDynamic(pair.Value)
			if err != nil {
				return nil, err
			}
			out.blocks = append(out.blocks, blocks...)
		default:
			expr, err := l.jsonExpr(pair.Value)
			if err != nil {
				return nil, err
			}
			out.attrs[name] = attr{expr: expr, raw: pair.Value, rng: pair.Key.Range()}
		}
	}
	return out, nil
}

func listOrSelf(e hcl.Expression) []hcl.Expression {
	if list, diags := hcl.ExprList(e); !diags.HasErrors() {
		return list
	}
	return []hcl.Expression{e}
}
