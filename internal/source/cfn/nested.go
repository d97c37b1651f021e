package cfn

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
)

// nested loads the templates of the nested stacks that s creates, when they
// lie beside it: CDK names the file in the metadata of an asset, a template
// before `aws cloudformation package` has a relative path as its URL.
func (l *loader) nested(s *Stack) error {
	for _, r := range s.Resources {
		if r.Type != "AWS::CloudFormation::Stack" {
			continue
		}
		path := l.nestedPath(r)
		if path == "" || l.read == nil {
			s.note(int32(r.Line), "nested stack %s: its template is not at hand, so what it creates is not seen", r.LogicalID)
			continue
		}
		file := filepath.ToSlash(filepath.Join(filepath.Dir(s.File), path))
		if depth, circle := ancestry(s, file); circle || depth >= maxNesting {
			s.note(int32(r.Line), "nested stack %s: template %s nests itself or too deep and is not followed", r.LogicalID, path)
			continue
		}
		child := &Stack{
			Name: s.Name + "/" + r.LogicalID, File: file, Nested: r,
			Account: s.Account, Region: s.Region,
		}
		root, err := l.template(file)
		if errors.Is(err, fs.ErrNotExist) {
			s.note(int32(r.Line), "nested stack %s: %v, so what it creates is not seen", r.LogicalID, err)
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

// nestedPath returns the template's path relative to that of the parent, or "".
func (l *loader) nestedPath(r *Resource) string {
	path, ok := r.body.get("Metadata").get("aws:asset:path").scalar()
	if !ok {
		path, ok = r.body.get("Properties").get("TemplateURL").scalar()
	}
	if !ok {
		path = l.assetPath(r)
	}
	if path == "" || strings.Contains(path, "://") || !filepath.IsLocal(path) {
		return ""
	}
	return path
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
