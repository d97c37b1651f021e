package page

import (
	"reflect"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
)

// Effect is a request that ends otherwise after a change, or goes another way.
type Effect struct {
	Caller string  `json:"caller"` // its name
	URL    string  `json:"url"`
	What   string  `json:"what"`
	Was    string  `json:"was"` // the path: "client → alb → app"
	Is     string  `json:"is"`
	Before Outcome `json:"before"`
	After  Outcome `json:"after"`
	Likely bool    `json:"likely,omitempty"`
}

// NewChanging returns what can be changed and what was, as a browser shows it.
func NewChanging(version string, offers []change.Offer, made []Made) *Changing {
	c := &Changing{Version: version, Offers: offers, Made: made}
	for i := range c.Offers {
		c.Offers[i].Label = printable.Line(c.Offers[i].Label)
	}
	for i := range c.Made {
		c.Made[i].Label = printable.Line(c.Made[i].Label)
	}
	return c
}

// Compare lists the requests that end otherwise, or go another way, when the
// deployment of one predictor becomes that of the other: the likely ones first.
// A request that nothing of the new deployment answers to is asked there as its
// caller would go on asking it.
func Compare(before, after *reach.Predictor) []Effect {
	then := map[string]reach.Prediction{}
	for pr := range after.All() {
		then[pr.ID] = pr
	}
	likely, other := []Effect{}, []Effect{}
	add := func(e Effect) {
		show(reflect.ValueOf(&e))
		if e.Likely {
			likely = append(likely, e)
		} else {
			other = append(other, e)
		}
	}
	for pr := range before.All() {
		now, ok := then[pr.ID]
		delete(then, pr.ID)
		if !ok {
			asked, err := after.Ask(pr.Caller, pr.URL)
			if err != nil || len(asked) == 0 || pr.Kind == reach.KindHealth {
				continue
			}
			now = asked[0]
		}
		e := Effect{Caller: pr.Caller.Name, URL: pr.URL, What: pr.What, Was: pr.Path, Is: now.Path, Before: outcome(pr.Outcome, pr.Target),
			After: outcome(now.Outcome, now.Target), Likely: pr.Likely}
		if e.Was != e.Is || !alike(e.Before, e.After) {
			add(e)
		}
	}
	for pr := range after.All() {
		if _, fresh := then[pr.ID]; fresh && pr.Likely {
			add(Effect{Caller: pr.Caller.Name, URL: pr.URL, What: pr.What, Is: pr.Path, After: outcome(pr.Outcome, pr.Target), Likely: true})
		}
	}
	return append(likely, other...)
}

// alike reports whether a caller could not tell two outcomes apart.
func alike(a, b Outcome) bool {
	late := a.AfterS == nil || b.AfterS == nil || *a.AfterS == *b.AfterS
	return late && a.Class == b.Class && a.Status == b.Status && a.Curl == b.Curl && a.Target == b.Target && a.Location == b.Location && a.Body == b.Body
}
