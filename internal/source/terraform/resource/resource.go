// Package resource is what reading Terraform comes down to, whether from .tf
// files or from the JSON of a plan: resource instances with their attributes
// and nested blocks. Attribute values are cty values in which references to
// other resources are symbols (see Symbol) and everything that only AWS can
// tell is unknown, marked with its Cause.
package resource

import (
	"cmp"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/hoplab/hoplab/internal/topology"
)

// Set is all resource instances of a configuration.
type Set struct {
	Name      string // the directory or plan it was read from, as the user wrote it
	Instances []*Instance
	// Needs maps the static address of a resource (module path, type and name,
	// without instance keys) to the static addresses that it refers to or
	// depends on, locals, variables and module outputs followed through.
	Needs map[string][]string
	Notes []Note
	// Unread lists the modules that were not read.
	Unread []Unread
	// Given says by address which instances an output gives away, and where.
	Given map[string]string
	// Gone holds the instances that a plan deletes, as they were.
	Gone []*Instance
	// Suppress holds accepted findings that name no resource.
	Suppress []Suppression
}

// Unread is a part of the configuration that was not read: what it makes is
// not known, and it may attach something to the resources that it is given.
type Unread struct {
	Why  string
	Uses map[string]bool // addresses
}

// Suppression is a finding that the configuration's author accepts, and why.
type Suppression struct{ Rule, Reason string }

// Note is something that could not be settled, with its place.
type Note struct {
	Address string
	Type    string
	File    string
	Line    int
	Text    string
}

// Instance is one instance of a resource or data block.
type Instance struct {
	Address string // "module.web.aws_lb.main[0]", the identity everywhere
	Static  string // the address without instance keys: "module.web.aws_lb.main"
	Type    string
	Data    bool // a data source: read, not declared
	// Uncertain is why it is not known whether, or how often, the instance
	// exists: its count or for_each, or its module's, is unknown.
	Uncertain string
	// When is the formula behind Uncertain; nil when none is known.
	When     *topology.When
	Suppress []Suppression
	Body     *Body
}

// Body holds the attributes and nested blocks of a resource or of a block in it.
// An attribute whose value is a list of objects can be read as blocks and
// the other way round, since Terraform allows both for some arguments and a
// plan does not tell them apart.
type Body struct {
	File  string
	Line  int // from 1; 0 when the source has no lines
	Attrs map[string]Attr
	// Blocks holds nested blocks by type, in source order.
	Blocks map[string][]*Body
	// OpenBlocks tells, by block type, why the number of blocks is unknown.
	OpenBlocks map[string]string
	// Physical resolves a literal id or ARN to a symbol where the source
	// knows which resource has it; nil when it never does.
	Physical func(string) (symbol string, ok bool)
}

// Attr is an attribute's value and its place.
type Attr struct {
	Value cty.Value
	File  string
	Line  int
	// ReadBack is set when the configuration does not write the attribute, as
	// far as a plan or state shows, and the value is what AWS reported last.
	ReadBack bool
}

// NewBody returns an empty body at a place.
func NewBody(file string, line int) *Body {
	return &Body{File: file, Line: line, Attrs: map[string]Attr{}, Blocks: map[string][]*Body{}}
}

// Object returns the body as a value: attributes as they are, blocks as
// tuples of objects. An open block type becomes unknown.
func (b *Body) Object() map[string]cty.Value {
	out := make(map[string]cty.Value, len(b.Attrs)+len(b.Blocks))
	for name, blocks := range b.Blocks {
		elems := make([]cty.Value, len(blocks))
		for i, block := range blocks {
			elems[i] = cty.ObjectVal(block.Object())
		}
		out[name] = cty.TupleVal(elems)
	}
	for name, why := range b.OpenBlocks {
		out[name] = Unknown(why)
	}
	for name, a := range b.Attrs {
		out[name] = a.Value
	}
	return out
}

// Sort orders instances by address and notes by place, so that the same
// input always reads the same.
func (s *Set) Sort() {
	slices.SortStableFunc(s.Instances, func(a, b *Instance) int { return cmp.Compare(a.Address, b.Address) })
	slices.SortStableFunc(s.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Text, b.Text))
	})
	s.Notes = slices.Compact(s.Notes)
}
