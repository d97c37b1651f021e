package labctl

import (
	"context"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
)

// patience bounds a redeployment whose request names no time-out, real time.
const patience = 2 * time.Minute

// operate changes the running deployment: kill, drain, scale, redeploy. It
// reports whether it knows the operation.
func (s *server) operate(ctx context.Context, r Request) (known bool, err error) {
	p := lab.TaskRef{Service: r.Service, Task: r.Task}
	switch r.Op {
	case OpKill:
		if r.LoadBalancer != "" {
			return true, s.lab.KillLoadBalancer(r.LoadBalancer, "")
		}
		return true, s.lab.Kill(p, r.Part)
	case OpDrain:
		return true, s.lab.Drain(p)
	case OpScale:
		return true, s.lab.Scale(p, r.Count)
	case OpRedeploy:
		limit := r.Timeout
		if limit <= 0 {
			limit = patience
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return true, s.lab.Redeploy(ctx, p, r.Env...)
	}
	return false, nil
}

// apply makes the lab that of another source, which it is made of from then on.
func (s *server) apply(ctx context.Context, m *Made) ([]lab.Change, error) {
	if m == nil {
		return nil, fail.Newf(fail.Usage, "use the same hoplab for the lab and its commands", "nothing says what the lab is to become")
	}
	t, err := s.read(ctx, *m)
	if err != nil {
		return nil, err
	}
	changes, err := s.lab.Apply(ctx, t)
	if err != nil {
		return nil, err
	}
	info := s.madeOf()
	info.Source, info.Made = t.Name, *m
	s.told(info)
	return changes, nil
}

// madeOf says what the lab is made of.
func (s *server) madeOf() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

func (s *server) told(i Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info = i
}
