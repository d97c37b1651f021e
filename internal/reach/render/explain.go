package render

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
)

// Explain writes the three-port table and every caller's path as text. Of a
// deployment with many paths it folds what is alike: see fold.go.
func Explain(w io.Writer, r *reach.Report, paths iter.Seq[reach.Prediction], o TextOptions) error {
	b := bufio.NewWriter(w)
	g := gather(paths, r.Names, o.All)
	writePorts(b, r.Ports, o)
	fmt.Fprint(b, "Paths\n\n")
	if g.many() {
		g.write(b, o)
	} else {
		g.writeEach(b, o)
	}
	for _, n := range r.Notes {
		writeWrapped(b, "Note: "+n+".", 0, 2, o.width())
	}
	return b.Flush()
}

// writeEach writes every path hop by hop.
func (g *gathered) writeEach(b io.Writer, o TextOptions) {
	writeLegend(b, g.first)
	for _, p := range g.first {
		writePath(b, p, o)
	}
	if len(g.first) == 0 {
		fmt.Fprint(b, "  no caller found\n\n")
	}
	g.writeRest(b, o)
}

// writeRest counts the paths that are not shown.
func (g *gathered) writeRest(b io.Writer, o TextOptions) {
	if g.rest > 0 {
		writeWrapped(b, fmt.Sprintf("%s, to a task's own address or between services that nothing in the source connects; --all shows them.",
			Plural(g.rest, "more path")), 0, 0, o.width())
	}
}

// writeLegend explains the marks that the drawings use.
func writeLegend(b io.Writer, ps []reach.Prediction) {
	var marks []string
	used := func(f func(reach.Hop) bool, text string) {
		for _, p := range ps {
			if slices.ContainsFunc(p.Hops, f) {
				marks = append(marks, text)
				return
			}
		}
	}
	used(func(h reach.Hop) bool { return h.Through == "redirect" }, "↷ the task redirects the port to its agent")
	used(func(h reach.Hop) bool { return h.State == reach.HopClosed }, "✕ closed")
	used(func(h reach.Hop) bool { return h.State == reach.HopUnknown }, "? not settled by the source")
	if len(marks) > 0 {
		printable.Fprintf(b, "  %s\n\n", strings.Join(marks, "; "))
	}
}

// hidden reports whether a path is left out unless all are asked for: direct
// access and unlikely pairs.
func hidden(p reach.Prediction) bool {
	return !p.Likely && p.Kind != reach.KindOutside || p.Kind == reach.KindDirect
}

// writePorts writes one table per service, or folds what is alike of many.
func writePorts(b io.Writer, rows []reach.PortRow, o TextOptions) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprint(b, "Ports\n\n")
	if len(rows) > manyPorts {
		rows = foldPorts(b, rows, o)
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Service == rows[0].Service {
			n++
		}
		printable.Fprintf(b, "  %s\n", rows[0].Label)
		table := [][]string{{"endpoint", "client", "ingress", "container", "mode", "protocol"}}
		for _, r := range rows[:n] {
			table = append(table, printable.Lines(cells(r)))
		}
		writeTable(b, table, o.width())
		for _, r := range rows[:n] {
			if r.Why != "" {
				writeWrapped(b, "? "+r.Why, 4, 6, o.width())
			}
		}
		fmt.Fprintln(b)
		rows = rows[n:]
	}
	writeWrapped(b, "client: in the URL that callers use. ingress: where the agent is reached from outside the task. container: where the app listens.", 2, 2, o.width())
	fmt.Fprintln(b)
}

func cells(r reach.PortRow) []string {
	mode, proto := r.Mode, dash(r.AppProtocol)
	if r.TLS {
		proto += " + TLS"
	}
	if mode == "none" {
		mode, proto = "no endpoint", "-"
	}
	return []string{dash(r.Endpoint), port(r.ClientPort), port(r.IngressPort), port(r.ContainerPort), mode, proto}
}

func port(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeTable lines up columns; a table that is wider than width is written as one block per row.
func writeTable(b io.Writer, rows [][]string, width int) {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	total := 4 + 2*(len(widths)-1)
	for _, n := range widths {
		total += n
	}
	if total <= width {
		for _, r := range rows {
			line := "    "
			for i, c := range r {
				line += c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2)
			}
			printable.Fprintln(b, strings.TrimRight(line, " "))
		}
		return
	}
	for _, r := range rows[1:] {
		printable.Fprintf(b, "    %s\n", r[0])
		for i, c := range r[1:] {
			printable.Fprintf(b, "      %-10s %s\n", rows[0][i+1], c)
		}
	}
}

func writePath(b io.Writer, p reach.Prediction, o TextOptions) {
	writeWrapped(b, p.What, 2, 4, o.width())
	writeDrawing(b, p, o)
	for _, h := range p.Hops {
		writeAdmissions(b, h, o)
	}
	writeOutcome(b, p, o)
	for _, bl := range p.Blocks {
		text := "blocked: " + bl.Why
		if bl.Nearest != "" {
			text += " (nearest: " + bl.Nearest + ")"
		}
		writeWrapped(b, text, 4, 6, o.width())
		if bl.Open != nil {
			writeWrapped(b, "opens it: "+bl.Open.String(), 4, 6, o.width())
		}
	}
	if p.Otherwise != nil {
		writeWrapped(b, "otherwise, if "+p.Otherwise.If+": "+outcomeText(p.Otherwise.Outcome), 4, 6, o.width())
	}
	for _, a := range p.Assumes {
		writeWrapped(b, "assumes: "+a, 4, 6, o.width())
	}
	for _, r := range p.Remarks {
		writeWrapped(b, "remark: "+r, 4, 6, o.width())
	}
	fmt.Fprintln(b)
}

func writeDrawing(b io.Writer, p reach.Prediction, o TextOptions) {
	if line := Drawing(p); line != "" {
		writeWrapped(b, line, 4, 8, o.width())
	}
}

// Drawing draws the hops of a path as one line: client ──80──▶ alb ──80──▶
// app. A closed hop ends in ✕, one that is not settled in ?. It is empty when
// the request never leaves its caller.
func Drawing(p reach.Prediction) string {
	if len(p.Hops) == 0 {
		return ""
	}
	line := strings.TrimPrefix(p.Hops[0].From, "client ")
	if line == "agent" {
		line = "client"
	}
	for _, h := range p.Hops {
		line += " " + arrow(h) + " " + strings.TrimPrefix(h.To, "client ")
	}
	return line
}

func arrow(h reach.Hop) string {
	where := h.Ports()
	switch h.Through {
	case "vip":
		where = "name:" + where
	case "loopback":
		where = "127.0.0.1:" + where
	case "redirect":
		where += "↷"
	}
	switch h.State {
	case reach.HopClosed:
		return "──" + where + "──✕"
	case reach.HopUnknown:
		return "──" + where + "──?"
	}
	return "──" + where + "──▶"
}

func writeAdmissions(b io.Writer, h reach.Hop, o TextOptions) {
	if len(h.Admits) == 0 {
		return
	}
	var parts []string
	for _, a := range h.Admits {
		parts = append(parts, a.Label+" "+a.Text)
	}
	writeWrapped(b, fmt.Sprintf("%s to %s: %s", h.From, h.To, strings.Join(parts, "; ")), 6, 8, o.width())
}

func writeOutcome(b io.Writer, p reach.Prediction, o TextOptions) {
	color := Green
	switch p.Outcome.Class {
	case reach.OK, reach.NoTraffic:
	case reach.Unknown:
		color = Yellow
	default:
		color = Red
	}
	text := outcomeText(p.Outcome)
	if len(p.Blocks) > 0 {
		text = strings.TrimSuffix(text, ": "+p.Outcome.Why) // the blocks below say it
	}
	if t := p.Target; t != nil && t.State != reach.StateUnknown {
		color = Green
		if t.State != reach.StateHealthy {
			color = Red
		}
		state := t.State
		if t.Reason != "" {
			state += " (" + t.Reason + ")"
		}
		text = "target " + state + afterText(p.Outcome.After) + ": " + p.Outcome.Why
	}
	if p.Kind == reach.KindWhatIf || p.Kind == reach.KindOutside {
		color = ""
	}
	var buf strings.Builder
	writeWrapped(&buf, "= "+text, 4, 6, o.width())
	printable.Fprintf(b, "%s\n", printable.Safe(o.Paint(color, strings.TrimRight(buf.String(), "\n"))))
}

// outcomeText says an outcome in one sentence.
func outcomeText(c reach.Outcome) string {
	switch c.Class {
	case reach.OK, reach.HTTPError:
		from := "answered by the " + c.By
		if c.Status != 0 {
			from = fmt.Sprintf("%d from the %s", c.Status, c.By)
		}
		if c.Location != "" {
			from += " to " + c.Location
		}
		s := from + afterText(c.After)
		if c.Body != "" {
			s = fmt.Sprintf("the caller reads %q (%s%s)", c.Body, from, afterText(c.After))
		}
		if c.By != "app" || c.Status >= 400 {
			s += ": " + c.Why
		}
		return s
	case reach.DeployFails:
		s := c.Why
		if c.Error != "" {
			s += " — " + c.Error
		}
		return s
	case reach.Unknown:
		return "unknown: " + c.Why
	case reach.NoTraffic:
		return "no traffic: " + c.Why
	}
	s := string(c.Class)
	if c.Curl != "" {
		s = c.Curl
	}
	return s + ": " + c.Why
}

func afterText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " after " + d.Round(time.Second).String()
}

// kinds is the order in which kinds of path appear.
var kinds = []reach.Kind{reach.KindALB, reach.KindMesh, reach.KindWhatIf, reach.KindHealth, reach.KindDirect, reach.KindOutside}

// byKind sorts predictions by kind and keeps their order within one.
func byKind(paths iter.Seq[reach.Prediction]) []reach.Prediction {
	return slices.SortedStableFunc(paths, func(a, b reach.Prediction) int {
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	})
}
