package cfn

import (
	"fmt"
	"sort"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// Assembly is everything that was loaded together: one stack per template,
// with the references between them resolvable.
//
// Values are resolved when they are asked for and some results are kept, so
// an Assembly and its values are for one goroutine at a time.
type Assembly struct {
	Name   string // what it was loaded from
	Stacks []*Stack
	Notes  []Note // what the reader could not take into account
	// Unread lists the parts of the source that were not read.
	Unread []Unread

	params     map[string]string
	work       int              // units of evaluation left
	writes     int              // of maxWritten left
	depth      int              // references followed to reach the current value
	busy       map[scoped]bool  // expressions under evaluation, to notice cycles
	memo       map[scoped]Value // results of shared expressions
	failure    error            // the first cycle met, or loops beyond maxWritten
	exports    map[string][]*output
	unnamed    []*output         // exports whose name is not settled
	writers    map[string]scoped // what CDK carries between regions, by name
	order      *order
	looseOrder *order                 // counts what hangs on open conditions
	ssm        map[string][]*Resource // AWS::SSM::Parameter by environment and name
	// unreadOf holds the nested stacks among Unread.
	unreadOf []*Resource
}

// scoped is an expression in the stack that gives its names a meaning: two
// nested stacks may share one template.
type scoped struct {
	stack *Stack
	node  *node
}

// Note is a remark about a place in a template.
type Note struct {
	Pos   Pos
	Stack string
	Text  string
}

// Stack is one template and where it is to be deployed.
type Stack struct {
	// Name identifies the stack within the assembly: the artifact's id of a
	// cloud assembly, else the file's name; "Parent/LogicalID" for a nested stack.
	Name string
	// StackName is the name it is deployed under, "" when that is not known.
	StackName string
	File      string
	// Account and Region are empty when they are settled only at deploy.
	Account, Region string
	// Nested is the AWS::CloudFormation::Stack resource that creates this
	// stack, nil for a stack of its own.
	Nested    *Resource
	Resources []*Resource // in template order
	DependsOn []*Stack    // deployed before this one, by the manifest

	asm       *Assembly
	root      *node
	given     map[string]string // parameter values of the manifest
	byID      map[string]*Resource
	outputs   map[string]*output
	outputIDs []string
	conds     map[string]*condition
	depends   map[*Stack]bool // by references between stacks
}

// Resource is a resource of a template.
type Resource struct {
	Stack     *Stack
	LogicalID string
	Type      string
	Path      string // CDK construct path, "" when there is none
	Line      int
	DependsOn []string

	body  *node
	child *Stack // of a nested stack, when its template was loaded
	exist truth
	why   string // why existence is not settled
}

// output is an entry of Outputs.
type output struct {
	stack *Stack
	id    string
	line  int32
	value *node
	name  Value // of the export; absent when it is not exported
	// imported is set when a stack at hand imports it.
	imported bool
}

// Name returns "Stack/LogicalID".
func (r *Resource) Name() string { return r.Stack.Name + "/" + r.LogicalID }

// Pos returns where the resource is declared.
func (r *Resource) Pos() Pos { return Pos{r.Stack.File, r.Line} }

// Prop returns the property at the path of names; no names give them all.
func (r *Resource) Prop(names ...string) Value {
	return r.section("Properties").At(names...)
}

// Metadata returns the metadata at the path of names.
func (r *Resource) Metadata(names ...string) Value {
	return r.section("Metadata").At(names...)
}

func (r *Resource) section(name string) Value { return r.Stack.eval(r.body.get(name)) }

// Uses returns the resources of its stack that r certainly refers to, at any
// depth, DependsOn aside.
func (r *Resource) Uses() []*Resource {
	u := user{stack: r.Stack, self: r}
	u.walk(r.body.get("Properties"))
	return u.found
}

// Exists reports whether the resource's condition holds, and those of the
// nested stacks around it. When that is not settled, known is false and why
// says why.
func (r *Resource) Exists() (exists, known bool, why string) {
	if p := r.Stack.Nested; p != nil && r.exist != no {
		if exists, known, why := p.Exists(); !known || !exists {
			return exists, known, why
		}
	}
	return r.exist == yes, r.exist != maybe, r.why
}

// Resource returns the resource with the logical id, or nil.
func (s *Stack) Resource(id string) *Resource { return s.byID[id] }

// Metadata returns the template's own metadata at the path of names.
func (s *Stack) Metadata(names ...string) Value {
	return s.eval(s.root.get("Metadata")).At(names...)
}

// read takes the template apart. It checks shape only; nothing is resolved.
func (s *Stack) read(root *node) error {
	s.root = root
	root = s.expand(root, 0)
	if s.asm.failure != nil {
		return s.asm.failure
	}
	s.root = root
	res := root.get("Resources")
	if root.kind != nMap || res == nil {
		return fail.Newf(fail.Usage, "give a CloudFormation template (JSON or YAML), or a cdk.out directory",
			"%s:%d: not a CloudFormation template: it has no Resources%s", s.File, max(root.line, 1), s.found(root))
	}
	if res.kind == nList && (root.get("Hooks") != nil || root.get("version") != nil) {
		return fail.Newf(fail.Usage, "give the template that declares the service",
			"%s:%d: this is an AppSpec file of CodeDeploy, not a CloudFormation template", s.File, res.line)
	}
	if res.kind != nMap {
		return fail.Newf(fail.Usage, "write Resources as a map from logical id to resource",
			"%s:%d: Resources is not a map", s.File, res.line)
	}
	for name := range s.each("Conditions") {
		s.conds[name] = &condition{}
	}
	for i := range res.keys {
		if err := s.readResource(res.keys[i], res.kids[i]); err != nil {
			return err
		}
	}
	for id, n := range s.each("Outputs") {
		o := &output{stack: s, id: id, line: n.line, value: n.get("Value")}
		s.outputs[id] = o
		s.outputIDs = append(s.outputIDs, id)
	}
	s.noteTransforms()
	return nil
}

// each yields the entries of a top-level section in order.
func (s *Stack) each(section string) func(func(string, *node) bool) {
	return func(yield func(string, *node) bool) {
		n := s.root.get(section)
		if n == nil || n.kind != nMap {
			return
		}
		for i := range n.keys {
			if !yield(n.keys[i].name, n.kids[i]) {
				return
			}
		}
	}
}

func (s *Stack) found(root *node) string {
	if root.kind != nMap || len(root.keys) == 0 {
		return ""
	}
	names := make([]string, 0, 5)
	for i := range root.keys {
		if i == 5 {
			names = append(names, "…")
			break
		}
		names = append(names, root.keys[i].name)
	}
	return ", but " + strings.Join(names, ", ")
}

func (s *Stack) readResource(k key, n *node) error {
	if strings.HasPrefix(k.name, "Fn::") {
		s.note(k.line, "%s in Resources is not expanded: the resources it makes are not known", k.name)
		s.unreadLoop(k, n)
		return nil
	}
	switch n.kind {
	case nMap:
	case nNull:
		return fail.Newf(fail.Usage, "give it a Type, or check that the file is complete",
			"%s:%d: resource %s has no body", s.File, k.line, k.name)
	default:
		return fail.Newf(fail.Usage, "write a map with Type and Properties",
			"%s:%d: resource %s is not a map", s.File, k.line, k.name)
	}
	r := &Resource{Stack: s, LogicalID: k.name, Line: int(k.line), body: n, exist: yes}
	typ, ok := n.get("Type").scalar()
	if !ok {
		s.note(k.line, "resource %s has no Type and is left out", k.name)
		return nil
	}
	r.Type = typ
	r.DependsOn = texts(n.get("DependsOn"))
	r.Path, _ = n.get("Metadata").get("aws:cdk:path").scalar()
	s.Resources = append(s.Resources, r)
	s.byID[k.name] = r
	return nil
}

// texts returns a scalar or a list of scalars as strings.
func texts(n *node) []string {
	if t, ok := n.scalar(); ok {
		return []string{t}
	}
	if n == nil || n.kind != nList {
		return nil
	}
	var out []string
	for _, k := range n.kids {
		if t, ok := k.scalar(); ok {
			out = append(out, t)
		}
	}
	return out
}

// known transforms that leave the resources this package is asked for as
// they are written.
var harmless = map[string]string{
	"AWS::Serverless-2016-10-31":     "", // nested applications are followed; functions and APIs play no part
	"AWS::LanguageExtensions":        "",
	"AWS::CodeDeployBlueGreen":       "a hook moves tasks between target groups; it is read as written",
	"AWS::SecretsManager-2020-07-23": "",
	"AWS::SecretsManager-2024-09-16": "",
}

func (s *Stack) noteTransforms() {
	if n := s.root.get("Fn::Transform"); n != nil {
		s.note(n.line, "Fn::Transform adds to the template before it is deployed; it is read as written")
		s.unreadAll(n.line, "Fn::Transform")
	}
	n := s.root.get("Transform")
	if n == nil {
		return
	}
	names := texts(n)
	if n.kind == nMap {
		name, _ := n.get("Name").scalar()
		names = []string{name}
	}
	for _, name := range names {
		text, ok := harmless[name]
		switch {
		case !ok:
			s.note(n.line, "transform %s rewrites the template before it is deployed; it is read as written", name)
			s.unreadAll(n.line, "transform "+name)
		case text != "":
			s.note(n.line, "transform %s: %s", name, text)
		}
	}
}

func (s *Stack) note(line int32, format string, args ...any) {
	s.asm.Notes = append(s.asm.Notes, Note{Pos{s.File, int(line)}, s.Name, fmt.Sprintf(format, args...)})
}

// settle decides which resources exist.
func (s *Stack) settle() {
	for _, r := range s.Resources {
		name, ok := r.body.get("Condition").scalar()
		if !ok {
			continue
		}
		line := r.body.get("Condition").line
		if r.exist, r.why = s.condition(name, line); r.exist == maybe {
			r.why = s.open(line, name, r.why)
		}
	}
}

// deps returns the stacks that must be deployed before s, by the manifest or
// by reference, in order of name.
func (s *Stack) deps() []*Stack {
	set := map[*Stack]bool{}
	for _, d := range s.DependsOn {
		set[d] = true
	}
	for d := range s.depends {
		set[d] = true
	}
	delete(set, s)
	out := make([]*Stack, 0, len(set))
	for d := range set {
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}
