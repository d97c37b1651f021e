package check

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

// SuppressFile is the name that hoplab check looks for beside the template.
const SuppressFile = "hoplab.suppress.yaml"

// SuppressEntry is one accepted finding of a suppression file.
type SuppressEntry struct {
	// Rule is the rule's ID.
	Rule string `yaml:"rule"`
	// Resource is a pattern (* and ?, as in path.Match, except that * crosses
	// slashes) for a resource's ID or construct path; empty means any.
	Resource string `yaml:"resource"`
	// Reason says why the finding is accepted.
	Reason string `yaml:"reason"`

	File string `yaml:"-"`
	Line int    `yaml:"-"`
}

// UnmarshalYAML reads an entry and keeps its line.
func (e *SuppressEntry) UnmarshalYAML(n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch k := n.Content[i]; k.Value {
		case "rule", "resource", "reason":
		default:
			return fmt.Errorf("line %d: an entry has no field %q", k.Line, k.Value)
		}
	}
	type plain SuppressEntry
	if err := n.Decode((*plain)(e)); err != nil {
		return err
	}
	e.Line = n.Line
	return nil
}

// ParseSuppressions reads a suppression file: a YAML list under the key
// "suppress", each entry with rule, resource and reason. An entry without a
// reason, or for a rule that does not exist, is an error with its line.
func ParseSuppressions(name string, r io.Reader) ([]SuppressEntry, error) {
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, fail.Newf(fail.Usage, "", "%s: %w", name, err)
	}
	var doc struct {
		Suppress []SuppressEntry `yaml:"suppress"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fail.Newf(fail.Usage, "write a list under the key suppress, each entry with rule, resource and reason", "%s: %s", name, yamlText(err))
	}
	for i := range doc.Suppress {
		e := &doc.Suppress[i]
		e.File = name
		if _, ok := RuleByID(e.Rule); !ok {
			return nil, fail.Newf(fail.Usage, "take the rule's id from docs/rules.md", "%s:%d: no rule is called %q", name, e.Line, e.Rule)
		}
		if strings.TrimSpace(e.Reason) == "" {
			return nil, fail.Newf(fail.Usage, "say why the finding is accepted", "%s:%d: the suppression of %s gives no reason", name, e.Line, e.Rule)
		}
		if _, err := path.Match(flat(e.Resource), ""); err != nil {
			return nil, fail.Newf(fail.Usage, "use * and ? as wildcards", "%s:%d: resource %q is no pattern", name, e.Line, e.Resource)
		}
	}
	return doc.Suppress, nil
}

// yamlText is a YAML error without the Go types that it names.
func yamlText(err error) string {
	var kinds *yaml.TypeError
	if !errors.As(err, &kinds) || len(kinds.Errors) == 0 {
		return strings.TrimPrefix(err.Error(), "yaml: ")
	}
	text, _, _ := strings.Cut(kinds.Errors[0], " into ")
	text, _, _ = strings.Cut(text, " in type ")
	return strings.ReplaceAll(text, "cannot unmarshal !!", "there is a ")
}

// flat lets * cross slashes by hiding them from path.Match.
func flat(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

func (e SuppressEntry) covers(f *Finding) bool {
	if current(e.Rule) != f.Rule {
		return false
	}
	if e.Resource == "" {
		return true
	}
	for _, s := range []string{string(f.Origin.ID), f.Origin.Path} {
		if ok, _ := path.Match(flat(e.Resource), flat(s)); ok && s != "" {
			return true
		}
	}
	return false
}

// The rules about suppressions themselves; they cannot be suppressed.
const (
	ruleUnusedSuppression = "suppression-unused"
	ruleBareSuppression   = "suppression-without-reason"
)

// suppress marks the findings that the template or a file accepts, and
// reports suppressions without a reason and without a finding.
func (c *checker) suppress() {
	used := map[string]bool{}
	for i := range c.out {
		f := &c.out[i]
		for _, s := range f.Origin.Suppress {
			if current(s.Rule) == f.Rule && strings.TrimSpace(s.Reason) != "" {
				f.Suppressed = &Suppressed{Reason: s.Reason, By: "template"}
				used[templateKey(f.Origin, s.Rule)] = true
			}
		}
		for _, s := range c.x.Topology.Suppressions {
			if current(s.Rule) == f.Rule && strings.TrimSpace(s.Reason) != "" {
				f.Suppressed = &Suppressed{Reason: s.Reason, By: "template"}
				used[templateKey(topology.Origin{}, s.Rule)] = true
			}
		}
		for j, e := range c.suppressions {
			if e.covers(f) {
				used[fileKey(j)] = true
				if f.Suppressed == nil {
					f.Suppressed = &Suppressed{Reason: e.Reason, By: e.File}
				}
			}
		}
	}
	c.unused(used)
}

func templateKey(o topology.Origin, rule string) string { return "t/" + string(o.ID) + "/" + rule }
func fileKey(i int) string                              { return "f/" + strconv.Itoa(i) }

func (c *checker) unused(used map[string]bool) {
	find := func(id string) *Rule {
		for i := range rules {
			if rules[i].ID == id {
				return &rules[i]
			}
		}
		return nil
	}
	template := func(o topology.Origin, s topology.Suppression) {
		if strings.TrimSpace(s.Reason) == "" {
			c.rule = find(ruleBareSuppression)
			c.add(o, "Add a reason to the suppression.", "%s is suppressed here without a reason, so it is not suppressed", s.Rule)
			return
		}
		if !used[templateKey(o, s.Rule)] {
			c.rule = find(ruleUnusedSuppression)
			c.add(o, "Remove the suppression.", "the suppression of %s suppresses nothing%s", s.Rule, unknownRule(s.Rule))
		}
	}
	for _, o := range suppressing(c.x.Topology) {
		for _, s := range o.Suppress {
			template(o, s)
		}
	}
	for _, s := range c.x.Topology.Suppressions {
		template(topology.Origin{}, s)
	}
	for i, e := range c.suppressions {
		if !used[fileKey(i)] {
			c.rule = find(ruleUnusedSuppression)
			c.add(topology.Origin{File: e.File, Line: e.Line}, "Remove the entry.", "the suppression of %s for %s suppresses nothing", e.Rule, cmp.Or(e.Resource, "any resource"))
		}
	}
}

func unknownRule(id string) string {
	if _, ok := RuleByID(id); ok {
		return ""
	}
	return fmt.Sprintf("; there is no rule %s", id)
}

// suppressing returns the origins of all resources that carry suppressions.
func suppressing(t *topology.Topology) []topology.Origin {
	var out []topology.Origin
	add := func(o topology.Origin) {
		if len(o.Suppress) > 0 {
			out = append(out, o)
		}
	}
	for _, v := range t.VPCs {
		add(v.Origin)
	}
	for _, v := range t.Subnets {
		add(v.Origin)
	}
	for _, v := range t.Instances {
		add(v.Origin)
	}
	for _, v := range t.Namespaces {
		add(v.Origin)
	}
	for _, v := range t.SecurityGroups {
		add(v.Origin)
		for _, r := range v.Ingress {
			add(own(r.Origin, v.Origin))
		}
		for _, r := range v.Egress {
			add(own(r.Origin, v.Origin))
		}
	}
	for _, v := range t.LoadBalancers {
		add(v.Origin)
		for _, l := range v.Listeners {
			add(l.Origin)
			for _, r := range l.Rules {
				add(r.Origin)
			}
		}
	}
	for _, v := range t.TargetGroups {
		add(v.Origin)
	}
	tasks := map[topology.ID]bool{}
	addTask := func(d *topology.TaskDefinition) {
		if d != nil && !tasks[d.ID] {
			tasks[d.ID] = true
			add(d.Origin)
		}
	}
	for _, v := range t.Services {
		add(v.Origin)
		addTask(v.Task)
	}
	for _, d := range t.Standalone {
		addTask(d)
	}
	for _, v := range t.Roles {
		add(v.Origin)
	}
	return out
}

// own returns a rule's origin without its suppressions when it only repeats its group's.
func own(rule, group topology.Origin) topology.Origin {
	if rule.ID == group.ID {
		rule.Suppress = nil
	}
	return rule
}
