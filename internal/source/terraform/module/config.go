package module

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// config is what the files of one module directory declare.
type config struct {
	dir       string
	variables map[string]*variable
	locals    map[string]attr
	outputs   map[string]attr
	resources map[string]*resourceDecl // by "aws_lb.main" or "data.aws_vpc.default"
	calls     map[string]*moduleCall
	suppress  []resource.Suppression // outside of resource blocks
}

// body holds the arguments of a block. Native and JSON syntax come down to
// the same; JSON has blocks only for dynamic ones.
type body struct {
	attrs  map[string]attr
	blocks []*blockDecl
	rng    hcl.Range
	// suppress holds the findings that comments in a resource block accept.
	suppress []resource.Suppression
}

// attr is an argument. raw is the expression as parsed, for the few
// arguments that are read without evaluation (depends_on, type, iterator).
type attr struct {
	expr hclsyntax.Expression
	raw  hcl.Expression
	rng  hcl.Range
}

type blockDecl struct {
	typ    string
	labels []string
	body   *body
	rng    hcl.Range
}

type resourceDecl struct {
	key  string // "aws_lb.main", "data.aws_vpc.default"
	typ  string
	data bool
	body *body
	rng  hcl.Range
}

type moduleCall struct {
	name   string
	source string
	body   *body
	rng    hcl.Range
}

type variable struct {
	name        string
	declared    bool // a type was written
	typ         cty.Type
	defaults    *typeexpr.Defaults
	def         *cty.Value // nil when required
	nullable    bool
	validations []*body
	rng         hcl.Range
}

// metaAttrs and metaBlocks belong to Terraform, not to the resource.
var (
	metaAttrs  = map[string]bool{"count": true, "for_each": true, "depends_on": true, "provider": true, "providers": true}
	metaBlocks = map[string]bool{"lifecycle": true, "provisioner": true, "connection": true}
)

// rootSchema lists the blocks of a file. Those that describe no resource
// are accepted and not read.
var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "resource", LabelNames: []string{"type", "name"}},
	{Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "ephemeral", LabelNames: []string{"type", "name"}},
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "output", LabelNames: []string{"name"}},
	{Type: "module", LabelNames: []string{"name"}},
	{Type: "provider", LabelNames: []string{"name"}},
	{Type: "check", LabelNames: []string{"name"}},
	{Type: "locals"},
	{Type: "terraform"},
	{Type: "moved"},
	{Type: "import"},
	{Type: "removed"},
}}

// dynamic returns the parts of a dynamic block, or ok false when it is malformed.
func (b *blockDecl) dynamic() (forEach attr, iterator string, content *body, ok bool) {
	if len(b.labels) != 1 {
		return attr{}, "", nil, false
	}
	forEach, ok = b.body.attrs["for_each"]
	if !ok {
		return attr{}, "", nil, false
	}
	iterator = b.labels[0]
	if it, set := b.body.attrs["iterator"]; set {
		if iterator = hcl.ExprAsKeyword(it.raw); iterator == "" {
			return attr{}, "", nil, false
		}
	}
	for _, inner := range b.body.blocks {
		if inner.typ == "content" {
			content = inner.body
		}
	}
	return forEach, iterator, content, content != nil
}
