package page

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// MaxPaths bounds the predictions that one file carries, about 1 kB each. The
// likely ones come first.
const MaxPaths = 1500

// Drawing is a model with what it was made from, for who asks further. It is not
// safe for concurrent use.
type Drawing struct {
	Model   *Model
	builder *builder
}

// Caller returns the caller with the key of Model.Caller.
func (d *Drawing) Caller(key string) (reach.Caller, bool) {
	c, ok := d.builder.known[key]
	return c, ok
}

// Path turns a prediction into what the page shows of it.
func (d *Drawing) Path(pr *reach.Prediction) Path {
	p := d.builder.path(pr)
	show(reflect.ValueOf(&p))
	return p
}

// New returns the model of a topology with the given predictions of it.
func New(x *topology.Index, p *reach.Predictor, predictions iter.Seq[reach.Prediction]) *Model {
	return Draw(x, p, predictions).Model
}

// Draw draws a topology with the given predictions of it.
func Draw(x *topology.Index, p *reach.Predictor, predictions iter.Seq[reach.Prediction]) *Drawing {
	b := newBuilder(x, p)
	outline := p.Outline()
	m := &Model{Schema: Schema, Title: x.Topology.Name, Ports: outline.Ports, Notes: outline.Notes, Paths: []Path{}}
	var later []Path
	for pr := range predictions {
		path := b.path(&pr)
		switch {
		case pr.Likely && len(m.Paths) < MaxPaths:
			m.Paths = append(m.Paths, path)
		case len(later) < MaxPaths:
			later = append(later, path)
		default:
			m.LeftOut++
		}
	}
	fit := min(len(later), MaxPaths-len(m.Paths))
	m.LeftOut += len(later) - fit
	m.Paths = append(m.Paths, later[:fit]...)
	m.Map = b.finish(m.Paths)
	m.Caller = b.callers
	if m.Ports == nil {
		m.Ports = []reach.PortRow{}
	}
	m.Ports = slices.Clone(m.Ports)
	show(reflect.ValueOf(m))
	return &Drawing{Model: m, builder: b}
}

func (b *builder) path(pr *reach.Prediction) Path {
	from, key := b.caller(pr)
	p := Path{ID: pr.ID, Caller: key, Kind: string(pr.Kind), URL: pr.URL, What: pr.What, Likely: pr.Likely, Stops: []Stop{},
		Outcome: outcome(pr.Outcome, pr.Target), Assumes: slices.Clone(pr.Assumes), Remarks: slices.Clone(pr.Remarks)}
	if pr.Otherwise != nil {
		o := outcome(pr.Otherwise.Outcome, nil)
		p.If, p.Otherwise = pr.Otherwise.If, &o
	}
	for i, h := range pr.Hops {
		to := Place{Host: b.at(h.At, from.Host), Part: h.To, Name: h.Name}
		from.Part = h.From
		s := Stop{From: from, To: to, Port: h.Ports(), Through: h.Through, State: h.State}
		for _, a := range h.Admits {
			s.Admits = append(s.Admits, a.Label+": "+a.Text)
		}
		for _, bl := range pr.Blocks {
			if bl.Hop == i {
				s.Blocks = append(s.Blocks, block(bl))
			}
		}
		p.Stops = append(p.Stops, s)
		from = to
	}
	return p
}

func block(b reach.Block) Block {
	out := Block{Name: b.Name, Why: b.Why, Nearest: b.Nearest}
	if b.Open != nil {
		out.Opens = b.Open.String()
	}
	return out
}

func outcome(o reach.Outcome, t *reach.TargetState) Outcome {
	out := Outcome{Class: string(o.Class), Status: o.Status, Body: o.Body, Location: o.Location, By: o.By, Curl: o.Curl,
		Error: o.Error, Why: o.Why, Basis: o.Basis.String(), Inferred: o.Inferred}
	if o.Match == reach.Assumed {
		out.Body = "" // of an app that nobody has read
	}
	if o.TimeKnown {
		s := o.After.Seconds()
		out.AfterS = &s
	}
	if t != nil {
		out.Target = strings.TrimSpace(t.State + " " + t.Reason)
	}
	return out
}

// number writes a port that may not be settled.
func number(o topology.Opt[int]) string {
	n, ok := o.Get()
	switch {
	case ok:
		return fmt.Sprint(n)
	case o.IsAbsent():
		return ""
	}
	return "?"
}
