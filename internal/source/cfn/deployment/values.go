package deployment

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

// quietly resolves what usually is settled only at deploy and decides little:
// names, images, environment values, Amazon's own address ranges. When it is
// open its reason stays with the value and is not noted.
func quietly[T any](b *builder, resolve func(cfn.Value) T, v cfn.Value) T {
	quiet := b.quiet
	b.quiet = true
	defer func() { b.quiet = quiet }()
	return resolve(v)
}

// label resolves text that only names things.
func (b *builder) label(v cfn.Value) topology.Opt[string] { return quietly(b, b.text, v) }

// open returns an unknown value for v and notes it.
func open[T any](b *builder, v cfn.Value, expected string) topology.Opt[T] {
	return topology.Unknown[T](b.why(v, expected))
}

// why says why v gives no value of the kind expected, and notes it.
func (b *builder) why(v cfn.Value, expected string) string {
	text := v.Why()
	if text == "" {
		pos, what := v.Pos(), "a map"
		switch v.Kind() {
		case cfn.Absent:
			pos, what = cfn.Pos{File: b.at.File, Line: b.at.Line}, "nothing"
		case cfn.Scalar:
			t, _ := v.Text()
			what = fmt.Sprintf("%.60q", t)
		case cfn.Reference:
			ref, _ := v.Ref()
			what = ref.String() + ", which is settled at deploy"
		case cfn.List:
			what = "a list"
		}
		text = fmt.Sprintf("%s: expected %s, found %s", pos, expected, what)
	}
	b.note("%s", text)
	return text
}

// malformed records a settled value that AWS refuses, once, and returns the
// reason with its place.
func (b *builder) malformed(v cfn.Value, text string) string {
	at, pos := b.at, v.Pos()
	if pos.File != "" {
		at.File, at.Line = pos.File, pos.Line
	}
	reason := fmt.Sprintf("%s:%d: %s", at.File, at.Line, text)
	if key := string(at.ID) + "\x00malformed " + reason; !b.seen[key] {
		b.seen[key] = true
		b.t.Malformed = append(b.t.Malformed, topology.Note{Origin: at, Text: text})
	}
	return reason
}

func (b *builder) text(v cfn.Value) topology.Opt[string] {
	if v.IsAbsent() {
		return topology.Opt[string]{}
	}
	v = cfn.Deref(v)
	if t, ok := v.Text(); ok {
		return topology.Known(t)
	}
	return topology.Symbolic[string](b.symbol(v), b.why(v, "text"))
}

func (b *builder) integer(v cfn.Value) topology.Opt[int] {
	if v.IsAbsent() {
		return topology.Opt[int]{}
	}
	v = cfn.Deref(v)
	if n, ok := v.Int(); ok {
		return topology.Known(n)
	}
	if t, ok := v.Text(); ok {
		return topology.Unknown[int](b.malformed(v, fmt.Sprintf("expected an integer, found %.60q", t)))
	}
	return topology.Symbolic[int](b.symbol(v), b.why(v, "an integer"))
}

// symbol returns text that two values have in common only if they are certainly
// equal once deployed: what is not settled stands in it as ${Name}. It is ""
// when nothing can be said.
func (b *builder) symbol(v cfn.Value) string {
	var out strings.Builder
	for _, p := range v.Parts() {
		if t, ok := p.Text(); ok {
			out.WriteString(t)
			continue
		}
		same := p.Same()
		if same == "" {
			return ""
		}
		if b.symbols == nil {
			b.symbols, b.symbolUsed = map[string]string{}, map[string]bool{}
		}
		if b.symbols[same] == "" {
			// Letters, digits and _ alone, so that it may stand in a URL.
			label := strings.Map(func(r rune) rune {
				if r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
					return r
				}
				return '_'
			}, p.Label())
			name := "${" + label + "}"
			for n := 2; b.symbolUsed[name]; n++ {
				name = fmt.Sprintf("${%s_%d}", label, n)
			}
			b.symbols[same], b.symbolUsed[name] = name, true
		}
		out.WriteString(b.symbols[same])
	}
	return out.String()
}

func (b *builder) boolean(v cfn.Value) topology.Opt[bool] {
	if v.IsAbsent() {
		return topology.Opt[bool]{}
	}
	if t, ok := v.Bool(); ok {
		return topology.Known(t)
	}
	return open[bool](b, v, "true or false")
}

// present reports whether an object is given, whatever is in it; unknown when
// what is not settled decides that.
func (b *builder) present(v cfn.Value) topology.Opt[bool] {
	if v.IsAbsent() {
		return topology.Opt[bool]{}
	}
	if cfn.Deref(v).Kind() == cfn.Map {
		return topology.Known(true)
	}
	return open[bool](b, v, "an object or nothing")
}

func (b *builder) prefix(v cfn.Value) topology.Opt[netip.Prefix] {
	if v.IsAbsent() {
		return topology.Opt[netip.Prefix]{}
	}
	v = cfn.Deref(v)
	if t, ok := v.Text(); ok {
		if p, err := netip.ParsePrefix(strings.TrimSpace(t)); err == nil {
			return topology.Known(p.Masked())
		}
	}
	return open[netip.Prefix](b, v, "an address range like 10.0.0.0/16")
}

// texts resolves a list of strings; a list that is not settled gives one
// unknown item.
func (b *builder) texts(v cfn.Value) []topology.Opt[string] {
	var out []topology.Opt[string]
	for _, item := range v.Each() {
		out = append(out, b.text(item))
	}
	return out
}

// known returns the settled texts of a list and notes the others.
func (b *builder) known(v cfn.Value) []string {
	var out []string
	for _, o := range b.texts(v) {
		if t, ok := o.Get(); ok {
			out = append(out, t)
		}
	}
	return out
}

// keyed resolves a list of {Key, Value} pairs.
func (b *builder) keyed(v cfn.Value, key, value string) map[string]topology.Opt[string] {
	items := v.Each()
	if len(items) == 0 {
		return nil
	}
	out := make(map[string]topology.Opt[string], len(items))
	for _, item := range items {
		if k, ok := item.Get(key).Text(); ok {
			out[k] = b.text(item.Get(value))
		} else {
			b.why(item, "a "+key+" and a "+value)
		}
	}
	return out
}

// id resolves a reference to a resource of the type. A literal stands for
// itself: something that exists outside the source.
func (b *builder) id(v cfn.Value, typ string, attrs ...string) topology.Opt[topology.ID] {
	if v.IsAbsent() {
		return topology.Opt[topology.ID]{}
	}
	if r, ok := isRef(v, typ, append(attrs, "")...); ok {
		return topology.Known(topology.ID(r.Name()))
	}
	if t, ok := v.Text(); ok && t != "" {
		return topology.Known(topology.ID(t))
	}
	return open[topology.ID](b, v, "a reference to "+typ)
}

func (b *builder) ids(v cfn.Value, typ string, attrs ...string) []topology.Opt[topology.ID] {
	var out []topology.Opt[topology.ID]
	for _, item := range v.Each() {
		out = append(out, b.id(item, typ, attrs...))
	}
	return out
}

// identity returns an ID for a value that is not settled but equal to itself:
// a parameter, an import, an attribute. Equal values have one ID, different
// values different ones. It is "" when there is none.
func (b *builder) identity(v cfn.Value) topology.ID {
	same := v.Same()
	if same == "" {
		return ""
	}
	if id, ok := b.outside[same]; ok {
		return id
	}
	label := v.Label()
	if t, ok := v.Text(); ok {
		label = t
	}
	id := topology.ID(label)
	for n := 2; b.taken[id] || b.groups[id] != nil; n++ {
		id = topology.ID(fmt.Sprintf("%s#%d", label, n))
	}
	b.outside[same], b.taken[id] = id, true
	return id
}
