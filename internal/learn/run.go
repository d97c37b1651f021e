package learn

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hoplab/hoplab/internal/reach/render"
)

// Options say where and how a lesson runs.
type Options struct {
	App    []string // command of the measured app
	Node   []string // command of a lab node; empty for this program with "node"
	Fabric string   // "" for loopback
	// Envoy is the path of the Envoy that the agents are; empty for the lab's
	// own. Envoy's clock is the real one, so every act takes the time that it
	// would in AWS, a few minutes at most.
	Envoy string
	Log   io.Writer
	// Out receives the lesson as text while it goes on.
	Out  io.Writer
	Text render.TextOptions
	// Ask, if set, is called once after the question and returns the learner's
	// choice, from 1 to n, or 0 for none.
	Ask func(n int) (int, error)
}

// Run takes the learner through a lesson. The record is complete also when
// the run left what is documented; Record.Differs then says where. The error
// is for a lab that cannot run, and for input that ends.
func Run(ctx context.Context, l Lesson, o Options) (*Record, error) {
	if o.Out == nil {
		o.Out = io.Discard
	}
	r := &Record{Schema: Schema, Lesson: l.ID, Title: l.Title, Question: l.Question}
	for _, c := range l.Choices {
		r.Choices = append(r.Choices, c.Text)
	}
	t := &text{w: o.Out, o: o.Text}
	t.opening(&l)
	if o.Ask != nil {
		n, err := o.Ask(len(l.Choices))
		if err != nil {
			return nil, err
		}
		if n < 0 || n > len(l.Choices) {
			return nil, fmt.Errorf("lesson %s: no choice %d", l.ID, n)
		}
		r.Predicted = n
		t.predicted(n)
	}
	for i := range l.Acts {
		if err := perform(ctx, r, &l.Acts[i], &o, t); err != nil {
			return r, err
		}
	}
	judge(r, &l)
	t.closing(r, &l)
	return r, t.err
}

// slower is the clock of a second try.
const slower = 4

// perform plays an act, a second time on a slower clock when it did not go as
// it should: a busy machine is late for time-outs that a fast clock has made
// short. What is right or wrong on the slower clock counts.
func perform(ctx context.Context, r *Record, a *Act, o *Options, t *text) error {
	if o.Envoy != "" {
		real := *a
		real.Scale = 1
		a = &real
	}
	acts, differs := len(r.Acts), len(r.Differs)
	err := play(ctx, r, a, o, t)
	if err != nil || len(r.Differs) == differs || a.Scale <= slower {
		return err
	}
	r.Acts, r.Differs, r.Slowed = r.Acts[:acts], r.Differs[:differs], true
	t.again()
	again := *a
	again.Scale = slower
	return play(ctx, r, &again, o, t)
}

// play runs one act and adds what it showed to the record, step by step.
func play(ctx context.Context, r *Record, a *Act, o *Options, t *text) (err error) {
	s, err := newStage(a, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r.Acts = append(r.Acts, s.record())
	act := &r.Acts[len(r.Acts)-1]
	t.act(act, len(r.Acts))
	for _, step := range a.Steps {
		shown, err := step.show(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Title, err)
		}
		act.Steps = append(act.Steps, shown)
		if shown.Differs != "" {
			r.Differs = append(r.Differs, shown.Key+": "+shown.Differs)
		}
		t.step(&shown, act.Scale)
	}
	return nil
}

// judge finds the choice that the run bears out.
func judge(r *Record, l *Lesson) {
	for i, c := range l.Choices {
		if !c.Holds(r) {
			continue
		}
		if r.Answer != 0 {
			r.Differs = append(r.Differs, fmt.Sprintf("choices %d and %d both hold", r.Answer, i+1))
			continue
		}
		r.Answer = i + 1
	}
	if r.Answer == 0 && len(l.Choices) > 0 {
		r.Differs = append(r.Differs, "no choice holds in what was seen")
	}
}
