package cfn

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// functions maps an intrinsic function to its evaluation. arg is the node
// under the function's name and line that of the call.
var functions map[string]func(s *Stack, arg *node, line int32) Value

func init() { // a variable initialiser would be a cycle: functions evaluate functions
	functions = map[string]func(*Stack, *node, int32) Value{
		"Ref":                (*Stack).fnRef,
		"Fn::GetAtt":         (*Stack).fnGetAtt,
		"Fn::Sub":            (*Stack).fnSub,
		"Fn::Join":           (*Stack).fnJoin,
		"Fn::Split":          (*Stack).fnSplit,
		"Fn::Select":         (*Stack).fnSelect,
		"Fn::If":             (*Stack).fnIf,
		"Fn::FindInMap":      (*Stack).fnFindInMap,
		"Fn::ImportValue":    (*Stack).fnImportValue,
		"Fn::GetStackOutput": (*Stack).fnGetStackOutput,
		"Fn::Base64":         (*Stack).fnBase64,
		"Fn::Cidr":           (*Stack).fnCidr,
		"Fn::GetAZs":         (*Stack).fnGetAZs,
		"Fn::Length":         (*Stack).fnLength,
		"Fn::Equals":         (*Stack).fnCondition,
		"Fn::And":            (*Stack).fnCondition,
		"Fn::Or":             (*Stack).fnCondition,
		"Fn::Not":            (*Stack).fnCondition,
	}
}

// call returns the function name and argument of n when it is a function call.
func call(n *node) (name string, arg *node, ok bool) {
	if n == nil || n.kind != nMap || len(n.keys) != 1 {
		return "", nil, false
	}
	name = n.keys[0].name
	if name == "Ref" || strings.HasPrefix(name, "Fn::") {
		return name, n.kids[0], true
	}
	return "", nil, false
}

// eval resolves an expression. A list or map resolves to itself; its content
// is resolved when it is read.
func (s *Stack) eval(n *node) Value {
	if n == nil {
		return Value{}
	}
	if s.asm.work--; s.asm.work < 0 {
		return s.unknown(n.line, "", "the templates take too long to resolve")
	}
	switch n.kind {
	case nNull:
		return Value{}
	case nScalar:
		if strings.Contains(n.text, "{{resolve:") {
			return s.dynamic(n.text, n.line)
		}
		return s.known(n.line, n.text)
	case nList:
		return Value{kind: List, line: n.line, stack: s, node: n}
	}
	name, arg, ok := call(n)
	if !ok {
		return Value{kind: Map, line: n.line, stack: s, node: n}
	}
	f := functions[name]
	if f == nil {
		return s.unknown(n.line, "", "%s is not evaluated", name)
	}
	if !s.asm.descend() {
		return s.tooLong(n.line)
	}
	defer s.asm.ascend()
	return f(s, arg, n.line)
}

// descend counts one reference deeper and reports whether that is allowed;
// ascend counts back.
func (a *Assembly) descend() bool {
	if a.depth >= maxChain {
		return false
	}
	a.depth++
	return true
}

func (a *Assembly) ascend() { a.depth-- }

func (s *Stack) tooLong(line int32) Value {
	return s.unknown(line, "", "more than %d references in a chain", maxChain)
}

// once evaluates a shared expression one time and keeps the result. An
// expression that needs itself is a cycle, which is an error of the template.
func (s *Stack) once(n *node, what string) Value {
	if n == nil {
		return Value{}
	}
	a, k := s.asm, scoped{s, n}
	if v, ok := a.memo[k]; ok {
		return v
	}
	if a.busy[k] {
		a.cycle(s, n.line, what)
		return s.unknown(n.line, "", "%s refers to itself", what)
	}
	if !a.descend() {
		return s.tooLong(n.line)
	}
	defer a.ascend()
	a.busy[k] = true
	v := s.eval(n)
	delete(a.busy, k)
	a.memo[k] = v
	return v
}

// cycle keeps the first reference cycle as the error of the load.
func (a *Assembly) cycle(s *Stack, line int32, what string) {
	if a.failure == nil {
		a.failure = fail.Newf(fail.Usage, "break the cycle: CloudFormation refuses it",
			"%s:%d: %s refers to itself", s.File, line, what)
	}
}

// args returns the argument list of a call with at least min and at most max
// items, or an unknown value that names the shape.
func (s *Stack) args(fn, shape string, arg *node, line int32, min, max int) ([]*node, Value, bool) {
	if arg == nil || arg.kind != nList || len(arg.kids) < min || len(arg.kids) > max {
		return nil, s.unknown(line, "", "%s wants %s", fn, shape), false
	}
	return arg.kids, Value{}, true
}

func (s *Stack) fnRef(arg *node, line int32) Value {
	name, ok := arg.scalar()
	if !ok {
		return s.unknown(line, "", "Ref wants a name")
	}
	return s.lookup(name, line)
}

// lookup resolves a name: pseudo-parameter, parameter or resource.
func (s *Stack) lookup(name string, line int32) Value {
	if strings.HasPrefix(name, "AWS::") {
		return s.pseudo(name, line)
	}
	if p := s.root.get("Parameters").get(name); p != nil {
		return s.parameter(name, p, line)
	}
	if r := s.byID[name]; r != nil {
		return s.resource(r, "", line)
	}
	return s.unknown(line, "name:"+s.Name+"/"+name, "%s is neither a parameter nor a resource of this template", name)
}

// resource returns a reference, or what it stands for: the output of a
// nested stack, a value that a custom resource carries between regions.
func (s *Stack) resource(r *Resource, attr string, line int32) Value {
	if r.exist == no {
		return s.unknown(line, "", "%s is not created: its condition is false", r.LogicalID)
	}
	switch r.Type {
	case typeStack, typeApplication:
		if out, ok := strings.CutPrefix(attr, "Outputs."); ok {
			return s.nestedOutput(r, out, line)
		}
	case "Custom::CrossRegionExportReader":
		if v, ok := s.asm.carried(attr); ok {
			return v
		}
	}
	return s.ref(line, r, attr)
}

func (s *Stack) nestedOutput(r *Resource, name string, line int32) Value {
	same := "attr:" + r.Name() + ".Outputs." + name
	if r.child == nil {
		return s.unknown(line, same, "the template of nested stack %s was not loaded", r.LogicalID)
	}
	o := r.child.outputs[name]
	if o == nil {
		return s.unknown(line, same, "nested stack %s has no output %s", r.LogicalID, name)
	}
	return o.eval()
}

func (o *output) eval() Value { return o.stack.once(o.value, "output "+o.id) }

func (s *Stack) fnGetAtt(arg *node, line int32) Value {
	id, attr, ok := s.getAtt(arg)
	if !ok {
		return s.unknown(line, "", "Fn::GetAtt wants a resource and an attribute")
	}
	r := s.byID[id]
	if r == nil {
		return s.unknown(line, "name:"+s.Name+"/"+id+"."+attr, "%s is not a resource of this template", id)
	}
	return s.resource(r, attr, line)
}

// getAtt reads both forms of the argument. The attribute may be an
// expression; the resource may not.
func (s *Stack) getAtt(arg *node) (id, attr string, ok bool) {
	if t, ok := arg.scalar(); ok {
		return strings.Cut(t, ".")
	}
	if arg == nil || arg.kind != nList || len(arg.kids) < 2 {
		return "", "", false
	}
	id, ok = arg.kids[0].scalar()
	if !ok {
		return "", "", false
	}
	parts := make([]string, 0, len(arg.kids)-1)
	for _, k := range arg.kids[1:] {
		t, ok := s.eval(k).Text()
		if !ok {
			return "", "", false
		}
		parts = append(parts, t)
	}
	return id, strings.Join(parts, "."), true
}

func (s *Stack) fnSelect(arg *node, line int32) Value {
	kids, bad, ok := s.args("Fn::Select", "an index and a list", arg, line, 2, 2)
	if !ok {
		return bad
	}
	index := s.eval(kids[0])
	i, ok := index.Int()
	if !ok {
		return s.unknown(line, "", "Fn::Select: the index is %s", index.describe())
	}
	list := s.eval(kids[1])
	switch {
	case list.kind == List:
		items := list.Items()
		if i < 0 || i >= len(items) {
			return s.unknown(line, "", "Fn::Select: index %d of a list with %d items", i, len(items))
		}
		return items[i]
	case list.kind == Unknown || list.kind == Reference:
		return s.from(list, line, "Fn::Select", strconv.Itoa(i))
	}
	return s.unknown(line, "", "Fn::Select: %s is no list", list.describe())
}

// from returns the unknown result of a function over a value that is not
// settled. The same function of the same value gives the same; detail tells
// its other arguments apart.
func (s *Stack) from(v Value, line int32, fn, detail string) Value {
	same := v.Same()
	if same != "" {
		same = fmt.Sprintf("%s(%s,%s)", fn, detail, same)
	}
	out := s.unknown(line, same, "%s: %s is settled at deploy", fn, v.describe())
	if v.kind == Unknown {
		out.x.why = v.x.why
	}
	return out
}

func (s *Stack) fnFindInMap(arg *node, line int32) Value {
	kids, bad, ok := s.args("Fn::FindInMap", "a map name and two keys", arg, line, 3, 4)
	if !ok {
		return bad
	}
	name, top, second := s.eval(kids[0]), s.eval(kids[1]), s.eval(kids[2])
	m, okm := name.Text()
	k2, ok2 := second.Text()
	if !okm || !ok2 {
		return s.unknown(line, "", "Fn::FindInMap: a key is not settled")
	}
	table := s.root.get("Mappings").get(m)
	if table == nil || table.kind != nMap {
		return s.unknown(line, "", "Fn::FindInMap: there is no mapping %s", m)
	}
	if k1, ok := top.Text(); ok {
		if n := table.get(k1).get(k2); n != nil {
			return s.eval(n)
		}
		if len(kids) == 4 {
			return s.eval(kids[3].get("DefaultValue"))
		}
		return s.unknown(line, "", "Fn::FindInMap: mapping %s has no entry %s, %s", m, k1, k2)
	}
	return s.anyRow(table, top, k2, line)
}

// anyRow resolves a lookup whose first key is not settled, usually the
// region: when every row holds the same value, the key does not matter.
func (s *Stack) anyRow(table *node, top Value, k2 string, line int32) Value {
	why := "Fn::FindInMap: the first key is " + top.describe()
	if top.kind == Unknown {
		why = top.x.why
	}
	if len(table.kids) == 0 || len(table.kids) > maxItems {
		return s.unknown(line, "", "%s", why)
	}
	rows := make([]Value, 0, len(table.kids))
	for _, row := range table.kids {
		rows = append(rows, s.eval(row.get(k2)))
	}
	if rows[0].kind == Absent {
		return s.unknown(line, "", "%s", why)
	}
	return s.choice(line, why, rows)
}

func (s *Stack) fnGetAZs(arg *node, line int32) Value {
	region := s.eval(arg)
	if t, ok := region.Text(); region.kind == Absent || ok && t == "" {
		region = s.pseudo("AWS::Region", line)
	}
	v := s.from(region, line, "Fn::GetAZs", "")
	v.x.why = s.unknown(line, "", "the availability zones of the region are settled at deploy").Why()
	return v
}

func (s *Stack) fnLength(arg *node, line int32) Value {
	v := s.eval(arg)
	if v.kind != List {
		return s.unknown(line, "", "Fn::Length of %s", v.describe())
	}
	return s.known(line, fmt.Sprint(len(v.Items())))
}
