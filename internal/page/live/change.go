package live

import (
	"context"
	"net/http"
	"slices"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/page/loopback"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// proposal is a change of the deployment that the browser knows.
type proposal struct {
	Version string        `json:"version"` // page.Changing's
	Change  change.Change `json:"change"`
	// Undo takes the last change back instead.
	Undo bool `json:"undo,omitempty"`
}

// forecast is what a change would do.
type forecast struct {
	Made    page.Made     `json:"made"`
	Effects []page.Effect `json:"effects"`
	// LeftOut counts the effects beyond those.
	LeftOut int `json:"left_out,omitempty"`
}

// maxEffects bounds the effects that a forecast has.
const maxEffects = 100

// maxChanges bounds the changes that a lab's source has.
const maxChanges = 200

// with returns the changes of the source with the proposal.
func (d *drawn) with(p proposal) ([]change.Change, error) {
	made := d.source.Changes
	switch {
	case p.Version != d.made:
		return nil, fail.Newf(fail.Usage, "look at it again", "the deployment was changed meanwhile")
	case p.Undo && len(made) == 0:
		return nil, fail.Newf(fail.Usage, "", "there is no change to take back")
	case p.Undo:
		return slices.Clone(made[:len(made)-1]), nil
	case len(made) >= maxChanges:
		return nil, fail.Newf(fail.Usage, "take some back, or write them into the source", "there are %d changes already", len(made))
	}
	return append(slices.Clone(made), p.Change), nil
}

// predict tells what a change would do, and does nothing.
func (s *Server) predict(ctx context.Context, p proposal) (*forecast, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := d.with(p)
	if err != nil {
		return nil, err
	}
	next, edits, err := change.Make(d.source.Read, changes...)
	if err != nil {
		return nil, err
	}
	out := &forecast{}
	if !p.Undo {
		_, earlier, err := change.Make(d.source.Read, d.source.Changes...)
		if err != nil {
			return nil, err
		}
		edits = edits[len(earlier):]
		out.Made = page.Made{Label: change.Label(d.predictor.Index(), p.Change), Diff: change.Diff(edits), Copy: change.Copy(edits)}
	}
	predictor, err := reach.New(next, d.source.Options)
	if err != nil {
		return nil, err
	}
	out.Effects = page.Compare(d.predictor, predictor)
	if more := len(out.Effects) - maxEffects; more > 0 {
		out.Effects, out.LeftOut = out.Effects[:maxEffects], more
	}
	return out, nil
}

// change changes the lab, and answers with the model of what it then is.
func (s *Server) change(ctx context.Context, p proposal) (*page.Model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := d.with(p)
	if err != nil {
		return nil, err
	}
	if err := s.lab.Change(ctx, changes); err != nil {
		return nil, err
	}
	if err := s.reread(ctx); err != nil {
		return nil, err
	}
	s.history.add(s.look(s.drawn.made)) // other browsers hear of it at once
	return s.drawn.drawing.Model, nil
}

// victim is the service of which a task is killed.
type victim struct {
	Service topology.ID `json:"service"`
}

func (s *Server) kill(_ context.Context, v victim) (struct{}, error) {
	return struct{}{}, s.lab.Kill(v.Service)
}

// share answers with the page of what a browser shows as one file.
func (s *Server) share(w http.ResponseWriter, r *http.Request) {
	q, ok := loopback.Read[page.Shown](w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.HTML(w, s.last.Load().Share(q)) // a browser that went away is nobody's error
}
