package cfn

import (
	"path/filepath"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// manifestName is the file that makes a directory a cloud assembly.
const manifestName = "manifest.json"

// assembly loads the stacks of a cloud assembly, nested assemblies (stages)
// included, and returns them.
func (l *loader) assembly(dir string, depth int) ([]*Stack, error) {
	file := filepath.ToSlash(filepath.Join(dir, manifestName))
	if depth > maxNesting {
		return nil, fail.Newf(fail.Usage, "check the manifests by hand", "%s: assemblies nest more than %d deep", file, maxNesting)
	}
	data, err := l.read(file)
	if err != nil {
		return nil, err
	}
	root, err := parseJSON(file, data)
	if err != nil {
		return nil, err
	}
	artifacts := root.get("artifacts")
	if artifacts == nil || artifacts.kind != nMap {
		return nil, fail.Newf(fail.Usage, "write it again with `cdk synth`", "%s:%d: no artifacts, so this is no CDK manifest", file, root.line)
	}
	m := &manifest{file: file, dir: dir, stacks: map[string][]*Stack{}}
	var all []*Stack
	for i := range artifacts.keys {
		stacks, err := l.artifact(m, artifacts.keys[i], artifacts.kids[i], depth)
		if err != nil {
			return nil, err
		}
		m.stacks[artifacts.keys[i].name] = stacks
		all = append(all, stacks...)
	}
	for i := range artifacts.keys {
		m.order(artifacts.keys[i].name, artifacts.kids[i])
	}
	return all, nil
}

// manifest is a manifest.json with the stacks behind each artifact.
type manifest struct {
	file, dir string
	stacks    map[string][]*Stack
}

func (l *loader) artifact(m *manifest, id key, n *node, depth int) ([]*Stack, error) {
	typ, _ := n.get("type").scalar()
	props := n.get("properties")
	switch typ {
	case "aws:cloudformation:stack":
		file, err := m.local(id, props, "templateFile")
		if err != nil {
			return nil, err
		}
		s := &Stack{Name: id.name, File: file, given: map[string]string{}}
		s.StackName, _ = props.get("stackName").scalar()
		if s.StackName == "" {
			s.StackName = id.name
		}
		s.Account, s.Region = environment(n)
		if p := props.get("parameters"); p != nil && p.kind == nMap {
			for i := range p.keys {
				if t, ok := p.kids[i].scalar(); ok {
					s.given[p.keys[i].name] = t
				}
			}
		}
		if s, err = l.file(s); err != nil {
			return nil, err
		}
		l.constructPaths(m, s, n)
		return []*Stack{s}, nil
	case "cdk:cloud-assembly":
		dir, err := m.local(id, props, "directoryName")
		if err != nil {
			return nil, err
		}
		return l.assembly(dir, depth+1)
	}
	return nil, nil
}

// local returns the path that a property names, which must stay inside the assembly.
func (m *manifest) local(id key, props *node, name string) (string, error) {
	p, ok := props.get(name).scalar()
	if !ok || !filepath.IsLocal(p) {
		return "", fail.Newf(fail.Usage, "write the assembly again with `cdk synth`",
			"%s:%d: artifact %s: %s %q is no path inside the assembly", m.file, id.line, id.name, name, p)
	}
	return filepath.ToSlash(filepath.Join(m.dir, p)), nil
}

// environment reads "aws://account/region"; CDK writes unknown-account and
// unknown-region for what is settled at deploy.
func environment(n *node) (account, region string) {
	env, _ := n.get("environment").scalar()
	account, region, _ = strings.Cut(strings.TrimPrefix(env, "aws://"), "/")
	if account == "unknown-account" {
		account = ""
	}
	if region == "unknown-region" {
		region = ""
	}
	return account, region
}

// order records the dependencies of an artifact on its stacks. Artifacts
// without stacks (assets) are passed over.
func (m *manifest) order(id string, n *node) {
	for _, dep := range texts(n.get("dependencies")) {
		for _, s := range m.stacks[id] {
			s.DependsOn = append(s.DependsOn, m.stacks[dep]...)
		}
	}
}

// constructPaths takes construct paths from the manifest for resources whose
// template does not carry them: the CDK app alone, without its CLI, writes
// none into the template.
func (l *loader) constructPaths(m *manifest, s *Stack, n *node) {
	missing := false
	for _, r := range s.Resources {
		missing = missing || r.Path == ""
	}
	if !missing {
		return
	}
	for _, meta := range []*node{n.get("metadata"), l.additional(m, n)} {
		if meta == nil || meta.kind != nMap {
			continue
		}
		for i := range meta.keys {
			for _, e := range meta.kids[i].kids {
				t, _ := e.get("type").scalar()
				id, _ := e.get("data").scalar()
				if r := s.byID[id]; t == "aws:cdk:logicalId" && r != nil && r.Path == "" {
					r.Path = strings.TrimPrefix(meta.keys[i].name, "/")
				}
			}
		}
	}
}

// additional reads the file into which newer versions of CDK move the
// metadata. It only helps to name things, so a file that cannot be read is
// passed over.
func (l *loader) additional(m *manifest, n *node) *node {
	file, ok := n.get("additionalMetadataFile").scalar()
	if !ok {
		file, ok = n.get("properties").get("additionalMetadataFile").scalar()
	}
	if !ok || !filepath.IsLocal(file) {
		return nil
	}
	path := filepath.Join(m.dir, file)
	data, err := l.read(filepath.ToSlash(path))
	if err != nil {
		return nil
	}
	root, err := parseJSON(path, data)
	if err != nil {
		return nil
	}
	return root
}
