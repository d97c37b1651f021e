package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
)

// what is counted for a kind of path, and how a path of it is said to work.
var counted = map[reach.Kind]struct{ unit, verb string }{
	reach.KindALB:     {"path", "of"},
	reach.KindMesh:    {"service", "reach"},
	reach.KindWhatIf:  {"call", "with another port of the endpoint in the URL:"},
	reach.KindHealth:  {"health check", "of targets:"},
	reach.KindDirect:  {"call", "to a task's own address:"},
	reach.KindURL:     {"URL", "in containers:"},
	reach.KindOutside: {"call", "of a name without Service Connect:"},
}

// several is from how many on what is alike is one line.
const several = 4

// writeReached writes what the callers of each target see: a line for all targets
// whose callers all see the same, and one for each of the others.
func (f *folded) writeReached(b io.Writer, o TextOptions) {
	slices.SortStableFunc(f.targets.order, func(a, b *target) int { return slices.Index(kinds, a.kind) - slices.Index(kinds, b.kind) })
	var same list[alikeTargets]
	for _, t := range f.targets.order {
		if key := t.uniform(); key != "" {
			same.at(key).add(t)
		}
	}
	for _, t := range f.targets.order {
		x := same.byKey[t.uniform()]
		switch {
		case x == nil || x.names.n < several:
			t.write(b, o)
		case x.first == t:
			x.write(b, o)
		}
	}
	if len(f.targets.order) == 0 {
		fmt.Fprint(b, "  no caller found\n")
	}
	fmt.Fprintln(b)
}

// uniform is a key for a name or listener all of whose callers see the same, or
// all of whom fail; empty for others.
func (t *target) uniform() string {
	if each[t.kind] == "" {
		return ""
	}
	switch w := t.works.order; {
	case len(w) == 0:
		return string(t.kind) + " none"
	case len(w) == 1 && w[0].n == t.all:
		return string(t.kind) + " all " + w[0].alike
	}
	return ""
}

// write writes a line for each thing that the target's callers see.
func (t *target) write(b io.Writer, o TextOptions) {
	c := counted[t.kind]
	at := ""
	if each[t.kind] != "" {
		at = " " + t.name + ":"
	}
	for _, w := range t.works.order {
		writeWrapped(b, fmt.Sprintf("%d of %s %s%s %s", w.n, Plural(t.all, c.unit), c.verb, at, w.text), 2, 6, o.width())
	}
	if len(t.works.order) == 0 {
		writeWrapped(b, fmt.Sprintf("0 of %s %s%s see below", Plural(t.all, c.unit), c.verb, at), 2, 6, o.width())
	}
}

// each is what the targets of a kind are that have names of their own.
var each = map[reach.Kind]string{reach.KindMesh: "name", reach.KindALB: "listener"}

// alikeTargets are targets whose callers see the same.
type alikeTargets struct {
	first       *target
	names       names
	least, most int // callers of one
}

func (x *alikeTargets) add(t *target) {
	if x.first == nil {
		x.first, x.least, x.most = t, t.all, t.all
	}
	x.least, x.most = min(x.least, t.all), max(x.most, t.all)
	x.names.add(t.name)
}

// write writes how many callers reach each target, and what they see.
func (x *alikeTargets) write(b io.Writer, o TextOptions) {
	c := counted[x.first.kind]
	callers := Plural(x.most, c.unit)
	if x.least < x.most {
		callers = fmt.Sprintf("%d to %s", x.least, callers)
	}
	reached, what := "0", "see below"
	if w := x.first.works.order; len(w) > 0 {
		reached, what = "all", w[0].alike
	}
	writeWrapped(b, fmt.Sprintf("%s of %s %s each of %s: %s", reached, callers, c.verb, Plural(x.names.n, each[x.first.kind]), what), 2, 6, o.width())
	writeWrapped(b, x.names.String(), 6, 6, o.width())
}

// Bounds within which a map of who calls whom can be read.
const (
	mapCallers = 40
	mapCalls   = 6
)

// writeMap writes who calls whom, where the source says so and it is readable:
// few callers, each with few calls.
func (f *folded) writeMap(b io.Writer, o TextOptions) {
	list := f.calls.order
	if len(list) == 0 || len(list) > mapCallers || slices.ContainsFunc(list, func(c *calls) bool { return len(c.to) > mapCalls }) {
		return
	}
	fmt.Fprint(b, "Who calls whom\n\n")
	for _, c := range list {
		writeWrapped(b, c.from+" → "+strings.Join(c.to, ", "), 2, 6, o.width())
	}
	fmt.Fprintln(b)
}

// writeFailures writes each reason once, with the paths that it stops.
func (f *folded) writeFailures(b io.Writer, o TextOptions) {
	if len(f.failures.order) == 0 {
		return
	}
	all, shown := 0, []reach.Prediction{}
	for _, x := range f.failures.order {
		all += x.n
		shown = append(shown, x.first)
	}
	printable.Fprintf(b, "Failures: %s, %s\n\n", Plural(all, "path"), Plural(len(f.failures.order), "reason"))
	writeLegend(b, shown)
	slices.SortStableFunc(f.failures.order, func(a, b *failure) int { return cmp.Compare(b.n, a.n) })
	for _, x := range f.failures.order {
		x.write(b, o)
	}
}

func (x *failure) write(b io.Writer, o TextOptions) {
	if x.n == 1 {
		writePath(b, x.first, o)
		return
	}
	which := x.what.String()
	if x.from.n > 0 {
		which = fmt.Sprintf("from %s to %s", &x.from, &x.to)
	}
	writeWrapped(b, fmt.Sprintf("%s: %s; the first of them:", Plural(x.n, "path"), which), 2, 4, o.width())
	writeDrawing(b, x.first, o)
	writeOutcome(b, x.first, o)
	for _, bl := range x.first.Blocks {
		text := "blocked: " + bl.Why
		if bl.Nearest != "" {
			text += " (nearest: " + bl.Nearest + ")"
		}
		writeWrapped(b, text, 4, 6, o.width())
	}
	if x.opens.n > 0 {
		writeWrapped(b, "opens them: "+strings.Join(x.opens.first[:min(3, len(x.opens.first))], "; ")+more(x.opens.n-3, "rule"), 4, 6, o.width())
	}
	fmt.Fprintln(b)
}

func more(n int, what string) string {
	if n <= 0 {
		return ""
	}
	return " and " + Plural(n, "more "+what)
}

// writeConditions writes each condition once, with how many paths it is about.
func (f *folded) writeConditions(b io.Writer, o TextOptions) {
	slices.SortStableFunc(f.conditions.order, func(a, b *condition) int { return cmp.Compare(b.n, a.n) })
	const most = 12
	for i, c := range f.conditions.order {
		if i == most {
			printable.Fprintf(b, "  … and %s\n", Plural(len(f.conditions.order)-most, "more condition"))
			break
		}
		writeWrapped(b, Plural(c.n, "path")+": "+c.text, 2, 4, o.width())
	}
	if len(f.conditions.order) > 0 {
		fmt.Fprintln(b)
	}
}

// foldPorts writes the rows that several services have alike and returns the
// others.
func foldPorts(b io.Writer, rows []reach.PortRow, o TextOptions) []reach.PortRow {
	type kind struct {
		client, ingress, container int
		mode, protocol, why        string
		tls, named                 bool
	}
	of := func(r reach.PortRow) kind {
		why := replaceName(r.Why, r.Label, "the service")
		return kind{r.ClientPort, r.IngressPort, r.ContainerPort, r.Mode, r.AppProtocol, why, r.TLS, r.Endpoint != ""}
	}
	alike := map[kind][]reach.PortRow{}
	for _, r := range rows {
		alike[of(r)] = append(alike[of(r)], r)
	}
	var rest []reach.PortRow
	for _, r := range rows {
		same := alike[of(r)]
		switch {
		case len(same) < several:
			rest = append(rest, r)
		case same[0] == r:
			foldRows(b, same, o)
		}
	}
	return rest
}

// foldRows writes rows that differ in nothing but their names.
func foldRows(b io.Writer, rows []reach.PortRow, o TextOptions) {
	what, named := "container port", []string{}
	for _, r := range rows {
		name := r.Label
		if r.Endpoint != "" {
			what, name = "endpoint", r.Endpoint
		}
		named = append(named, name)
	}
	printable.Fprintf(b, "  %s\n", Plural(len(rows), what))
	table := [][]string{{"client", "ingress", "container", "mode", "protocol"}, printable.Lines(cells(rows[0])[1:])}
	writeTable(b, table, o.width())
	if rows[0].Why != "" {
		writeWrapped(b, "? "+rows[0].Why, 4, 6, o.width())
	}
	writeWrapped(b, strings.Join(named, " "), 4, 4, o.width())
	fmt.Fprintln(b)
}
