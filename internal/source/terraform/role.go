package terraform

import (
	"strings"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

// awsPolicy precedes the name in the ARN of a policy that AWS manages.
const awsPolicy = ":iam::aws:policy/"

func (b *builder) role(inst *resource.Instance) {
	role := &topology.Role{Origin: b.at}
	b.attachPolicies(role, inst.Body, "managed_policy_arns")
	inline, _ := b.blocks(inst.Body, "inline_policy")
	for _, p := range inline {
		role.Statements = append(role.Statements, b.statements(p, "policy")...)
	}
	b.t.Roles = append(b.t.Roles, role)
	b.of[inst.Address] = role
}

// roleOf finds the declared role that an attribute names: by reference, or
// by its name.
func (b *builder) roleOf(raw string) *topology.Role {
	if address, _, ok := resource.ParseSymbol(raw); ok {
		role, _ := b.of[address].(*topology.Role)
		return role
	}
	for _, inst := range b.set.Instances {
		role, ok := b.of[inst.Address].(*topology.Role)
		if !ok {
			continue
		}
		if name, set := inst.Body.Raw("name"); set && name == raw {
			return role
		}
	}
	return nil
}

func (b *builder) rolePolicy(inst *resource.Instance) {
	if raw, ok := inst.Body.Raw("role"); ok {
		if role := b.roleOf(raw); role != nil {
			role.Statements = append(role.Statements, b.statements(inst.Body, "policy")...)
		}
	}
}

func (b *builder) roleAttachment(inst *resource.Instance) {
	raw, ok := inst.Body.Raw("role")
	if !ok {
		return
	}
	if role := b.roleOf(raw); role != nil {
		b.attachPolicies(role, inst.Body, "policy_arn")
	}
}

func (b *builder) policyAttachment(inst *resource.Instance) {
	for _, raw := range inst.Body.RawList("roles") {
		if role := b.roleOf(raw); role != nil {
			b.attachPolicies(role, inst.Body, "policy_arn")
		}
	}
}

// attachPolicies adds the managed policies that an attribute names: of one
// that AWS manages the name alone, also when the partition of its ARN is
// open; of one that is declared here the address, and its statements.
func (b *builder) attachPolicies(role *topology.Role, body *resource.Body, name string) {
	for _, raw := range body.RawList(name) {
		if address, _, symbol := resource.ParseSymbol(raw); symbol {
			role.Managed = append(role.Managed, topology.Known(address))
			if inst := b.byAddress[address]; inst != nil && inst.Type == "aws_iam_policy" && !inst.Data {
				role.Statements = append(role.Statements, b.statements(inst.Body, "policy")...)
			}
			continue
		}
		text := resource.Render(raw)
		if _, policy, aws := strings.Cut(text, awsPolicy); aws && !strings.Contains(policy, "${") {
			role.Managed = append(role.Managed, topology.Known(policy))
			continue
		}
		if raw == "" || !resource.IsSettled(raw) {
			role.Managed = append(role.Managed, settled(b, topology.Unknown[string](b.placed("%s: a policy that is known only after apply", name))))
			continue
		}
		role.Managed = append(role.Managed, topology.Known(text))
	}
}

// statements returns the Allow statements of a policy: JSON, or the json of
// a data.aws_iam_policy_document, which is read where it is declared.
func (b *builder) statements(body *resource.Body, name string) []topology.Statement {
	if raw, ok := body.Raw(name); ok {
		if address, _, symbol := resource.ParseSymbol(raw); symbol {
			if inst := b.byAddress[address]; inst != nil && inst.Type == "aws_iam_policy_document" {
				return b.documentStatements(inst.Body)
			}
		}
	}
	doc, why := b.decoded(body, name)
	if why != "" {
		b.note(why)
		return nil
	}
	var out []topology.Statement
	for _, s := range b.nested(b.inner(doc, name), "Statement") {
		if s.String("Effect").Or("") != "Allow" {
			continue
		}
		out = append(out, topology.Statement{
			Actions: b.known(s, "Action"), NotActions: b.known(s, "NotAction"), Resources: patterns(s, "Resource"),
		})
	}
	return out
}

func (b *builder) nested(body *resource.Body, name string) []*resource.Body {
	blocks, _ := b.blocks(body, name)
	return blocks
}

// documentStatements reads the statement blocks of a policy document.
func (b *builder) documentStatements(body *resource.Body) []topology.Statement {
	var out []topology.Statement
	for _, s := range b.nested(body, "statement") {
		if s.String("effect").Or("Allow") != "Allow" {
			continue
		}
		out = append(out, topology.Statement{
			Actions: b.known(s, "actions"), NotActions: b.known(s, "not_actions"), Resources: patterns(s, "resources"),
		})
	}
	for _, list := range []string{"source_policy_documents", "override_policy_documents"} {
		if body.Has(list) {
			b.note(b.placed("%s: the policy documents that this one includes are not read", list))
		}
	}
	return out
}

// known returns the settled texts of a string or list and notes the others.
func (b *builder) known(body *resource.Body, name string) []string {
	var out []string
	for _, o := range b.texts(body, name) {
		if t, ok := o.Get(); ok {
			out = append(out, t)
		}
	}
	return out
}

// patterns returns the resources of a statement, open parts as ${…}.
func patterns(body *resource.Body, name string) []string {
	var out []string
	for _, raw := range body.RawList(name) {
		if raw == "" {
			raw = "${unknown}"
		}
		out = append(out, resource.Render(raw))
	}
	return out
}
