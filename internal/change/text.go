package change

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/topology"
)

// Line is a line of a diff.
type Line struct {
	Sign string `json:"sign"` // "-", "+", or "" for what stands around
	Text string `json:"text"`
}

// Copies is a change as text to copy.
type Copies struct {
	CDK            string `json:"cdk"` // Go
	CloudFormation string `json:"cloudformation"`
	Terraform      string `json:"terraform"`
}

// Diff tells the edits in the terms of the source that they change.
func Diff(edits []Edit) []Line {
	out := []Line{}
	for i, e := range edits {
		if i == 0 || edits[i-1].Resource.ID != e.Resource.ID {
			out = append(out, Line{"", title(e.Resource)})
		}
		path := strings.TrimPrefix(dotted(e.spelled())+": ", ": ")
		if e.From != nil {
			out = append(out, Line{"-", path + inline(e.Resource, e.From)})
		}
		if e.To != nil {
			out = append(out, Line{"+", path + inline(e.Resource, e.To)})
		}
	}
	return out
}

// Copy writes the edits in three languages.
func Copy(edits []Edit) Copies {
	var c Copies
	var cdk, cfn, tf strings.Builder
	for i := range edits {
		e := &edits[i]
		e.cdk(&cdk)
		e.cloudFormation(&cfn)
		e.terraform(&tf)
	}
	c.CDK, c.CloudFormation, c.Terraform = cdk.String(), cfn.String(), tf.String()
	return c
}

func isTerraform(o topology.Origin) bool { return strings.HasPrefix(o.Type, "aws_") }

// nameOf is the resource's own name, without its stack, module or type.
func nameOf(o topology.Origin) string {
	id := printable.Line(string(o.ID))
	if isTerraform(o) {
		return id[strings.LastIndexByte(id, '.')+1:]
	}
	return id[strings.LastIndexByte(id, '/')+1:]
}

func title(o topology.Origin) string {
	if isTerraform(o) {
		return string(o.ID)
	}
	at := ""
	if o.File != "" {
		at = fmt.Sprintf(" in %s", o.File)
		if o.Line > 0 {
			at += fmt.Sprintf(", line %d", o.Line)
		}
	}
	return nameOf(o) + ", " + o.Type + at
}

// dotted writes a path as A.B[0].C.
func dotted(path []any) string {
	var b strings.Builder
	for _, p := range path {
		if n, ok := p.(int); ok {
			fmt.Fprintf(&b, "[%d]", n)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, p)
	}
	return b.String()
}

// inline writes a value in one line.
func inline(o topology.Origin, v any) string {
	switch v := v.(type) {
	case string:
		return printable.Line(v)
	case Reference:
		return nameOf(v.Of)
	case Elsewhere:
		return nameOf(v.Of) + " of " + printable.Line(v.Of.Stack)
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, inline(o, x))
		}
		return "[" + strings.Join(out, ", ") + "]"
	case map[string]any:
		var out []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			name := k
			if isTerraform(o) {
				name = snake(k)
			}
			out = append(out, name+": "+inline(o, v[k]))
		}
		return "{" + strings.Join(out, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// spelled is the path as the source of the resource spells it.
func (e *Edit) spelled() []any {
	if isTerraform(e.Resource) {
		return e.attribute()
	}
	return e.Path
}

// variable reports whether the edit is of a variable of a container.
func (e *Edit) variable() bool { return len(e.Path) == 4 && e.Path[2] == "Environment" }

// property is a path with a variable's entry of the environment as CloudFormation has it.
func (e *Edit) property() (path []any, to any) {
	if e.variable() && e.To != nil {
		return e.Path[:3], []any{map[string]any{"Name": e.Path[3], "Value": e.To}}
	}
	return e.Path, e.To
}

// attribute is the path in Terraform's words.
func (e *Edit) attribute() []any {
	var out []any
	inTask := false
	for _, p := range e.Path {
		name, ok := p.(string)
		if !ok {
			out = append(out, p)
			continue
		}
		switch {
		case inTask && name != listen:
			name = strings.ToLower(name[:1]) + name[1:] // JSON of Amazon ECS
		case name == "HealthCheckPath" || name == "HealthCheckPort":
			out, name = append(out, "health_check"), strings.ToLower(strings.TrimPrefix(name, "HealthCheck"))
		case name == listen:
		case terraformNames[name] != "":
			name = terraformNames[name]
		default:
			name = snake(name)
		}
		inTask = inTask || name == "container_definitions"
		out = append(out, name)
	}
	return out
}

// terraformNames are the attributes that are not CloudFormation's property in snake case.
var terraformNames = map[string]string{
	"Services": "service", "ClientAliases": "client_alias", "LoadBalancers": "load_balancer",
	"SecurityGroupIngress": "ingress", "SecurityGroupEgress": "egress", "IpProtocol": "ip_protocol",
	"SourceSecurityGroupId": "referenced_security_group_id", "DestinationSecurityGroupId": "referenced_security_group_id",
	"GroupId": "security_group_id", "CidrIp": "cidr_ipv4", "CidrIpv6": "cidr_ipv6",
}

func snake(name string) string {
	if n := terraformNames[name]; n != "" {
		return n
	}
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// cloudFormation writes the edit as YAML of a template.
func (e *Edit) cloudFormation(b *strings.Builder) {
	name := nameOf(e.Resource)
	if isTerraform(e.Resource) {
		name = pascal(name)
	}
	path, to := e.property()
	switch {
	case len(path) == 0 && to == nil:
		fmt.Fprintf(b, "# remove the resource %s: %s\n", name, inline(e.Resource, e.From))
	case len(path) == 0:
		fmt.Fprintf(b, "%s:\n  Type: %s\n  Properties:\n", name, cfnType(e.Resource.Type))
		yaml(b, to, "    ")
	case to == nil:
		fmt.Fprintf(b, "%s:\n  Properties:\n    # remove %s (%s)\n", name, dotted(path), inline(e.Resource, e.From))
	default:
		fmt.Fprintf(b, "%s:\n  Properties:\n", name)
		indent := "    "
		item := false
		for _, p := range path {
			if n, ok := p.(int); ok {
				fmt.Fprintf(b, "%s# entry %d\n", indent, n+1)
				item = true
				continue
			}
			lead := indent
			if item {
				lead, indent, item = indent+"- ", indent+"  ", false
			}
			fmt.Fprintf(b, "%s%s:\n", lead, p)
			indent += "  "
		}
		nested(b, to, indent, item)
	}
}

// nested ends a path with its value: a scalar behind the last name, else below it.
func nested(b *strings.Builder, v any, indent string, item bool) {
	switch v := v.(type) {
	case []any, map[string]any:
		if item {
			yaml(b, []any{v}, indent)
			return
		}
		yaml(b, v, indent)
	default:
		text := strings.TrimSuffix(b.String(), "\n")
		b.Reset()
		b.WriteString(text + " " + scalar(v) + "\n")
	}
}

// yaml writes maps, lists and scalars, one a line.
func yaml(b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(b, "%s%s: %s\n", indent, k, scalar(v[k]))
		}
	case []any:
		for _, x := range v {
			m, ok := x.(map[string]any)
			if !ok {
				fmt.Fprintf(b, "%s- %s\n", indent, scalar(x))
				continue
			}
			for i, k := range slices.Sorted(maps.Keys(m)) {
				lead := "  "
				if i == 0 {
					lead = "- "
				}
				fmt.Fprintf(b, "%s%s%s: %s\n", indent, lead, k, scalar(m[k]))
			}
		}
	}
}

func scalar(v any) string {
	switch v := v.(type) {
	case Reference:
		return "!GetAtt " + pascal(nameOf(v.Of)) + ".GroupId"
	case Elsewhere:
		stack := printable.Line(v.Of.Stack)
		return fmt.Sprintf("!ImportValue %s-%s-GroupId # which the stack %s has to export", stack, nameOf(v.Of), stack)
	case string:
		return quoted(v)
	}
	return fmt.Sprint(v)
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has its JSON
	}
	return string(text)
}

// pascal makes the name of a Terraform resource a logical ID; those of
// CloudFormation are such already.
func pascal(name string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' }) {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}
