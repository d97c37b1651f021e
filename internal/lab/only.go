package lab

import (
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/topology"
)

// wants reports whether the service is among those that are to run.
func (o *Options) wants(id topology.ID) bool { return len(o.Only) == 0 || slices.Contains(o.Only, id) }

// desired is how many tasks a service starts with.
func (o *Options) desired(s *topology.Service) int {
	n := s.DesiredCount.Or(1)
	if o.TasksPerService > 0 {
		n = min(n, o.TasksPerService)
	}
	return n
}

// checkOnly says what is wrong with the choice of services.
func (o *Options) checkOnly(x *topology.Index) error {
	for _, id := range o.Only {
		if x.Service(id) == nil {
			return fmt.Errorf("lab: only service %s: there is no such service", id)
		}
	}
	if o.TasksPerService < 0 {
		return fmt.Errorf("lab: %d tasks per service", o.TasksPerService)
	}
	return nil
}

// maxNamed is how many services a note names.
const maxNamed = 3

// noteLeftOut notes what does not run because the options say so.
func (l *Lab) noteLeftOut() {
	var left, fewer []string
	for _, s := range l.opts.Topology.Services {
		name := s.Name.Or(string(s.ID))
		if !l.opts.wants(s.ID) {
			left = append(left, name)
		} else if all := s.DesiredCount.Or(1); l.opts.desired(s) < all {
			fewer = append(fewer, fmt.Sprintf("%s (%d)", name, all))
		}
	}
	if len(left) > 0 {
		l.note(fmt.Sprintf("%d of %d services run; left out, with nobody behind their names: %s",
			len(l.opts.Topology.Services)-len(left), len(l.opts.Topology.Services), some(left, maxNamed)))
	}
	if len(fewer) > 0 {
		l.note(fmt.Sprintf("at most %d tasks of each service run; the source wants more of: %s", l.opts.TasksPerService, some(fewer, maxNamed)))
	}
}
