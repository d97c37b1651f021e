package terraform

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

// settled passes a value on and notes why it is unknown, if it is.
func settled[T any](b *builder, o topology.Opt[T]) topology.Opt[T] {
	if o.IsUnknown() {
		b.note(o.Why())
	}
	return o
}

func (b *builder) text(body *resource.Body, name string) topology.Opt[string] {
	return settled(b, body.String(name))
}

func (b *builder) integer(body *resource.Body, name string) topology.Opt[int] {
	if why, file, line := body.NotInt(name); why != "" {
		return topology.Unknown[int](b.malformed(why, file, line))
	}
	return settled(b, body.Int(name))
}

// malformed records a settled value that AWS or its provider refuses, once, and
// returns the reason with its place.
func (b *builder) malformed(why, file string, line int) string {
	at := b.at
	if file != "" {
		at.File, at.Line = file, line
	}
	if key := [2]string{string(at.ID), fmt.Sprintf("malformed %d %s", at.Line, why)}; !b.seen[key] {
		b.seen[key] = true
		b.t.Malformed = append(b.t.Malformed, topology.Note{Origin: at, Text: why})
	}
	return fmt.Sprintf("%s:%d: %s", at.File, at.Line, why)
}

func (b *builder) boolean(body *resource.Body, name string) topology.Opt[bool] {
	return settled(b, body.Bool(name))
}

// label reads text that only names things: not settled, it decides nothing,
// so it is not noted.
func (b *builder) label(body *resource.Body, name string) topology.Opt[string] {
	return body.String(name)
}

func (b *builder) texts(body *resource.Body, name string) []topology.Opt[string] {
	out := body.Strings(name)
	for _, o := range out {
		settled(b, o)
	}
	return out
}

// written returns a text field as written, open parts as ${…}.
func (b *builder) written(body *resource.Body, name string) string {
	o := b.text(body, name)
	if s, ok := o.Get(); ok {
		return s
	}
	if o.IsUnknown() {
		if a := body.Attrs[name].Value; a.IsKnown() {
			if s, ok := body.Raw(name); ok {
				return resource.Render(s)
			}
		}
		return "${unknown}"
	}
	return ""
}

func (b *builder) prefix(body *resource.Body, name string) topology.Opt[netip.Prefix] {
	return b.parsePrefix(name, body.String(name))
}

func (b *builder) parsePrefix(name string, o topology.Opt[string]) topology.Opt[netip.Prefix] {
	s, ok := o.Get()
	if !ok {
		if o.IsUnknown() {
			return settled(b, topology.Unknown[netip.Prefix](o.Why()))
		}
		return topology.Opt[netip.Prefix]{}
	}
	p, err := netip.ParsePrefix(strings.TrimSpace(s))
	if err != nil {
		return settled(b, topology.Unknown[netip.Prefix](b.placed("%s: %q is not an address range such as 10.0.0.0/16", name, s)))
	}
	return topology.Known(p.Masked())
}

// blocks returns the nested blocks of a type. open is not empty when their
// number is not known; it has been noted.
func (b *builder) blocks(body *resource.Body, name string) (blocks []*resource.Body, open string) {
	blocks, open = body.List(name)
	if open != "" {
		b.note(open)
	}
	return blocks, open
}

// one returns the nested block of a type, or nil. open is as for blocks.
func (b *builder) one(body *resource.Body, name string) (block *resource.Body, open string) {
	if body == nil {
		return nil, ""
	}
	block, open = body.One(name)
	if open != "" {
		b.note(open)
	}
	return block, open
}

// inner is one for reading on: without the block it returns an empty one.
func (b *builder) inner(body *resource.Body, name string) *resource.Body {
	if block, _ := b.one(body, name); block != nil {
		return block
	}
	return resource.NewBody(b.at.File, b.at.Line)
}

// ref resolves a reference to a resource of one of the types. A literal
// stands for itself: something that exists outside the source.
func (b *builder) ref(name string, o topology.Opt[string], types ...string) topology.Opt[topology.ID] {
	s, ok := o.Get()
	if !ok {
		if o.IsUnknown() {
			return settled(b, topology.Unknown[topology.ID](o.Why()))
		}
		return topology.Opt[topology.ID]{}
	}
	address, attr, symbol := resource.ParseSymbol(s)
	if !symbol {
		if s == "" {
			return topology.Opt[topology.ID]{}
		}
		return topology.Known(topology.ID(s))
	}
	inst := b.byAddress[address]
	if inst == nil || !slices.Contains(types, inst.Type) {
		return settled(b, topology.Unknown[topology.ID](b.placed("%s: %s.%s is not of type %s", name, address, attr, types[0])))
	}
	return topology.Known(topology.ID(address))
}

func (b *builder) id(body *resource.Body, name string, types ...string) topology.Opt[topology.ID] {
	return b.ref(name, body.Ref(name), types...)
}

func (b *builder) ids(body *resource.Body, name string, types ...string) []topology.Opt[topology.ID] {
	return b.each(body, name, func(name string, o topology.Opt[string]) topology.Opt[topology.ID] {
		return b.ref(name, o, types...)
	})
}

// each returns what of makes of the elements of a list. An empty element is the
// default of a variable that is to be given: unknown.
func (b *builder) each(body *resource.Body, name string,
	of func(string, topology.Opt[string]) topology.Opt[topology.ID]) (out []topology.Opt[topology.ID]) {
	for _, o := range body.Refs(name) {
		id := of(name, o)
		if id.IsAbsent() {
			id = settled(b, topology.Unknown[topology.ID](b.placed("%s: an empty id", name)))
		}
		out = append(out, id)
	}
	return out
}

// declared returns what the resource that an attribute refers to became.
func declared[T any](b *builder, id topology.Opt[topology.ID]) (v T, ok bool) {
	known, ok := id.Get()
	if !ok {
		return v, false
	}
	v, ok = b.of[string(known)].(T)
	return v, ok
}

// keyed collects the attributes of a body under other names, the set ones.
func (b *builder) keyed(body *resource.Body, names map[string]string) map[string]topology.Opt[string] {
	out := map[string]topology.Opt[string]{}
	for _, name := range sortedKeys(names) {
		if o := b.text(body, name); !o.IsAbsent() {
			if s, ok := o.Get(); ok && s == "" {
				continue
			}
			out[names[name]] = o
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func at(body *resource.Body) string {
	if body.Line > 0 {
		return fmt.Sprintf("%s:%d", body.File, body.Line)
	}
	return body.File
}
