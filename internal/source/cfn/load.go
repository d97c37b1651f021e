package cfn

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
)

// Options settle what the templates leave open.
type Options struct {
	// Params gives values of parameters and pseudo-parameters, by "Name" for
	// every stack or by "Stack:Name" for one. The value is taken as the result
	// also for a parameter that CloudFormation would look up in SSM.
	Params map[string]string
	// Stack is the name of the stack of a template that stands alone; "" for that
	// of its file. Two states of one stack need the same.
	Stack string
}

// Load reads templates and resolves the references between them. A path is a
// template file (JSON or YAML), a cloud assembly (the directory cdk.out or
// its manifest.json), or a directory that holds one as cdk.out.
//
// An input that cannot be read, is no template, breaks a limit or refers to
// itself in a circle gives an error with exit code fail.Usage, file and line.
// What the templates leave open is no error: it resolves to an unknown value.
func Load(paths []string, opts Options) (*Assembly, error) {
	if len(paths) == 0 {
		return nil, fail.Newf(fail.Usage, "give a template file or a cdk.out directory", "no template given")
	}
	l := newLoader(strings.Join(paths, ", "), opts)
	l.read = l.readFile
	l.given = paths
	for _, p := range paths {
		if err := l.path(p); err != nil {
			return nil, err
		}
	}
	return l.finish()
}

// Parse reads one template from memory; file names it in messages. Templates
// of nested stacks are not loaded.
func Parse(file string, data []byte, opts Options) (*Assembly, error) {
	l := newLoader(file, opts)
	root, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	if _, err := l.add(&Stack{Name: stackName(file), File: file}, root); err != nil {
		return nil, err
	}
	return l.finish()
}

// loader collects the stacks of an assembly.
type loader struct {
	asm    *Assembly
	read   func(path string) ([]byte, error) // nil: nothing but the given text
	given  []string                          // the paths that the user named
	roots  []string                          // the assemblies and the folders of templates among them
	parsed map[string]*node
	names  map[string]bool
	stack  string // of the one template, if it is not to be its file's name
	values int    // read so far
}

func newLoader(name string, opts Options) *loader {
	return &loader{
		asm: &Assembly{
			Name: name, params: opts.Params,
			busy: map[scoped]bool{}, memo: map[scoped]Value{}, work: workBase, writes: maxWritten,
		},
		parsed: map[string]*node{},
		names:  map[string]bool{},
		stack:  opts.Stack,
	}
}

// path loads a template file or a cloud assembly.
func (l *loader) path(p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return unreadable(p, err)
	}
	if info.IsDir() {
		for _, dir := range []string{p, filepath.Join(p, "cdk.out")} {
			if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
				l.roots = append(l.roots, dir)
				_, err := l.assembly(dir, 0)
				return err
			}
		}
		if found := terragrunt(p); found != "" {
			return fail.Newf(fail.Usage, "give the module's directory, or the JSON of terragrunt plan: terragrunt show -json tfplan > plan.json",
				"%s: holds no .tf files but %s; hoplab does not run terragrunt", p, found)
		}
		return fail.Newf(fail.Usage, "give a template file, a cloud assembly that `cdk synth` made, or a directory with .tf files",
			"%s: holds no %s and no .tf files", p, manifestName)
	}
	l.roots = append(l.roots, filepath.Dir(p))
	if filepath.Base(p) == manifestName {
		_, err := l.assembly(filepath.Dir(p), 0)
		return err
	}
	_, err = l.file(&Stack{Name: cmp.Or(l.stack, stackName(p)), File: filepath.ToSlash(p)})
	return err
}

// terragrunt returns the first terragrunt file in a directory or right below
// it, "" when there is none.
func terragrunt(dir string) string {
	for _, pattern := range []string{"terragrunt.hcl", "root.hcl", "terragrunt.stack.hcl", "*/terragrunt.hcl", "*/*/terragrunt.hcl"} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(found) > 0 {
			rel, err := filepath.Rel(dir, found[0])
			if err != nil {
				rel = found[0]
			}
			return filepath.ToSlash(rel)
		}
	}
	return ""
}

// file reads the template of s and adds the stack.
func (l *loader) file(s *Stack) (*Stack, error) {
	root, err := l.template(s.File)
	if err != nil {
		return nil, err
	}
	return l.add(s, root)
}

// template reads and parses a file once.
func (l *loader) template(file string) (*node, error) {
	if root := l.parsed[file]; root != nil {
		return root, nil
	}
	data, err := l.read(file)
	if err != nil {
		return nil, err
	}
	root, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	l.parsed[file] = root
	l.values += len(data) / 16
	return root, nil
}

// add takes the template apart and loads the nested stacks below it.
func (l *loader) add(s *Stack, root *node) (*Stack, error) {
	if len(l.asm.Stacks) >= maxStacks {
		return nil, fail.Newf(fail.Usage, "check fewer stacks at once", "%s: more than %d stacks", s.File, maxStacks)
	}
	s.Name = l.unique(s.Name, s.File)
	s.asm = l.asm
	s.byID, s.outputs, s.conds = map[string]*Resource{}, map[string]*output{}, map[string]*condition{}
	if err := s.read(root); err != nil {
		return nil, err
	}
	l.asm.Stacks = append(l.asm.Stacks, s)
	return s, l.nested(s)
}

// unique returns a stack name that no other stack has.
func (l *loader) unique(name, file string) string {
	for _, candidate := range []string{name, file} {
		if candidate != "" && !l.names[candidate] {
			l.names[candidate] = true
			return candidate
		}
	}
	for i := 2; ; i++ {
		candidate := fmt.Sprintf("%s#%d", name, i)
		if !l.names[candidate] {
			l.names[candidate] = true
			return candidate
		}
	}
}

// finish resolves what is shared, so that a cycle shows now and not later.
func (l *loader) finish() (*Assembly, error) {
	a := l.asm
	a.work += workPerValue * l.values
	l.adopt()
	a.exports, a.unnamed, a.ssm = nil, nil, nil // in case a URL was made of them before all was loaded
	for _, s := range a.Stacks {
		s.settle()
	}
	for _, s := range a.Stacks {
		for _, id := range s.outputIDs {
			s.outputs[id].eval()
		}
	}
	if err := l.checkParams(); err != nil {
		return nil, err
	}
	if a.failure != nil {
		return nil, a.failure
	}
	if err := a.buildOrder(); err != nil {
		return nil, err
	}
	a.settleUnread()
	return a, a.failure
}

// adopt leaves out the stacks of their own that are nested in another: the
// template was given, and its parent too.
func (l *loader) adopt() {
	inside := map[string]bool{}
	for _, s := range l.asm.Stacks {
		if s.Nested != nil {
			inside[filepath.Clean(s.File)] = true
		}
	}
	l.asm.Stacks = slices.DeleteFunc(l.asm.Stacks, func(s *Stack) bool {
		top := s
		for top.Nested != nil {
			top = top.Nested.Stack
		}
		return inside[filepath.Clean(top.File)]
	})
}

// checkParams refuses a parameter that no template has: a misspelt one would
// silently leave its verdict unknown.
func (l *loader) checkParams() error {
	var names []string
	for k := range l.asm.params {
		if !l.declared(k) {
			names = append(names, k)
		}
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	return fail.Newf(fail.Usage, "check the spelling; write Stack:Name to set it for one stack",
		"parameter %s: no template here declares it%s", names[0], l.declares())
}

func (l *loader) declared(k string) bool {
	for _, s := range l.asm.Stacks {
		name, own := strings.CutPrefix(k, s.Name+":")
		switch name {
		case "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix", "AWS::StackName", "AWS::StackId":
			return true
		}
		if (own || s.Nested == nil) && s.root.get("Parameters").at(name) >= 0 {
			return true
		}
	}
	return false
}

// declares lists the parameters there are, to help with a misspelt one.
func (l *loader) declares() string {
	seen := map[string]bool{}
	for _, s := range l.asm.Stacks {
		for name := range s.each("Parameters") {
			seen[name] = true
		}
	}
	delete(seen, "BootstrapVersion") // every CDK template has it
	if len(seen) == 0 {
		return "; there are none"
	}
	list := make([]string, 0, len(seen))
	for n := range seen {
		list = append(list, n)
	}
	sort.Strings(list)
	if len(list) > 8 {
		list = append(list[:8], "…")
	}
	return "; there are " + strings.Join(list, ", ")
}

// parse reads JSON or YAML, by what the text looks like.
func parse(file string, data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	body := bytes.TrimLeft(data, " \t\r\n")
	if !bytes.HasPrefix(body, []byte("{")) {
		return parseYAML(file, data)
	}
	n, err := parseJSON(file, data)
	if err == nil || strings.EqualFold(filepath.Ext(file), ".json") || len(data) > maxYAML {
		return n, err
	}
	if y, yerr := parseYAML(file, data); yerr == nil { // a YAML flow map
		return y, nil
	}
	return nil, err
}

// readFile reads a file within the size limit: any file that the user named, and
// regular ones below what the user named when a template or a manifest names them.
func (l *loader) readFile(path string) ([]byte, error) {
	for _, g := range l.given {
		if filepath.Clean(g) != filepath.Clean(path) {
			continue
		}
		data, err := bounded.Read(path, maxJSON)
		if err != nil {
			return nil, unreadable(path, err)
		}
		return data, nil
	}
	err := error(&fs.PathError{Op: "open", Path: path, Err: bounded.ErrOutside})
	for _, root := range l.roots {
		var data []byte
		if data, err = bounded.ReadBelow(root, path, maxJSON); err == nil {
			return data, nil
		}
		if !errors.Is(err, bounded.ErrOutside) {
			break
		}
	}
	return nil, unreadable(path, err)
}

func unreadable(path string, err error) error {
	hint := "check the path and its permissions"
	if errors.Is(err, fs.ErrNotExist) {
		hint = "check the path; `cdk synth` writes a CDK app's templates to cdk.out"
	}
	if errors.Is(err, bounded.ErrOutside) || errors.Is(err, bounded.ErrNotRegular) {
		hint = "put a copy of the file there, or give the file itself"
	}
	if errors.Is(err, bounded.ErrTooLarge) {
		hint = "give the template alone: CloudFormation takes at most 1 MB"
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fail.Newf(fail.Usage, hint, "cannot read %s: %w", path, err)
}

// stackName returns the name of a stack that is known by its file alone.
func stackName(file string) string {
	name := filepath.Base(file)
	for _, ext := range []string{".json", ".yaml", ".yml", ".template"} {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}
