package render

import (
	"fmt"
	"io"
	"iter"
	"net/url"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// Above these a page for people folds what is alike.
const (
	manyPaths = 40 // paths that would be drawn hop by hop
	manyPorts = 20 // rows of the port table
)

// gathered is what a page of text needs of any number of paths: the first few
// whole, and of all of them what is alike, in memory that grows with the kinds
// of outcome and not with the paths.
type gathered struct {
	first []reach.Prediction // to be drawn hop by hop, at most manyPaths+1
	shown int                // how many there are of those
	rest  int                // paths that are left out
	// likely folds the paths that are shown, pairs every call by name whether
	// the source hints at it or not.
	likely, pairs folded
}

// gather reads the paths; all keeps those that nobody is likely to use too.
func gather(paths iter.Seq[reach.Prediction], names map[string]bool, all bool) *gathered {
	g := &gathered{likely: folded{names: names}, pairs: folded{names: names}}
	for p := range paths {
		if p.Kind == reach.KindMesh {
			g.pairs.add(p)
		}
		if hidden(p) && !all {
			g.rest++
			continue
		}
		if g.shown++; len(g.first) <= manyPaths {
			g.first = append(g.first, p)
		}
		g.likely.add(p)
	}
	return g
}

// many reports whether the paths are to be folded: too many to draw, or so many
// services among which the source does not say who calls whom.
func (g *gathered) many() bool {
	return g.shown > manyPaths || g.likely.mesh == 0 && g.pairs.mesh > manyPaths
}

func (g *gathered) write(b io.Writer, o TextOptions) {
	f, rest := &g.likely, g.rest
	if g.likely.mesh == 0 && g.pairs.mesh > 0 {
		// Nothing hints at who calls whom: any service may call any name.
		writeWrapped(b, "Nothing in the source says who calls whom; these are all pairs of the services of a namespace.", 2, 2, o.width())
		fmt.Fprintln(b)
		f, rest = &g.pairs, rest-g.pairs.mesh
		f.merge(&g.likely)
	}
	f.writeReached(b, o)
	f.writeMap(b, o)
	f.writeFailures(b, o)
	f.writeConditions(b, o)
	writeWrapped(b, "What is alike is folded; --from and --to draw the paths of a caller or to a name hop by hop, --only-failures leaves out what works, and --format json has every path.",
		0, 0, o.width())
	(&gathered{rest: rest}).writeRest(b, o)
}

// folded are paths by what they have in common.
type folded struct {
	names      map[string]bool // of the deployment's parts
	mesh       int             // calls by name
	targets    list[target]
	failures   list[failure]
	conditions list[condition]
	calls      list[calls]
}

// list keeps values by key in the order in which they came.
type list[T any] struct {
	byKey map[string]*T
	order []*T
}

func (l *list[T]) at(key string) *T {
	if v, ok := l.byKey[key]; ok {
		return v
	}
	if l.byKey == nil {
		l.byKey = map[string]*T{}
	}
	v := new(T)
	l.byKey[key] = v
	l.order = append(l.order, v)
	return v
}

// target is something that is called, with what its callers see.
type target struct {
	kind  reach.Kind
	name  string
	all   int
	works list[outcomes] // by what a caller sees; failures are told apart below
}

// outcomes counts paths that end alike.
type outcomes struct {
	text  string
	alike string // text without the names of the paths' ends
	n     int
}

// failure is a reason for which paths fail, with the paths.
type failure struct {
	n     int
	first reach.Prediction
	// from and to are of calls by name, what says it of other paths.
	from, to, what names
	opens          names // the rules that would open them
}

// condition is something that a prediction takes for granted, or says besides.
type condition struct {
	text string
	n    int
}

// calls are the names that the source says a service calls.
type calls struct {
	from string
	to   []string
}

// add folds one path.
func (f *folded) add(p reach.Prediction) {
	key, name := groupOf(p)
	t := f.targets.at(key)
	t.kind, t.name = p.Kind, name
	t.all++
	alike := alikeness(p, f.names)
	if p.Kind == reach.KindMesh {
		f.mesh++
		if p.Hint == reach.HintURL || p.Hint == reach.HintGroup {
			c := f.calls.at(string(p.Caller.Service))
			c.from = p.Caller.Name
			c.to = append(c.to, mark(p)+name)
		}
	}
	if p.Failed() {
		f.addFailure(p, alike)
	} else {
		text := endText(p)
		w := t.works.at(alike(text))
		w.alike = alike(text)
		if w.n++; w.n > 1 {
			text = w.alike
		}
		w.text = text
	}
	for _, text := range conditionsOf(p) {
		c := f.conditions.at(alike(text))
		if c.n++; c.n > 1 {
			text = alike(text)
		}
		c.text = text
	}
}

func (f *folded) addFailure(p reach.Prediction, alike func(string) string) {
	key := string(p.Kind) + alike(endText(p))
	for _, bl := range p.Blocks {
		key += "\x00" + alike(bl.Why)
	}
	x := f.failures.at(key)
	if x.n++; x.n == 1 {
		x.first = p
	}
	if _, name := groupOf(p); p.Kind == reach.KindMesh {
		x.from.add(p.Caller.Name)
		x.to.add(name)
	} else {
		x.what.add(p.What)
	}
	for _, bl := range p.Blocks {
		if bl.Open != nil {
			x.opens.add(bl.Open.String())
		}
	}
}

// merge adds what another folded that f has not.
func (f *folded) merge(o *folded) {
	for key, t := range o.targets.byKey {
		if f.targets.byKey[key] == nil {
			*f.targets.at(key) = *t
		}
	}
	f.failures.order = append(f.failures.order, o.failures.order...)
	f.conditions.order = append(f.conditions.order, o.conditions.order...)
}

// groupOf says what a path is counted with: the name that is called, the
// listener, or all paths of a kind.
func groupOf(p reach.Prediction) (key, name string) {
	switch p.Kind {
	case reach.KindMesh:
		if u, err := url.Parse(p.URL); err == nil {
			return "mesh/" + u.Host, u.Host
		}
		return p.URL, p.URL
	case reach.KindALB:
		u, err := url.Parse(p.URL)
		if err != nil {
			return p.URL, p.URL
		}
		return "alb/" + string(p.LoadBalancer) + string(p.Listener), u.Host
	case reach.KindDirect:
		return string(p.Kind), p.URL
	}
	return string(p.Kind), p.What
}

// endText says in a line how a path ends.
func endText(p reach.Prediction) string {
	if t := p.Target; t != nil && t.State != reach.StateUnknown {
		text := "target " + t.State
		if t.Reason != "" {
			text += " (" + t.Reason + ")"
		}
		if t.State == reach.StateHealthy {
			return text
		}
		return text + afterText(p.Outcome.After) + ": " + p.Outcome.Why
	}
	return outcomeText(p.Outcome)
}

// conditionsOf are the sentences under which a prediction holds.
func conditionsOf(p reach.Prediction) []string {
	var out []string
	if p.Otherwise != nil {
		out = append(out, "otherwise, if "+p.Otherwise.If+": "+outcomeText(p.Otherwise.Outcome))
	}
	for _, a := range p.Assumes {
		out = append(out, "assumes: "+a)
	}
	for _, r := range p.Remarks {
		out = append(out, "remark: "+r)
	}
	return out
}

// alikeness returns a function that takes the names of a path's two ends, and
// those of other parts, out of a sentence, so that what is said of many is one.
func alikeness(p reach.Prediction, names map[string]bool) func(string) string {
	host := ""
	if u, err := url.Parse(p.URL); err == nil {
		host = u.Hostname()
	}
	service := ""
	for _, h := range p.Hops {
		if h.At == p.Service && p.Service != "" {
			service = h.Name
		}
	}
	return func(text string) string {
		text = replaceName(text, host, "the name")
		text = replaceName(text, service, "the service")
		return topology.Nameless(replaceName(text, p.Caller.Name, "the caller"), names)
	}
}

// replaceName replaces a name in text wherever it stands as a word of its own: s1,
// but not the s1 of s10 or of s1.shop.
func replaceName(text, name, with string) string {
	if name == "" {
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(text, name)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		before, after := text[:i], text[i+len(name):]
		b.WriteString(before)
		if ofName(before, len(before)-1) || ofName(after, 0) && !strings.HasPrefix(after, ". ") {
			b.WriteString(name)
		} else {
			b.WriteString(with)
		}
		text = after
	}
}

// ofName reports whether the byte at i may be a part of a name.
func ofName(s string, i int) bool {
	if i < 0 || i >= len(s) {
		return false
	}
	c := s[i]
	return c == '-' || c == '_' || c == '.' || c == '/' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// mark marks the name of a call that fails.
func mark(p reach.Prediction) string {
	if p.Failed() {
		return "✕ "
	}
	return ""
}

// names counts distinct names and keeps the first few.
type names struct {
	first []string
	n     int
	seen  map[string]bool
}

func (x *names) add(name string) {
	if x.seen[name] {
		return
	}
	if x.seen == nil {
		x.seen = map[string]bool{}
	}
	x.seen[name] = true
	if x.n++; len(x.first) < mostNames {
		x.first = append(x.first, name)
	}
}

// mostNames is how many names a sentence lists.
const mostNames = 8

func (x *names) String() string { return Names(x.first, x.n) }

// Names lists names of which there are n: "a, b, c and 47 more".
func Names(first []string, n int) string {
	text := strings.Join(first[:min(len(first), mostNames)], ", ")
	if more := n - min(len(first), mostNames); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
