package change

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// types are the resources that changes touch, by CloudFormation's name.
var types = map[string]string{
	"AWS::ECS::Service": "aws_ecs_service", "AWS::ECS::TaskDefinition": "aws_ecs_task_definition",
	"AWS::EC2::SecurityGroup": "aws_security_group", "AWS::ElasticLoadBalancingV2::TargetGroup": "aws_lb_target_group",
	"AWS::EC2::SecurityGroupIngress": "aws_vpc_security_group_ingress_rule",
	"AWS::EC2::SecurityGroupEgress":  "aws_vpc_security_group_egress_rule",
}

func cfnType(name string) string {
	for cfn, tf := range types {
		if tf == name {
			return cfn
		}
	}
	return name
}

func tfType(name string) string {
	if tf := types[name]; tf != "" {
		return tf
	}
	return name
}

// tfName is the resource's name in Terraform: its own, or its logical ID in snake case.
func tfName(o topology.Origin) string {
	if isTerraform(o) {
		return nameOf(o)
	}
	return snake(nameOf(o))
}

// terraform writes the edit as a block of configuration.
func (e *Edit) terraform(b *strings.Builder) {
	kind, name := tfType(e.Resource.Type), tfName(e.Resource)
	path, to := e.attribute(), e.To
	if len(path) == 0 && to == nil {
		fmt.Fprintf(b, "# remove the resource %s.%s: %s\n", kind, name, inline(e.Resource, e.From))
		return
	}
	fmt.Fprintf(b, "resource %s %s {\n", quoted(kind), quoted(name))
	defer b.WriteString("}\n")
	switch {
	case len(path) == 0:
		attributes(b, to, "  ")
	case path[0] == "container_definitions":
		if to == nil {
			fmt.Fprintf(b, "  # in container_definitions: remove %s\n", dotted(path[1:]))
			return
		}
		fmt.Fprintf(b, "  # in container_definitions: %s = %s\n", dotted(path[1:]), hcl(to))
	case to == nil:
		fmt.Fprintf(b, "  # remove %s (%s)\n", dotted(path), inline(e.Resource, e.From))
	default:
		blocks(b, path, to, "  ")
	}
}

// blocks writes nested blocks down to the attribute; a position is a remark.
func blocks(b *strings.Builder, path []any, to any, indent string) {
	name := path[0].(string)
	rest := path[1:]
	remark := ""
	if len(rest) > 0 {
		if n, ok := rest[0].(int); ok {
			remark, rest = fmt.Sprintf(" # block %d", n+1), rest[1:]
		}
	}
	list, isList := to.([]any)
	m, isMap := to.(map[string]any)
	switch {
	case len(rest) > 0:
		fmt.Fprintf(b, "%s%s {%s\n", indent, name, remark)
		blocks(b, rest, to, indent+"  ")
		fmt.Fprintf(b, "%s}\n", indent)
	case isList && len(list) == 0:
		fmt.Fprintf(b, "%s%s = []\n", indent, name)
	case isList:
		for _, x := range list {
			blocks(b, path[:1], x, indent)
		}
	case isMap:
		fmt.Fprintf(b, "%s%s {%s\n", indent, name, remark)
		if name == "ingress" || name == "egress" {
			inlineRule(b, m, indent+"  ")
		} else {
			attributes(b, m, indent+"  ")
		}
		fmt.Fprintf(b, "%s}\n", indent)
	default:
		fmt.Fprintf(b, "%s%s = %s\n", indent, name, hcl(to))
	}
}

// inlineRule writes a rule as the block of a group has it, whose words are others
// than those of a rule that is a resource.
func inlineRule(b *strings.Builder, m map[string]any, indent string) {
	attribute := func(name string, v any) { fmt.Fprintf(b, "%s%s = %v\n", indent, name, v) }
	from, to := m["FromPort"], m["ToPort"]
	if from == nil {
		from, to = 0, 0
	}
	attribute("protocol", hcl(m["IpProtocol"]))
	attribute("from_port", from)
	attribute("to_port", to)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		switch k {
		case "CidrIp":
			attribute("cidr_blocks", "["+hcl(m[k])+"]")
		case "CidrIpv6":
			attribute("ipv6_cidr_blocks", "["+hcl(m[k])+"]")
		case "SourceSecurityGroupId", "DestinationSecurityGroupId":
			attribute("security_groups", "["+hcl(m[k])+"]")
		}
	}
}

func attributes(b *strings.Builder, v any, indent string) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(b, "%s%s = %s\n", indent, snake(k), hcl(m[k]))
	}
}

func hcl(v any) string {
	switch v := v.(type) {
	case Reference:
		return "aws_security_group." + tfName(v.Of) + ".id"
	case Elsewhere:
		return "aws_security_group." + tfName(v.Of) + ".id"
	case string:
		// The two that begin a template in a quoted string.
		return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(quoted(v))
	}
	return fmt.Sprint(v)
}

// cdk writes the edit as an override of the construct that makes the resource:
// whatever construct that is, and whatever its own properties say.
func (e *Edit) cdk(b *strings.Builder) {
	path, to := e.property()
	switch {
	case len(path) == 0 && to == nil:
		fmt.Fprintf(b, "// remove the call that makes this rule: %s\n", inline(e.Resource, e.From))
		return
	case len(path) == 0:
		e.cdkRule(b, to)
		return
	case e.variable() && to == nil:
		fmt.Fprintf(b, "// remove the variable %s of the container\n", listen)
		return
	case e.variable():
		fmt.Fprintf(b, "container.AddEnvironment(jsii.String(%q), %s)\n", listen, gopher(e.To))
		return
	}
	key := strings.ReplaceAll(strings.ReplaceAll(dotted(path), "[", "."), "]", "")
	if _, rule := path[len(path)-1].(int); rule && to == nil {
		fmt.Fprintf(b, "// remove the call that makes this rule: %s\n", inline(e.Resource, e.From))
		return
	}
	if p := properties[dotted(path[len(path)-1:])]; p != "" && to != nil {
		fmt.Fprintf(b, "// or where the construct is made: %s: %s,\n", p, gopher(to))
	}
	fmt.Fprintf(b, "%s\n", e.construct())
	if to == nil {
		fmt.Fprintf(b, "\tAddPropertyDeletionOverride(jsii.String(%q))\n", key)
		return
	}
	fmt.Fprintf(b, "\tAddPropertyOverride(jsii.String(%q), %s)\n", key, gopher(to))
}

// properties are CDK's own for what changes set, by the last name of the path.
var properties = map[string]string{
	"IngressPortOverride": "IngressPortOverride", "DesiredCount": "DesiredCount", "Port": "Port", "ContainerPort": "ContainerPort",
}

// construct is an expression for the construct behind the resource, down from the stack.
func (e *Edit) construct() string {
	parts := strings.Split(e.Resource.Path, "/")
	if e.Resource.Path == "" || len(parts) < 2 {
		return fmt.Sprintf("%s.Node().DefaultChild().(awscdk.CfnResource). // the construct of %s", lower(pascal(nameOf(e.Resource))), nameOf(e.Resource))
	}
	out := "stack"
	for _, p := range parts[1:] {
		out += fmt.Sprintf(".Node().FindChild(jsii.String(%q))", p)
	}
	return out + ".(awscdk.CfnResource)."
}

func (e *Edit) cdkRule(b *strings.Builder, to any) {
	m, ok := to.(map[string]any)
	if !ok {
		return
	}
	var names []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		names = append(names, fmt.Sprintf("\t%s: %s,\n", k, gopher(m[k])))
	}
	kind := cfnType(e.Resource.Type)
	kind = kind[strings.LastIndexByte(kind, ':')+1:]
	fmt.Fprintf(b, "awsec2.NewCfn%s(stack, jsii.String(%q), &awsec2.Cfn%sProps{\n%s})\n",
		kind, pascal(nameOf(e.Resource)), kind, strings.Join(names, ""))
}

// gopher writes a value as Go.
func gopher(v any) string {
	switch v := v.(type) {
	case int:
		return fmt.Sprintf("jsii.Number(%d)", v)
	case string:
		return fmt.Sprintf("jsii.String(%q)", v)
	case Reference:
		return lower(pascal(nameOf(v.Of))) + ".SecurityGroupId()"
	case Elsewhere:
		return lower(pascal(nameOf(v.Of))) + ".SecurityGroupId()"
	case map[string]any:
		var out []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, fmt.Sprintf("%q: %s", k, gopher(v[k])))
		}
		return "map[string]any{" + strings.Join(out, ", ") + "}"
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, gopher(x))
		}
		return "[]any{" + strings.Join(out, ", ") + "}"
	}
	return fmt.Sprintf("%#v", v)
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
