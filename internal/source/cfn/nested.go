package cfn

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
)

// Types of nested stacks. An application of the Serverless Application Model
// becomes a nested stack when the template is deployed.
const (
	typeStack       = "AWS::CloudFormation::Stack"
	typeApplication = "AWS::Serverless::Application"
)

// nested loads the templates of the nested stacks that s creates, when they
// are at hand: CDK names the file in the metadata of an asset, a template
// before `aws cloudformation package` has a relative path as its URL, and a
// URL may end in the path of a file that lies beside the parent or was given.
func (l *loader) nested(s *Stack) error {
	for _, r := range s.Resources {
		if r.Type != typeStack && r.Type != typeApplication {
			continue
		}
		file := l.nestedFile(r)
		if file == "" || l.read == nil {
			s.unreadStack(r, "its template is not at hand")
			continue
		}
		if depth, circle := ancestry(s, file); circle || depth >= maxNesting {
			s.unreadStack(r, "template "+file+" nests itself or too deep and is not followed")
			continue
		}
		child := &Stack{
			Name: s.Name + "/" + r.LogicalID, File: file, Nested: r,
			Account: s.Account, Region: s.Region,
		}
		root, err := l.template(file)
		if errors.Is(err, fs.ErrNotExist) {
			s.unreadStack(r, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		if r.child, err = l.add(child, root); err != nil {
			return err
		}
	}
	return nil
}

// nestedFile returns the file of a nested stack's template, or "".
func (l *loader) nestedFile(r *Resource) string {
	local := func(path string) string {
		if path == "" || !filepath.IsLocal(path) {
			return ""
		}
		return filepath.ToSlash(filepath.Join(filepath.Dir(r.Stack.File), path))
	}
	if path, ok := r.body.get("Metadata").get("aws:asset:path").scalar(); ok {
		return local(path)
	}
	if path := l.assetPath(r); path != "" {
		return local(path)
	}
	source := r.Prop("TemplateURL")
	if r.Type == typeApplication {
		source = r.Prop("Location")
	}
	if path, ok := source.Text(); ok && !strings.Contains(path, "://") {
		return local(path)
	}
	if source.Kind() == Map { // an application of the Serverless Application Repository
		return ""
	}
	_, path, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(source.Tail(), "https://"), "http://"), "/")
	for ok && path != "" {
		if file := l.atHand(local(path), path); file != "" {
			return file
		}
		_, path, ok = strings.Cut(path, "/")
	}
	return ""
}

// atHand returns the file of a nested template whose URL ends in path: the one
// beside the parent, or one that the user named.
func (l *loader) atHand(local, path string) string {
	if l.read == nil || local == "" {
		return ""
	}
	if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" && ext != ".json" && ext != ".template" {
		return ""
	}
	for _, p := range l.given {
		if p = filepath.ToSlash(p); p == path || strings.HasSuffix(p, "/"+path) {
			return p
		}
	}
	if _, err := l.read(local); err == nil {
		return local
	}
	return ""
}

// assetPath finds the template in the asset manifest beside the parent: the
// CDK app alone, without its CLI, leaves no path in the template, but the
// URL ends in the hash of the asset.
func (l *loader) assetPath(r *Resource) string {
	url := r.Prop("TemplateURL").Tail()
	hash := strings.TrimSuffix(url[strings.LastIndexByte(url, '/')+1:], ".json")
	top := r.Stack
	for top.Nested != nil {
		top = top.Nested.Stack
	}
	file, ok := strings.CutSuffix(top.File, ".template.json")
	if !ok || hash == "" || l.read == nil {
		return ""
	}
	root, err := l.template(file + ".assets.json")
	if err != nil {
		return ""
	}
	path, _ := root.get("files").get(hash).get("source").get("path").scalar()
	return path
}

// ancestry returns how deep s is nested and whether file is already open above.
func ancestry(s *Stack, file string) (depth int, circle bool) {
	for s != nil {
		if s.File == file {
			return depth, true
		}
		if s.Nested == nil {
			break
		}
		depth++
		s = s.Nested.Stack
	}
	return depth, false
}
