package cfn

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/fail"
)

// parseYAML reads one YAML document into nodes: short-form function tags in
// their long form, aliases and merge keys followed. Errors carry file and line.
func parseYAML(file string, data []byte) (*node, error) {
	if len(data) > maxYAML {
		return nil, tooLarge(file, len(data), maxYAML)
	}
	var doc, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, empty(file)
	case err != nil:
		return nil, yamlFailed(file, data, err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fail.Newf(fail.Usage, "keep one document in the file",
			"%s:%d: a second YAML document, or text after the first", file, max(second.Line, 1))
	}
	p := &yamlParser{file: file, done: map[*yaml.Node]sized{}}
	v, err := p.value(&doc, 0)
	if err != nil {
		return nil, err
	}
	if v.node.kind == nNull {
		return nil, empty(file)
	}
	return v.node, nil
}

// sized is a converted node with how many values it stands for once every
// alias is followed, and how deep they nest.
type sized struct {
	node   *node
	size   int64
	height int
}

// hold counts a child in.
func (s *sized) hold(child sized) {
	s.size += child.size
	s.height = max(s.height, child.height+1)
}

type yamlParser struct {
	file string
	mem  arena
	// done holds the anchors that were converted; a zero entry is in progress.
	done map[*yaml.Node]sized
}

func (p *yamlParser) value(y *yaml.Node, depth int) (sized, error) {
	if depth > maxDepth {
		return sized{}, tooDeep(p.file, int32(y.Line))
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return sized{p.mem.new(nNull, int32(y.Line)), 1, 0}, nil
		}
		return p.value(y.Content[0], depth)
	case yaml.AliasNode:
		return p.alias(y, depth)
	}
	if y.Anchor == "" {
		return p.tagged(y, depth)
	}
	p.done[y] = sized{}
	v, err := p.tagged(y, depth)
	if err == nil {
		p.done[y] = v
	}
	return v, err
}

// alias returns the node of the anchor, converting it on first use: a merge
// key may name an anchor before it is reached.
func (p *yamlParser) alias(y *yaml.Node, depth int) (sized, error) {
	v, seen := p.done[y.Alias]
	switch {
	case seen && v.node == nil:
		return sized{}, fail.Newf(fail.Usage, "break the cycle: an anchor cannot hold itself",
			"%s:%d: *%s stands inside its own anchor", p.file, y.Line, y.Value)
	case seen:
		return v, nil
	}
	return p.value(y.Alias, depth)
}

// tagged converts a node and wraps it in the function that its tag names.
func (p *yamlParser) tagged(y *yaml.Node, depth int) (sized, error) {
	v, err := p.plain(y, depth)
	if err != nil {
		return v, err
	}
	tag := y.Tag
	if !strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "!!") || len(tag) == 1 {
		return v, nil
	}
	name := "Fn::" + tag[1:]
	if tag == "!Ref" || tag == "!Condition" {
		name = tag[1:]
	}
	call := p.mem.new(nMap, int32(y.Line))
	call.add(key{name, int32(y.Line)}, v.node)
	out := sized{call, 1, 0}
	out.hold(v)
	return out, nil
}

func (p *yamlParser) plain(y *yaml.Node, depth int) (sized, error) {
	switch y.Kind {
	case yaml.MappingNode:
		return p.mapping(y, depth)
	case yaml.SequenceNode:
		out := sized{p.mem.new(nList, int32(y.Line)), 1, 0}
		for _, c := range y.Content {
			v, err := p.value(c, depth+1)
			if err != nil {
				return sized{}, err
			}
			out.node.kids = append(out.node.kids, v.node)
			if err := p.count(&out, v, c.Line); err != nil {
				return sized{}, err
			}
		}
		return out, nil
	}
	n := p.mem.new(nScalar, int32(y.Line))
	n.text = scalarText(y)
	if y.ShortTag() == "!!null" {
		n.kind = nNull
	}
	return sized{n, 1, 0}, nil
}

// count counts a child into out and refuses what the aliases blow up.
func (p *yamlParser) count(out *sized, child sized, line int) error {
	out.hold(child)
	switch {
	case out.size > maxExpanded:
		return fail.Newf(fail.Usage, "use fewer aliases",
			"%s:%d: the aliases expand to more than %d values", p.file, line, maxExpanded)
	case out.height > maxDepth:
		return tooDeep(p.file, int32(line))
	}
	return nil
}

func (p *yamlParser) mapping(y *yaml.Node, depth int) (sized, error) {
	out := sized{p.mem.new(nMap, int32(y.Line)), 1, 0}
	var merges []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, c := y.Content[i], y.Content[i+1]
		v, err := p.value(c, depth+1)
		if err != nil {
			return sized{}, err
		}
		if err := p.count(&out, v, c.Line); err != nil {
			return sized{}, err
		}
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return sized{}, fail.Newf(fail.Usage, "use a plain name as the key",
				"%s:%d: a key that is a list or a map", p.file, k.Line)
		}
		if k.ShortTag() == "!!merge" {
			merges = append(merges, v.node)
			continue
		}
		if !out.node.add(key{k.Value, int32(k.Line)}, v.node) {
			first := out.node.keys[out.node.at(k.Value)].line
			return sized{}, fail.Newf(fail.Usage, "remove one of the two; which of them counts is not defined",
				"%s:%d: %s is defined twice, first at line %d", p.file, k.Line, k.Value, first)
		}
	}
	for _, m := range merges {
		if err := p.merge(out.node, m, y.Line); err != nil {
			return sized{}, err
		}
	}
	return out, nil
}

// merge adds the entries of a merged map that n does not have itself; of
// several maps the earlier wins.
func (p *yamlParser) merge(n, from *node, line int) error {
	maps := []*node{from}
	if from.kind == nList {
		maps = from.kids
	}
	for _, m := range maps {
		if m.kind != nMap {
			return p.notMap(line)
		}
		for i := range m.keys {
			n.add(m.keys[i], m.kids[i])
		}
	}
	return nil
}

func (p *yamlParser) notMap(line int) error {
	return fail.Newf(fail.Usage, "merge a map, or a list of maps", "%s:%d: << with something else than a map", p.file, line)
}

// scalarText returns the value of a scalar as JSON would write it.
// CloudFormation reads YAML 1.1, where plain yes, no, on and off are
// booleans and a leading zero makes an octal number.
func scalarText(y *yaml.Node) string {
	if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return y.Value
	}
	switch strings.ToLower(y.Value) {
	case "true", "yes", "on":
		return "true"
	case "false", "no", "off":
		return "false"
	}
	if y.ShortTag() == "!!int" {
		if n, err := strconv.ParseInt(y.Value, 0, 64); err == nil {
			return strconv.FormatInt(n, 10)
		}
	}
	return y.Value
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// yamlFailed turns a parser error into one with file and line.
func yamlFailed(file string, data []byte, err error) error {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	m := yamlLine.FindStringSubmatch(text)
	line, what := "1", text
	if m != nil {
		what = m[2]
		if m[1] != "" {
			line = m[1]
		}
	}
	last := 1 + bytes.Count(bytes.TrimRight(data, " \t\r\n"), newline)
	if n, _ := strconv.Atoi(line); n >= last || strings.Contains(what, "end of stream") {
		return fail.Newf(fail.Usage, "write the file again if it is cut short; else close the quote or bracket",
			"%s:%s: not YAML: %s; the file ends at line %d", file, line, what, last)
	}
	return fail.Newf(fail.Usage, "correct the YAML near that line", "%s:%s: not YAML: %s", file, line, what)
}
