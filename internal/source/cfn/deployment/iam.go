package deployment

import (
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// awsPolicy precedes the name in the ARN of a policy that AWS manages.
const awsPolicy = ":iam::aws:policy/"

func (b *builder) role(r *cfn.Resource) *topology.Role {
	role := &topology.Role{Origin: b.at}
	for _, v := range r.Prop("ManagedPolicyArns").Each() {
		role.Managed = append(role.Managed, b.managed(v))
		if p, ok := isRef(v, "AWS::IAM::ManagedPolicy", "", "PolicyArn"); ok {
			role.Statements = append(role.Statements, b.statements(p.Prop("PolicyDocument"))...)
		}
	}
	for _, p := range r.Prop("Policies").Each() {
		role.Statements = append(role.Statements, b.statements(p.Get("PolicyDocument"))...)
	}
	return role
}

// managed names a managed policy: the name alone when AWS manages it, also
// when the partition of its ARN is open; the ID when the templates declare it.
func (b *builder) managed(v cfn.Value) topology.Opt[string] {
	if r, ok := isRef(v, "AWS::IAM::ManagedPolicy", "", "PolicyArn"); ok {
		return topology.Known(r.Name())
	}
	if _, name, ok := strings.Cut(v.Pattern(), awsPolicy); ok && !strings.Contains(name, "${") {
		return topology.Known(name)
	}
	return b.text(v)
}

// policy adds a standalone policy to the roles that it names.
func (b *builder) policy(r *cfn.Resource) {
	roles := r.Prop("Roles")
	if r.Type == "AWS::IAM::RolePolicy" {
		roles = r.Prop("RoleName")
	}
	var statements []topology.Statement
	read := false
	for _, v := range roles.Each() {
		target, ok := isRef(v, "AWS::IAM::Role", "")
		if !ok {
			continue // a role of another source
		}
		role, ok := b.of[target].(*topology.Role)
		if !ok {
			continue
		}
		if !read {
			statements, read = b.statements(r.Prop("PolicyDocument")), true
		}
		role.Statements = append(role.Statements, statements...)
	}
}

// statements returns the Allow statements of a policy document.
func (b *builder) statements(doc cfn.Value) []topology.Statement {
	var out []topology.Statement
	for _, v := range doc.Get("Statement").Each() {
		if v.Kind() != cfn.Map {
			b.why(v, "a policy statement")
			continue
		}
		if effect, _ := v.Get("Effect").Text(); effect != "Allow" {
			continue
		}
		out = append(out, topology.Statement{
			Actions:    b.known(v.Get("Action")),
			NotActions: b.known(v.Get("NotAction")),
			Resources:  patterns(v.Get("Resource")),
		})
	}
	return out
}

// patterns returns the resources of a statement, open parts as ${Name}.
func patterns(v cfn.Value) []string {
	var out []string
	for _, item := range v.Each() {
		p := item.Pattern()
		if p == "" {
			p = "${unknown}"
		}
		out = append(out, p)
	}
	return out
}
