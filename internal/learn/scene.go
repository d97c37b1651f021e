package learn

import (
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/situation"
)

// Scene is an act's deployment before it runs: what a map is drawn of.
type Scene struct {
	Predictor *reach.Predictor
	// Caller and URL are the act's first request; URL is "" without one.
	Caller reach.Caller
	URL    string
}

// Scene reads the act's deployment.
func (a *Act) Scene() (*Scene, error) {
	s, err := newStage(a, &Options{})
	if err != nil {
		return nil, err
	}
	out := &Scene{Predictor: s.predictor}
	for _, step := range a.Steps {
		if r, ok := step.(request); ok {
			out.Caller, out.URL = situation.Situation{Config: a.Config, Call: &r.call}.Ask(s.top)
			break
		}
	}
	return out, nil
}

// OfSituation is a lesson without choices that shows a situation: its call, or
// the state of its target.
func OfSituation(s situation.Situation) Lesson {
	act := Act{Title: "The situation " + s.Name, Config: s.Config, Scale: fast}
	if s.Call != nil {
		body := s.Body
		if before, cut := strings.CutSuffix(body, "…"); cut {
			body = strings.TrimRight(before, " ")
		}
		curl, _, _ := strings.Cut(s.Curl, situation.Or)
		if strings.Contains(s.Curl, situation.Or) {
			curl = "curl: (" // which of them it is, is a matter of packets
		}
		act.Steps = append(act.Steps, request{key: "call", call: *s.Call, want: want{status: s.Status, body: body, curl: curl}})
	}
	if s.Target != "" {
		act.Steps = append(act.Steps, target{key: "target", say: "The load balancer's target:", want: s.Target})
	}
	return Lesson{ID: s.Name, Title: s.What, Story: []string{"A situation whose outcome is known: " + s.What + "."},
		Question: "What does the caller see, and where does the request stop?", Acts: []Act{act}, Why: []string{s.Why}}
}
