package planfile

import (
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// reader turns a plan into resource instances.
type reader struct {
	path     string
	plan     *plan
	set      *resource.Set
	unknown  map[string]any                  // after_unknown by address
	modules  map[string]*module              // by static path
	static   map[string][]*resource.Instance // instances by static address
	physical map[string]string               // literal id or ARN to symbol
	seen     map[string]bool                 // addresses
	existing map[string]bool                 // addresses of what exists before the plan is applied
}

// module is the configuration of a module call, found by its static path.
type module struct {
	path   string // "", "module.web"
	name   string
	config *configModule
	call   *configCall // nil for the root
	parent *module
}

func newReader(path string, p *plan) *reader {
	return &reader{
		path: path, plan: p, set: &resource.Set{Name: path, Needs: map[string][]string{}},
		unknown: map[string]any{}, modules: map[string]*module{},
		static: map[string][]*resource.Instance{}, physical: map[string]string{}, seen: map[string]bool{}, existing: map[string]bool{},
	}
}

// identifier matches ARNs and ids such as sg-0123456789abcdef0, not the ids
// of resources that are known by a name of their own choice.
var identifier = regexp.MustCompile(`^(arn:.*:.*|[a-z]+-[0-9a-f]{8,})$`)

// item is a resource of the plan on its way to an instance.
type item struct {
	value  value
	inst   *resource.Instance
	module string // instance address of its module
}

func (r *reader) read() (*resource.Set, error) {
	if err := r.addModule(&module{config: &r.plan.Configuration.Root}, 0); err != nil {
		return nil, err
	}
	var items, gone []*item
	for _, c := range r.plan.Changes {
		if c.Deposed != "" {
			continue
		}
		r.unknown[c.Address] = c.Change.AfterUnknown
		r.existing[c.Address] = c.Change.Before != nil
		if slices.Equal(c.Change.Actions, []string{"delete"}) && len(gone) < maxInstances {
			inst := &resource.Instance{Address: c.Address, Static: staticPath(c.Address), Type: c.Type, Body: resource.NewBody(r.path, 0)}
			gone = append(gone, &item{value: value{Values: c.Change.Before}, inst: inst, module: c.Module})
			r.set.Gone = append(r.set.Gone, inst)
		}
	}
	source := r.plan.Planned
	if source == nil {
		source = r.plan.Values
	}
	if err := r.collect(&source.Root, 0, false, &items); err != nil {
		return nil, err
	}
	if r.plan.Prior != nil && r.plan.Prior.Values != nil {
		// Data sources that were read while planning stand here only.
		if err := r.collect(&r.plan.Prior.Values.Root, 0, true, &items); err != nil {
			return nil, err
		}
	}
	for _, it := range append(items, gone...) {
		if err := r.body(it); err != nil {
			return nil, err
		}
	}
	r.needs()
	for _, it := range items {
		for _, on := range it.value.DependsOn {
			r.add(it.inst.Static, on)
		}
	}
	r.set.Sort()
	return r.set, nil
}

func (r *reader) addModule(m *module, depth int) error {
	if depth > maxModules {
		return fail.Newf(fail.Usage, showHint, "%s: modules nest deeper than %d", r.path, maxModules)
	}
	r.modules[m.path] = m
	for name, call := range m.config.Calls {
		child := &module{path: join(m.path, "module."+name), name: name, config: &call.Module, call: &call, parent: m}
		if err := r.addModule(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func join(module, key string) string {
	if module == "" {
		return key
	}
	return module + "." + key
}

// collect lists the resources of a module and its children, so that
// references can find them all before values are read.
func (r *reader) collect(m *valueModule, depth int, dataOnly bool, items *[]*item) error {
	if depth > maxModules {
		return fail.Newf(fail.Usage, showHint, "%s: modules nest deeper than %d", r.path, maxModules)
	}
	for _, v := range m.Resources {
		data := v.Mode == "data"
		if dataOnly && !data {
			continue
		}
		if len(*items) >= maxInstances {
			return fail.Newf(fail.Usage, "plan one part of the configuration with -target", "%s: more than %d resource instances", r.path, maxInstances)
		}
		key := v.Type + "." + v.Name
		if data {
			key = "data." + key
		}
		if strings.ContainsAny(v.Address, resource.Reserved) {
			return r.reserved()
		}
		if r.seen[v.Address] {
			continue // a data source that is read again during the apply
		}
		r.seen[v.Address] = true
		inst := &resource.Instance{Address: v.Address, Static: join(staticPath(m.Address), key), Type: v.Type, Data: data,
			Body: resource.NewBody(r.path, 0)}
		*items = append(*items, &item{value: v, inst: inst, module: m.Address})
		r.static[inst.Static] = append(r.static[inst.Static], inst)
		r.set.Instances = append(r.set.Instances, inst)
		for _, name := range []string{"id", "arn"} {
			if s, ok := v.Values[name].(string); ok && identifier.MatchString(s) && r.physical[s] == "" {
				r.physical[s] = resource.Symbol(v.Address, name)
			}
		}
	}
	for i := range m.Children {
		if err := r.collect(&m.Children[i], depth+1, dataOnly, items); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) reserved() error {
	return fail.Newf(fail.Usage, "remove the character from the configuration", "%s: holds a Unicode noncharacter (U+FDD0 to U+FDD5)", r.path)
}

// staticPath drops the instance keys from a module address.
func staticPath(address string) string {
	var b strings.Builder
	for _, c := range outsideKeys(address) {
		b.WriteByte(c)
	}
	return b.String()
}

// outsideKeys yields the bytes of an address that are in no instance key, with
// their places. A key may have brackets and quotes of its own.
func outsideKeys(address string) iter.Seq2[int, byte] {
	return func(yield func(int, byte) bool) {
		depth, quoted := 0, false
		for i := 0; i < len(address); i++ {
			c := address[i]
			switch {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '[':
				depth++
			case c == ']':
				depth--
			case depth == 0 && !yield(i, c):
				return
			}
		}
	}
}

// body reads the planned values of a resource.
func (r *reader) body(it *item) error {
	body := it.inst.Body
	body.Physical = func(s string) (string, bool) {
		symbol, ok := r.physical[s]
		return symbol, ok
	}
	unknown, _ := r.unknown[it.inst.Address].(map[string]any)
	config := r.config(it.inst)
	names := map[string]bool{}
	for name := range it.value.Values {
		names[name] = true
	}
	for name := range unknown {
		names[name] = true
	}
	for _, name := range sortedKeys(names) {
		expr, written := config[name]
		v, err := r.value(it, name, it.value.Values[name], unknown[name], expr, written || config == nil)
		if err != nil {
			return err
		}
		body.Attrs[name] = resource.Attr{Value: v, File: r.path,
			ReadBack: !written && (config == nil || r.existing[it.inst.Address])}
	}
	return nil
}

// config returns the expressions of a resource's block; nil in a state.
func (r *reader) config(inst *resource.Instance) map[string]any {
	m := r.modules[strings.TrimSuffix(strings.TrimSuffix(inst.Static, key(inst)), ".")]
	if m == nil {
		return nil
	}
	for i := range m.config.Resources {
		if c := &m.config.Resources[i]; c.Address == key(inst) {
			return c.Expressions
		}
	}
	return nil
}

// key is the address of an instance's block within its module.
func key(inst *resource.Instance) string {
	parts := strings.Split(inst.Static, ".")
	n := 2
	if inst.Data {
		n = 3
	}
	return strings.Join(parts[max(0, len(parts)-n):], ".")
}

// value joins a planned value with the marks on its unknown parts. expr is
// what the configuration says about it, nil when nothing. An unknown part
// that the configuration does not write is a default that AWS chooses: it
// reads as not set.
func (r *reader) value(it *item, name string, v, unknown, expr any, written bool) (cty.Value, error) {
	switch u := unknown.(type) {
	case bool:
		if u && !written {
			return cty.NullVal(cty.DynamicPseudoType), nil
		}
		if u {
			return r.open(it, expr), nil
		}
	case map[string]any:
		object, _ := v.(map[string]any)
		return r.object(it, name, object, u, expr)
	case []any:
		list, _ := v.([]any)
		return r.list(it, name, list, u, expr)
	}
	switch x := v.(type) {
	case nil:
		return cty.NullVal(cty.DynamicPseudoType), nil
	case bool:
		return cty.BoolVal(x), nil
	case string:
		if !resource.IsSettled(x) {
			return cty.NilVal, r.reserved()
		}
		return cty.StringVal(x), nil
	case json.Number:
		return number(r.path, x)
	case map[string]any:
		return r.object(it, name, x, nil, expr)
	case []any:
		return r.list(it, name, x, nil, expr)
	}
	return cty.NilVal, fail.Newf(fail.Usage, showHint, "%s: %s of %s is a %T", r.path, name, it.inst.Address, v)
}

func (r *reader) object(it *item, name string, v, unknown map[string]any, expr any) (cty.Value, error) {
	out := map[string]cty.Value{}
	for _, m := range []map[string]any{v, unknown} {
		for _, k := range sortedKeys(m) {
			if _, done := out[k]; done {
				continue
			}
			inner, written := within(expr, k)
			e, err := r.value(it, name+"."+k, v[k], unknown[k], inner, written)
			if err != nil {
				return cty.NilVal, err
			}
			if strings.ContainsAny(k, resource.Reserved) {
				return cty.NilVal, r.reserved()
			}
			out[k] = e
		}
	}
	return cty.ObjectVal(out), nil
}

// shared is an expression that stands for all blocks of a type, or for all
// members of one: a plan writes the rules of a security group so, because
// they may be given as blocks or as a list. Its references belong to one
// member or another.
type shared struct{ expr any }

// within returns what the configuration says about a member of a block.
func within(expr any, k string) (inner any, written bool) {
	if _, ok := expr.(shared); ok {
		return expr, true
	}
	if isExpression(expr) {
		return shared{expr}, true
	}
	if block, ok := expr.(map[string]any); ok {
		inner, written = block[k]
		return inner, written
	}
	return nil, expr == nil // without configuration nothing can be said
}

func (r *reader) list(it *item, name string, v, unknown []any, expr any) (cty.Value, error) {
	n := max(len(v), len(unknown))
	if all, ok := r.openList(it, unknown, expr, n); ok {
		return all, nil
	}
	blocks, _ := expr.([]any)
	out := make([]cty.Value, n)
	for i := range out {
		var e, u, inner any
		if i < len(v) {
			e = v[i]
		}
		if i < len(unknown) {
			u = unknown[i]
		}
		switch {
		case len(blocks) > 0 && !allExpressions(blocks):
			inner = match(blocks, e)
		default:
			if _, ok := expr.(shared); ok || isExpression(expr) {
				inner = expr
			}
		}
		var err error
		if out[i], err = r.value(it, name, e, u, inner, true); err != nil {
			return cty.NilVal, err
		}
	}
	return cty.TupleVal(out), nil
}

// match returns the configuration of a block by its planned value. Blocks of
// a set are planned in another order than they are written in, so their
// constants must tell; blocks that no constant tells apart stay without.
func match(blocks []any, planned any) any {
	var found any
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		if !consistent(block, planned) {
			continue
		}
		if found != nil {
			return nil
		}
		found = b
	}
	return found
}

func consistent(block map[string]any, planned any) bool {
	values, _ := planned.(map[string]any)
	for k, expr := range block {
		m, _ := expr.(map[string]any)
		constant, ok := m["constant_value"]
		if got, known := values[k]; ok && known && got != nil && fmt.Sprint(got) != fmt.Sprint(constant) {
			return false
		}
	}
	return true
}

func allExpressions(list []any) bool {
	for _, e := range list {
		if !isExpression(e) {
			return false
		}
	}
	return true
}

// number refuses numbers whose decimal form would be a burden.
func number(path string, n json.Number) (cty.Value, error) {
	text := n.String()
	if _, exp, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		if e, err := strconv.Atoi(exp); err != nil || e > 300 || e < -300 {
			return cty.NilVal, fail.Newf(fail.Usage, showHint, "%s: the number %.40s is too large or too small to be meant", path, text)
		}
	}
	if len(text) > 400 {
		return cty.NilVal, fail.Newf(fail.Usage, showHint, "%s: the number %.40s… is too long to be meant", path, text)
	}
	v, err := cty.ParseNumberVal(text)
	if err != nil {
		return cty.NilVal, fail.Newf(fail.Usage, showHint, "%s: %.40q is not a number", path, text)
	}
	return v, nil
}

// open is an unknown value. An argument that is unknown and refers to one
// identifier takes its value from it. Several are the elements of a list, if
// nothing in the expression could choose among them; an argument that takes
// a single value then calls it unknown.
func (r *reader) open(it *item, expr any) cty.Value {
	s, isShared := expr.(shared)
	if isShared {
		expr = s.expr
	}
	targets, choice, problem := r.targets(it, expr, isShared)
	choice = choice || isShared && len(targets) > 1
	switch {
	case problem != "":
	case choice:
		problem = fmt.Sprintf("one or more of several resources, such as %s; a plan does not say which", targets[0].inst.Address)
	case len(targets) == 1:
		return cty.StringVal(targets[0].symbol())
	case sameType(targets):
		return symbols(targets)
	default:
		problem = "made of resources of several types, known only after apply"
	}
	return resource.Unknown(it.inst.Address + ": " + problem)
}

// openList reads a list of which every element is unknown. With as many
// references as elements each stands for one, a splat included; their order
// may differ, which matters to no list of identifiers.
func (r *reader) openList(it *item, unknown []any, expr any, n int) (cty.Value, bool) {
	if n == 0 || len(unknown) != n {
		return cty.NilVal, false
	}
	for _, u := range unknown {
		if u != true {
			return cty.NilVal, false
		}
	}
	s, isShared := expr.(shared)
	if isShared {
		expr = s.expr
	}
	targets, _, problem := r.targets(it, expr, isShared)
	if problem != "" || len(targets) != n || !sameType(targets) {
		return cty.NilVal, false
	}
	return symbols(targets), true
}

func symbols(targets []target) cty.Value {
	elems := make([]cty.Value, len(targets))
	for i, t := range targets {
		elems[i] = cty.StringVal(t.symbol())
	}
	return cty.TupleVal(elems)
}

func sameType(targets []target) bool {
	for _, t := range targets {
		if t.inst.Type != targets[0].inst.Type {
			return false
		}
	}
	return true
}
