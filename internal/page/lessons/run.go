package lessons

import (
	"context"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/learn"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/reach"
)

// taken is a lesson with the learner's choice, 0 for none.
type taken struct {
	ID     string `json:"id"`
	Choice int    `json:"choice"`
}

// result is what a lesson showed.
type result struct {
	Acts      []act       `json:"acts"`
	Answer    int         `json:"answer"` // the choice that holds, from 1
	Predicted int         `json:"predicted"`
	Stopped   *page.Place `json:"stopped,omitempty"` // the last place that the first request reached
	Why       []string    `json:"why"`
	Remember  []string    `json:"remember"`
	Differs   []string    `json:"differs"`
	Next      string      `json:"next,omitempty"` // the lesson after this one
}

type act struct {
	Title string   `json:"title"`
	Text  string   `json:"text"`
	Map   page.Map `json:"map"`
	Steps []step   `json:"steps"`
}

// step is what a terminal shows of it, and the path of a request.
type step struct {
	Text string     `json:"text"`
	Path *page.Path `json:"path,omitempty"`
}

// run runs the lesson in a lab of its own and tells what it showed.
func (s *Server) run(ctx context.Context, t taken) (*result, error) {
	l, err := find(t.ID)
	if err != nil {
		return nil, err
	}
	if t.Choice < 0 || t.Choice > len(l.Choices) {
		return nil, fail.Newf(fail.Usage, "choose again", "lesson %s has no choice %d", l.ID, t.Choice)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.options
	o.Ask = func(int) (int, error) { return t.Choice, nil }
	r, err := learn.Run(ctx, l, o)
	if err != nil {
		return nil, err
	}
	out := &result{Answer: r.Answer, Predicted: r.Predicted, Why: l.Why, Remember: l.Remember, Differs: r.Differs, Next: next(t.ID)}
	for i := range r.Acts {
		a, stopped, err := shown(&l.Acts[i], &r.Acts[i])
		if err != nil {
			return nil, err
		}
		if out.Stopped == nil && i == 0 {
			out.Stopped = stopped
		}
		out.Acts = append(out.Acts, *a)
	}
	return out, nil
}

func next(id string) string {
	all := learn.All()
	for i, l := range all[:len(all)-1] {
		if l.ID == id {
			return all[i+1].ID
		}
	}
	return ""
}

// shown is an act with its map, and where its first request stopped.
func shown(a *learn.Act, r *learn.ActRecord) (*act, *page.Place, error) {
	sc, err := a.Scene()
	if err != nil {
		return nil, nil, err
	}
	var asked []reach.Prediction
	for _, st := range r.Steps {
		if st.Call != nil {
			asked = append(asked, st.Call.Predicted)
		}
	}
	d := draw(sc.Predictor, asked)
	out := &act{Title: r.Title, Text: learn.ActText(r, wide), Map: d.Model.Map}
	var stopped *page.Place
	for i := range r.Steps {
		st := &r.Steps[i]
		told := step{Text: learn.StepText(st, r.Scale, wide)}
		if st.Call != nil {
			p := d.Path(&st.Call.Predicted)
			told.Path = &p
			if stopped == nil {
				stopped = end(d.Model, p, st.Call.Path)
			}
		}
		out.Steps = append(out.Steps, told)
	}
	return out, stopped, nil
}

// end is the last place of a path as the hops' counters show it:
// "client → agent → alb → app".
func end(m *page.Model, p page.Path, seen string) *page.Place {
	words := strings.Split(seen, " → ")
	all := places(m, p)
	part := words[len(words)-1]
	// The first agent behind a caller that has one is its own.
	if own := has(all, clientAgent); part == "agent" && own != nil && len(words) == 2 {
		return own
	}
	if part == "agent" || part == "app" { // of the service that the path leads to
		for i := len(p.Stops) - 1; i >= 0; i-- {
			if to := p.Stops[i].To; to.Part == part {
				return &to
			}
		}
	}
	return has(all, part)
}

func has(all []page.Place, part string) *page.Place {
	for i := range all {
		if all[i].Part == part {
			return &all[i]
		}
	}
	return nil
}
