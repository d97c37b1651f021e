package module

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/hoplab/hoplab/internal/fail"
)

// tree is a module call with the modules that it calls in turn; the root
// module is the tree without a call. Counts and for_each are not expanded.
type tree struct {
	config   *config
	parent   *tree
	call     *moduleCall
	path     string // static address: "", "module.web", "module.web.module.db"
	children map[string]*tree
	depth    int
}

// static is the address of something in the module, without instance keys.
func (t *tree) static(key string) string {
	if t.path == "" {
		return key
	}
	return t.path + "." + key
}

// tree loads the module in dir and all local modules below it.
func (l *loader) tree(dir string, installed map[string]string) (*tree, error) {
	root := &tree{children: map[string]*tree{}}
	count := 0
	var load func(t *tree, dir string) error
	load = func(t *tree, dir string) (err error) {
		if count++; count > maxModules || t.depth > maxModuleDepth {
			return fail.Newf(fail.Usage, "break the chain of modules that call each other", "%s: more than %d module calls, or calls nested deeper than %d", place(t.call.rng), maxModules, maxModuleDepth)
		}
		if t.config, err = l.config(dir); err != nil {
			return err
		}
		for _, name := range sortedKeys(t.config.calls) {
			call := t.config.calls[name]
			child := &tree{parent: t, call: call, path: t.static("module." + name), children: map[string]*tree{}, depth: t.depth + 1}
			sub, ok := moduleDir(dir, call.source)
			if !ok {
				if sub, ok = installed[moduleKey(child.path)]; !ok {
					t.children[name] = nil // remote and not installed: its outputs are unknown
					continue
				}
			}
			if err := load(child, sub); err != nil {
				return err
			}
			t.children[name] = child
		}
		return nil
	}
	return root, load(root, dir)
}

// moduleDir returns the directory of a local source.
func moduleDir(dir, source string) (string, bool) {
	if strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../") || source == "." || source == ".." {
		return filepath.Join(dir, source), true
	}
	return "", false
}

// moduleKey turns "module.web.module.db" into "web.db", the key of the
// manifest that `terraform init` writes.
func moduleKey(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "module."), ".module.", ".")
}

// installed reads the manifest of modules that `terraform init` downloaded.
// Without one, remote modules are unknown.
func (l *loader) installed(dir string) map[string]string {
	src, err := l.files.readBelow(dir, filepath.Join(dir, ".terraform", "modules", "modules.json"))
	if err != nil {
		return nil
	}
	var manifest struct {
		Modules []struct{ Key, Dir string }
	}
	if json.Unmarshal(src, &manifest) != nil {
		return nil
	}
	dirs := map[string]string{}
	for _, m := range manifest.Modules {
		if m.Key != "" && filepath.IsLocal(m.Dir) {
			dirs[m.Key] = filepath.Join(dir, m.Dir)
		}
	}
	return dirs
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// attrName returns the name that step i of a traversal selects, or "".
func attrName(t hcl.Traversal, i int) string {
	if i < len(t) {
		switch s := t[i].(type) {
		case hcl.TraverseAttr:
			return s.Name
		case hcl.TraverseRoot:
			return s.Name
		}
	}
	return ""
}
