package learn

import (
	"context"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/topology"
)

// counts is how many requests each hop has counted. Health checks are left out.
type counts struct {
	clientAgent, alb, agent, app int64
}

// count reads the hops' counters and the app's log.
func (s *stage) count() counts {
	st := s.lab.Status()
	var c counts
	for _, b := range st.LoadBalancers {
		for _, l := range b.Listeners {
			c.alb += l.Connections
		}
	}
	c.agent, c.app = taskCounts(st.Service(s.app.ID, ""))
	if s.client != nil {
		if sv := st.Service(s.client.ID, ""); sv != nil {
			for _, t := range sv.Tasks {
				if t.Agent != nil {
					c.clientAgent += taken(t.Agent.Egress)
				}
			}
		}
	}
	return c
}

func taskCounts(sv *lab.ServiceStatus) (agentSide, app int64) {
	if sv == nil {
		return 0, 0
	}
	for _, t := range sv.Tasks {
		if t.Agent != nil {
			for _, e := range t.Agent.Ingress {
				agentSide += e.Requests - e.HealthChecks
			}
		}
		for _, a := range t.Apps {
			app += a.Requests - a.HealthChecks
		}
	}
	return agentSide, app
}

// taken counts what callers sent into an agent: requests, or connections
// where it passes bytes and sees no requests.
func taken(es []agent.EndpointStatus) (n int64) {
	for _, e := range es {
		n += max(e.Requests, min(e.NewConnections, 1))
	}
	return n
}

// path waits for the app's line in its log when there must be one, and says
// which hops have counted the call since before.
func (s *stage) path(ctx context.Context, before counts, reached bool, peer string) string {
	now := s.count()
	for end := time.Now().Add(2 * time.Second); reached && now.app == before.app && time.Now().Before(end) && ctx.Err() == nil; now = s.count() {
		time.Sleep(10 * time.Millisecond)
	}
	path := "client"
	hop := func(counted bool, name string) {
		if counted {
			path += " → " + name
		}
	}
	hop(now.clientAgent > before.clientAgent, "agent")
	hop(now.alb > before.alb, "alb")
	hop(now.agent > before.agent || s.passesBytes() && peer == loopback, "agent")
	hop(now.app > before.app, "app")
	return path
}

// loopback is the address from which an agent calls its app.
const loopback = "127.0.0.1"

// passesBytes reports whether the app's agent is a TCP proxy, which counts
// connections, health checks among them, and no requests. The peer that the
// app sees tells its part then.
func (s *stage) passesBytes() bool {
	return s.act.Config.AppProtocol == ""
}

// logs returns the paths of the app's logs.
func (s *stage) logs() []string {
	st := s.lab.Status()
	return logsOf(&st, s.app.ID)
}

func logsOf(st *lab.Status, id topology.ID) []string {
	var out []string
	if sv := st.Service(id, ""); sv != nil {
		for _, t := range sv.Tasks {
			for _, a := range t.Apps {
				out = append(out, a.Log)
			}
		}
	}
	return out
}
