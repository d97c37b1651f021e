package learn

import (
	"context"
	"errors"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/scenario"
)

// update begins an update to another deployment, and stops where the rules are
// the new ones and the old tasks still run.
type update struct {
	key, say string
	to       scenario.Config
}

func (u update) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: u.key, Say: u.say}
	to, err := u.to.Topology()
	if err != nil {
		return out, err
	}
	s.ahead = rollout.Phases(s.top, to)[1:]
	return out, s.next(ctx)
}

// complete carries out what is left of the update.
type complete struct {
	key, say string
}

func (c complete) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: c.key, Say: c.say}
	for len(s.ahead) > 0 {
		if err := s.next(ctx); err != nil {
			return out, err
		}
	}
	return out, nil
}

// next makes the lab that of the update's next phase.
func (s *stage) next(ctx context.Context) error {
	l, err := s.running(ctx)
	if err != nil {
		return err
	}
	if len(s.ahead) == 0 {
		return errors.New("no update is under way")
	}
	top := s.ahead[0].Topology
	s.ahead = s.ahead[1:]
	if _, err := l.Apply(ctx, top); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	if err := l.WaitDeployed(limit); err != nil {
		return err
	}
	s.predictor, err = reach.New(top, s.reach)
	return err
}
