package learn

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
)

// text writes a lesson for people, at most Width columns wide.
type text struct {
	w   io.Writer
	o   render.TextOptions
	err error // of the first write that failed
}

func (t *text) Write(p []byte) (int, error) {
	if t.err == nil {
		_, t.err = t.w.Write(p)
	}
	return len(p), nil
}

func (t *text) wrap(s string, first, rest int) { render.Wrap(t, s, first, rest, t.o) }
func (t *text) painted(s string, first, rest int) {
	render.WrapPainted(t, printable.Safe(s), first, rest, t.o)
}
func (t *text) line(s string) { fmt.Fprintln(t, s) }

// column is where the text behind a label begins.
const column = 13

// labelled writes text behind a label of its own column.
func (t *text) labelled(label, s string) {
	head := "    " + label
	t.wrap(head+strings.Repeat(" ", max(1, column-utf8.RuneCountInString(head)))+s, 0, column)
}

const (
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

func (t *text) paint(color, s string) string {
	if !t.o.Color {
		return s
	}
	return color + s + plain
}

func (t *text) opening(l *Lesson) {
	t.line(t.paint(bold, l.Title) + "  (" + l.ID + ")")
	for _, p := range l.Story {
		t.line("")
		t.wrap(p, 0, 0)
	}
	t.line("")
	t.wrap("? "+l.Question, 0, 2)
	for i, c := range l.Choices {
		t.wrap(fmt.Sprintf("%d  %s", i+1, c.Text), 2, 5)
	}
}

func (t *text) predicted(n int) {
	t.line("")
	if n == 0 {
		t.line("No prediction. See what happens.")
		return
	}
	t.line(fmt.Sprintf("You predict %d. See what happens.", n))
}

func (t *text) act(a *ActRecord, n int) {
	t.line("")
	t.painted(t.paint(bold, fmt.Sprintf("%d. %s", n, a.Title)), 0, 3)
	for _, p := range a.Ports {
		t.wrap(ports(p), 3, 5)
	}
	if len(a.Groups) > 0 {
		t.wrap("the app's security group admits "+strings.Join(a.Groups, ", "), 3, 5)
	}
	if a.Scale > 1 {
		t.wrap(fmt.Sprintf("(the clock runs %g times faster; times are told as they would be in AWS)", a.Scale), 3, 4)
	}
}

// ActText tells an act as a lesson in a terminal does, without its title.
func ActText(a *ActRecord, o render.TextOptions) string {
	_, text, _ := strings.Cut(told(o, func(t *text) { t.act(a, 1) }), "\n")
	return text
}

// StepText tells a step of an act of that scale in the same way.
func StepText(s *Shown, scale float64, o render.TextOptions) string {
	return told(o, func(t *text) { t.step(s, scale) })
}

func told(o render.TextOptions, tell func(*text)) string {
	var b strings.Builder
	tell(&text{w: &b, o: o})
	return strings.Trim(b.String(), "\n")
}

func (t *text) again() {
	t.line("")
	t.wrap("The machine may have been too busy for this clock. Again, on a slower one:", 0, 0)
}

// ports says an endpoint's three ports in one line.
func ports(p reach.PortRow) string {
	if p.Mode == "none" {
		return fmt.Sprintf("no Service Connect endpoint; the app listens on %d", p.ContainerPort)
	}
	proto := p.AppProtocol
	if proto == "" {
		proto = "no appProtocol"
	}
	return fmt.Sprintf("%s: client port %d, ingress port %d, container port %d; %s mode, %s",
		p.Endpoint, p.ClientPort, p.IngressPort, p.ContainerPort, p.Mode, proto)
}

func (t *text) step(s *Shown, scale float64) {
	t.line("")
	if s.Say != "" {
		t.wrap(s.Say, 2, 2)
	}
	switch {
	case s.Call != nil:
		t.call(s.Call, s.Differs)
	case s.Target != nil:
		t.target(s.Target)
	case s.Log != nil:
		for _, f := range s.Log.Fields {
			t.wrap(fmt.Sprintf("%-18s %q", f.Name, f.Value), 4, 23)
		}
	case s.Finding != nil:
		t.finding(s.Finding)
	case s.Deploy != nil:
		t.labelled("AWS", s.Deploy.Error)
		t.labelled("", "(quoted from its documentation and users; the lab has no AWS to ask)")
	case s.Names != nil:
		t.names(s.Names)
	}
	if s.Differs != "" {
		t.painted(t.paint(red, "✕ not as it should be: ")+printable.Line(s.Differs), 4, 6)
	}
}

func (t *text) call(c *Call, differs string) {
	t.wrap("$ curl "+c.URL, 4, 6)
	t.labelled("by", c.Caller)
	way := render.Drawing(c.Predicted)
	if way == "" {
		way = "the request never leaves its caller"
	}
	t.labelled("expected", way)
	t.labelled("", outcome(&c.Predicted.Outcome))
	t.labelled("seen", c.Path)
	t.labelled("", seen(c))
	if proof := proof(c); proof != "" {
		t.labelled("proof", proof)
	}
	if differs == "" {
		t.painted(strings.Repeat(" ", column)+t.paint(green, "✓")+" as expected", 0, column)
	}
}

// outcome says a predicted outcome in the words of seen.
func outcome(o *reach.Outcome) string {
	switch o.Class {
	case reach.OK, reach.HTTPError:
		s := fmt.Sprintf("%d %s", o.Status, http.StatusText(o.Status))
		if o.Match == reach.Exact || o.Match == reach.Contains {
			s += fmt.Sprintf(" %q", strings.TrimSpace(o.Body))
		}
		if o.Location != "" {
			s += " to " + o.Location
		}
		return s + " from the " + o.By + after(o.After)
	}
	if o.Curl != "" {
		return o.Curl
	}
	return string(o.Class)
}

// seen says what the caller saw.
func seen(c *Call) string {
	o := &c.Seen
	if o.Status == 0 {
		return o.Error
	}
	s := fmt.Sprintf("%d %s", o.Status, http.StatusText(o.Status))
	if o.Body != "" {
		s += fmt.Sprintf(" %q", body(o.Body))
	}
	if to := o.Header.Get("Location"); to != "" {
		s += " to " + to
	}
	return s + after(o.Elapsed.Truncate(time.Second))
}

// body shortens a page to its title, a long text to its beginning.
func body(s string) string {
	if _, rest, ok := strings.Cut(s, "<title>"); ok {
		title, _, _ := strings.Cut(rest, "</title>")
		return title
	}
	const most = 60
	if s = strings.TrimSpace(s); utf8.RuneCountInString(s) > most {
		return string([]rune(s)[:most]) + "…"
	}
	return s
}

// noticeable is the shortest wait that is told. Shorter ones are the hops' own
// cost, which the scaled clock stretches and hoplab run measures.
const noticeable = 5 * time.Second

func after(d time.Duration) string {
	if d < noticeable {
		return ""
	}
	return fmt.Sprintf(" after %.0f s", d.Seconds())
}

// proof names what the answer itself says about its path.
func proof(c *Call) string {
	var parts []string
	if server := c.Seen.Header.Get("Server"); server != "" {
		parts = append(parts, "server: "+server)
	}
	if c.Seen.Header.Get("X-Envoy-Upstream-Service-Time") != "" {
		parts = append(parts, "x-envoy-upstream-service-time is there")
	}
	if c.Peer != "" {
		from := "from outside its task"
		if c.Peer == loopback {
			from = "from " + loopback + ", inside its task"
		}
		parts = append(parts, "the app was called "+from)
	}
	return strings.Join(parts, "; ")
}

func (t *text) target(x *Target) {
	state := x.State
	if x.Reason != "" {
		state += " (" + x.Reason + ")"
	}
	if p := x.Predicted; p != nil {
		want := p.State
		if p.Reason != "" {
			want += " (" + p.Reason + ")"
		}
		t.labelled("expected", "target "+want)
	}
	t.labelled("seen", "target "+x.Address+" "+state)
	heard := "and its probes are in the app's log"
	if x.Logged == 0 {
		heard = "and the app's log has no line of it"
	}
	if x.Probes == 0 {
		heard = "no health check has ended yet"
	} else {
		heard = "the load balancer has checked, " + heard
	}
	t.labelled("", heard)
}

func (t *text) finding(f *check.Finding) {
	t.line("    $ hoplab check")
	t.wrap(fmt.Sprintf("%s  %s: %s", f.Severity, f.Rule, f.Message), 4, 6)
	t.wrap("Fix: "+f.Fix, 6, 8)
}

func (t *text) names(n *Names) {
	t.line(printable.Line(fmt.Sprintf("    hosts of %s, task %s", n.Service, n.Task)))
	for _, name := range n.Names {
		t.line("      " + printable.Line(name))
	}
	if len(n.Names) == 0 {
		t.line("      (no endpoint)")
	}
}

func (t *text) closing(r *Record, l *Lesson) {
	t.line("")
	if r.Answer != 0 {
		verdict := fmt.Sprintf("The answer is %d: %s", r.Answer, r.Choices[r.Answer-1])
		switch {
		case r.Predicted == r.Answer:
			verdict = t.paint(green, "✓") + " Your prediction was right. " + verdict
		case r.Predicted != 0:
			verdict = t.paint(red, "✕") + fmt.Sprintf(" You predicted %d. ", r.Predicted) + verdict
		}
		t.painted(verdict, 0, 2)
	}
	for _, p := range l.Why {
		t.line("")
		t.wrap(p, 0, 0)
	}
	t.line("")
	t.line(t.paint(bold, "Remember"))
	for _, p := range l.Remember {
		t.wrap("- "+p, 0, 2)
	}
	if len(r.Differs) > 0 {
		t.line("")
		t.wrap("This run did not show what it should. Please report it:", 0, 0)
		for _, d := range r.Differs {
			t.wrap("- "+d, 0, 2)
		}
	}
}
