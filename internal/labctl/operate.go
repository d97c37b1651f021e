package labctl

import (
	"context"
	"time"

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
