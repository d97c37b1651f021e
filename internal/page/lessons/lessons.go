// Package lessons serves the lessons of package learn as a page on loopback: a
// map on which the learner says where a request will stop, then what the lab
// showed. The situations of the catalogue are lessons without a choice.
package lessons

import (
	"bytes"
	"context"
	"net/http"
	"sync"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/learn"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/page/loopback"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/situation"
)

// Server serves the lessons; one runs at a time.
type Server struct {
	options learn.Options
	mu      sync.Mutex
}

// New returns a server whose lessons run as the options say; what they say of a
// terminal counts for nothing.
func New(o learn.Options) *Server {
	o.Out, o.Ask = nil, nil
	return &Server{options: o}
}

// Serve answers browsers until ctx ends. ready is told the page's address. port
// 0 is any that is free.
func (s *Server) Serve(ctx context.Context, port string, ready func(url string)) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{token}/{$}", list)
	mux.HandleFunc("POST /{token}/take", loopback.JSON(take))
	mux.HandleFunc("POST /{token}/run", loopback.JSON(s.run))
	return loopback.Serve(ctx, mux, port, ready)
}

// list is the page with the titles of all lessons and situations.
func list(w http.ResponseWriter, _ *http.Request) {
	all := &page.Lessons{Lessons: []page.Entry{}, Situations: []page.Entry{}}
	for _, l := range learn.All() {
		all.Lessons = append(all.Lessons, page.Entry{ID: l.ID, Title: l.Title})
	}
	for _, x := range situation.All() {
		all.Situations = append(all.Situations, page.Entry{ID: situationID + x.Name, Title: x.Name + ": " + x.What})
	}
	var out bytes.Buffer
	m := &page.Model{Schema: page.Schema, Title: "lessons", Live: true, Lessons: all, Ports: []reach.PortRow{}, Paths: []page.Path{}}
	if err := page.HTML(&out, m); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // a browser that went away is nobody's error
}

// situationID begins the id of a situation, so that none is that of a lesson.
const situationID = "situation:"

func find(id string) (learn.Lesson, error) {
	if l, ok := learn.Find(id); ok {
		return l, nil
	}
	for _, x := range situation.All() {
		if situationID+x.Name == id {
			return learn.OfSituation(x), nil
		}
	}
	return learn.Lesson{}, fail.Newf(fail.Usage, "choose one from the list", "there is no lesson %q", id)
}

// chosen names a lesson.
type chosen struct {
	ID string `json:"id"`
}

// task is a lesson before it runs.
type task struct {
	ID       string       `json:"id"`
	Title    string       `json:"title"`
	Story    []string     `json:"story"`
	Question string       `json:"question"`
	Choices  []string     `json:"choices"`
	Map      page.Map     `json:"map"`
	Request  *request     `json:"request,omitempty"`
	Places   []page.Place `json:"places"`
}

// request is the first that the lesson sends.
type request struct {
	Caller string `json:"caller"`
	URL    string `json:"url"`
}

func take(_ context.Context, c chosen) (*task, error) {
	l, err := find(c.ID)
	if err != nil {
		return nil, err
	}
	out := &task{ID: c.ID, Title: l.Title, Story: l.Story, Question: l.Question, Choices: []string{}}
	for _, x := range l.Choices {
		out.Choices = append(out.Choices, x.Text)
	}
	sc, err := l.Acts[0].Scene()
	if err != nil {
		return nil, err
	}
	var asked []reach.Prediction
	if sc.URL != "" {
		if asked, err = sc.Predictor.Ask(sc.Caller, sc.URL); err != nil {
			return nil, err
		}
	}
	d := draw(sc.Predictor, asked)
	out.Map = d.Model.Map
	if len(asked) > 0 {
		p := d.Path(&asked[0])
		out.Request = &request{callerOf(d.Model, p.Caller), sc.URL}
		out.Places = places(d.Model, p)
	}
	return out, nil
}

// draw draws the deployment with the callers of these predictions.
func draw(p *reach.Predictor, asked []reach.Prediction) *page.Drawing {
	return page.Draw(p.Index(), p, func(yield func(reach.Prediction) bool) {
		for _, pr := range asked {
			if !yield(pr) {
				return
			}
		}
		p.All()(yield)
	})
}

func callerOf(m *page.Model, key string) string {
	for _, c := range m.Caller {
		if c.Key == key {
			return c.Label
		}
	}
	return key
}

// places are where a request of the path's caller can stop: with the caller, and
// in each load balancer, agent and app.
func places(m *page.Model, p page.Path) []page.Place {
	caller := ""
	for _, c := range m.Caller {
		if c.Key == p.Caller {
			caller = c.Host
		}
	}
	own, out := []page.Place{}, []page.Place{}
	for _, h := range m.Map.Hosts {
		switch {
		case h.ID == caller:
			own = append(own, page.Place{Host: h.ID, Part: client, Name: h.Label})
			if h.Agent {
				own = append(own, page.Place{Host: h.ID, Part: clientAgent, Name: h.Label})
			}
		case h.Kind == "alb":
			out = append(out, page.Place{Host: h.ID, Part: "alb", Name: h.Label})
		case h.Kind == "service":
			if h.Agent {
				out = append(out, page.Place{Host: h.ID, Part: "agent", Name: h.Label})
			}
			out = append(out, page.Place{Host: h.ID, Part: "app", Name: h.Label})
		}
	}
	return append(own, out...)
}

const (
	client      = "client"
	clientAgent = "client agent"
)

// wide is the text of a step as a page has it, which wraps it itself.
var wide = render.TextOptions{Width: 1000}
