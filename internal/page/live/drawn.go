package live

import (
	"bytes"
	"context"
	"net/http"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/page/loopback"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// drawn is the deployment that the lab runs, as the page shows it.
type drawn struct {
	made      string // Lab.Made
	source    *Source
	top       *topology.Topology // with the changes
	predictor *reach.Predictor
	drawing   *page.Drawing
}

// reread reads what the lab is made of; Server.mu is held, or nobody else has
// the server yet.
func (s *Server) reread(ctx context.Context) error {
	made, err := s.lab.Made()
	if err != nil {
		return err
	}
	src, err := s.lab.Source(ctx)
	if err != nil {
		return err
	}
	d := &drawn{made: made, source: src}
	if d.top, _, err = change.Make(src.Read, src.Changes...); err != nil {
		return err
	}
	if d.predictor, err = reach.New(d.top, src.Options); err != nil {
		return err
	}
	x := d.predictor.Index()
	d.drawing = page.Draw(x, d.predictor, d.predictor.All())
	d.drawing.Model.Live = true
	d.drawing.Model.Changing = page.NewChanging(made, change.Offers(x), stages(src))
	s.drawn = d
	s.last.Store(d.drawing.Model)
	return nil
}

// stages tells each change of a source by what it changed in the one before.
func stages(src *Source) []page.Made {
	out := []page.Made{}
	for i, c := range src.Changes {
		before, earlier, err := change.Make(src.Read, src.Changes[:i]...)
		if err != nil {
			return out // Make has made all of them already
		}
		_, edits, err := change.Make(src.Read, src.Changes[:i+1]...)
		if err != nil {
			return out
		}
		edits = edits[len(earlier):]
		out = append(out, page.Made{Label: change.Label(topology.NewIndex(before), c), Diff: change.Diff(edits), Copy: change.Copy(edits)})
	}
	return out
}

// current rereads what the lab is made of when somebody else has changed it.
func (s *Server) current(ctx context.Context) (*drawn, error) {
	made, err := s.lab.Made()
	if err != nil {
		return nil, err
	}
	if made != s.drawn.made {
		err = s.reread(ctx)
	}
	return s.drawn, err
}

// latest is the model of what the lab is made of; while a request is under way,
// or the lab does not answer, as it was last.
func (s *Server) latest(ctx context.Context) *page.Model {
	if s.mu.TryLock() {
		_, _ = s.current(ctx) // the stream says why a lab does not answer
		s.mu.Unlock()
	}
	return s.last.Load()
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	var out bytes.Buffer
	if err := page.HTML(&out, s.latest(r.Context())); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // a browser that went away is nobody's error
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) {
	loopback.Write(w, s.latest(r.Context()))
}
