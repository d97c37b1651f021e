package rollout

import (
	"errors"
	"fmt"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// Timeline is what callers see from phase to phase of an update.
type Timeline struct {
	// Phases are the names of those that differ from the one before for
	// somebody, the first always among them.
	Phases []string `json:"phases"`
	// Paths are those that do not stay the same, in the order of the predictions
	// of the last phase: through listeners, by Service Connect's
	// names, and health checks, without those that nobody takes (what-if, direct).
	Paths []Path `json:"paths"`
	// Rolls are the services that get a new deployment.
	Rolls []topology.ID `json:"rolls"`
}

// Path is what becomes of one path through an update.
type Path struct {
	ID string `json:"id"`
	// Seen has what the caller sees in each of the timeline's phases; nil where
	// there is no such path.
	Seen []*reach.Prediction `json:"seen"`
}

// Last is the way as the update leaves it.
func (w *Path) Last() *reach.Prediction { return w.Seen[len(w.Seen)-1] }

// Outage reports whether the way works before and after the update, and not in
// between; phase is the first in which it does not.
func (w *Path) Outage() (phase int, ok bool) {
	if !works(w.Seen[0]) || !works(w.Last()) {
		return 0, false
	}
	return w.stops()
}

// Breaks reports whether the way works before the update and not after it;
// phase is the first in which it does not.
func (w *Path) Breaks() (phase int, ok bool) {
	if !works(w.Seen[0]) || w.Last() == nil || !w.Last().Failed() {
		return 0, false
	}
	return w.stops()
}

// stops finds the first phase in which the way certainly does not work.
func (w *Path) stops() (phase int, ok bool) {
	for i, p := range w.Seen {
		if p != nil && p.Failed() {
			return i, true
		}
	}
	return 0, false
}

func works(p *reach.Prediction) bool { return p != nil && p.Outcome.Class == reach.OK }

// ErrStrangers is returned for two deployments of which no resource is the same.
var ErrStrangers = errors.New("the two deployments have no service in common")

// Follow predicts each phase of an update. It fails with ErrStrangers, and when
// an option names something that a phase does not have.
func Follow(before, after *topology.Topology, o reach.Options) (*Timeline, error) {
	x := topology.NewIndex(before)
	t, common := &Timeline{}, len(before.Services)+len(after.Services) == 0
	for _, s := range after.Services {
		old := x.Service(s.ID)
		common = common || old != nil
		if old != nil && !topology.SameRevision(old, s) {
			t.Rolls = append(t.Rolls, s.ID)
		}
	}
	if !common {
		return nil, ErrStrangers
	}
	phases := Phases(before, after)
	seen := make([]map[string]*reach.Prediction, len(phases))
	var order []string
	for i, ph := range phases {
		p, err := reach.New(ph.Topology, o)
		if err != nil {
			return nil, fmt.Errorf("while %s: %w", ph.Name, err)
		}
		seen[i] = map[string]*reach.Prediction{}
		order = order[:0]
		for way := range p.All() {
			if way.Kind == reach.KindWhatIf || way.Kind == reach.KindDirect {
				continue
			}
			seen[i][way.ID] = &way
			order = append(order, way.ID)
		}
	}
	t.keep(phases, seen, order)
	return t, nil
}

// keep takes over the ways that change and the phases in which one does.
func (t *Timeline) keep(phases []Phase, seen []map[string]*reach.Prediction, order []string) {
	var changed []string
	differs := make([]bool, len(phases))
	differs[0] = true
	for _, id := range order {
		some := false
		for i := 1; i < len(phases); i++ {
			if !alike(seen[i-1][id], seen[i][id]) {
				differs[i], some = true, true
			}
		}
		if some {
			changed = append(changed, id)
		}
	}
	for i, ph := range phases {
		if differs[i] {
			t.Phases = append(t.Phases, ph.Name)
		}
	}
	for _, id := range changed {
		w := Path{ID: id}
		for i := range phases {
			if differs[i] {
				w.Seen = append(w.Seen, seen[i][id])
			}
		}
		t.Paths = append(t.Paths, w)
	}
}

// alike reports whether the caller sees the same and the request goes the same way.
func alike(a, b *reach.Prediction) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := a.Outcome, b.Outcome
	return a.Path == b.Path && x.Class == y.Class && x.Status == y.Status && x.After == y.After && x.Curl == y.Curl
}
