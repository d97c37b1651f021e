package live

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/page"
)

// counted is a hop with what it has counted since the lab began.
type counted struct {
	Host string `json:"host"`
	Part string `json:"part"`
	Name string `json:"name"`
	N    int64  `json:"n"` // without health checks

	all int64   // health checks too
	ms  float64 // for which it has waited, modelled
}

// passed reads the counters again and returns what grew. The app's log follows
// its answer a moment later, so it is waited for when the app has answered.
func (s *Server) passed(before *lab.Status, logs map[string]int64, answered bool) ([]page.Hop, error) {
	was := map[[2]string]counted{}
	for _, c := range counters(before) {
		was[[2]string{c.Host, c.Part}] = c
	}
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		st, err := s.lab.Status()
		if err != nil {
			return nil, err
		}
		out, app := []page.Hop{}, false
		for _, c := range counters(st) {
			w, known := was[[2]string{c.Host, c.Part}]
			if !known || c.N <= w.N {
				continue
			}
			h := page.Hop{Host: c.Host, Part: c.Part, Name: c.Name, N: c.N - w.N}
			if waited := c.ms - w.ms; c.all-w.all == 1 && waited > 0 {
				h.Ms = &waited
			}
			if c.Part == "app" {
				app = true
				h.Log, h.Ms = appended(st, c.Host, logs)
			}
			out = append(out, h)
		}
		if !answered || app || time.Now().After(end) {
			return out, nil
		}
	}
}

// counters are the requests that each part of each host has counted, in the
// order in which a request passes them.
func counters(st *lab.Status) []counted {
	var callers, balancers, agents, apps []counted
	for _, sv := range st.Services {
		if sv.Twin != "" {
			continue
		}
		id := string(sv.ID)
		out, in := counted{Host: id, Part: "client agent", Name: sv.Name}, counted{Host: id, Part: "agent", Name: sv.Name}
		app := counted{Host: id, Part: "app", Name: sv.Name}
		for _, t := range sv.Tasks {
			if t.Agent != nil {
				for _, e := range t.Agent.Egress {
					out.add(&e, max(e.Requests, e.NewConnections))
				}
				for _, e := range t.Agent.Ingress {
					in.add(&e, e.Requests)
				}
			}
			for _, a := range t.Apps {
				app.N += a.Requests - a.HealthChecks
			}
		}
		callers, agents, apps = append(callers, out), append(agents, in), append(apps, app)
	}
	for _, b := range st.LoadBalancers {
		c := counted{Host: string(b.ID), Part: "alb", Name: b.Name}
		for _, l := range b.Listeners {
			c.N += l.Connections
			c.ms += l.ResponseS * 1000
		}
		c.all = c.N
		balancers = append(balancers, c)
	}
	return append(append(append(callers, balancers...), agents...), apps...)
}

func (c *counted) add(e *agent.EndpointStatus, n int64) {
	c.N += n - e.HealthChecks
	c.all += n
	c.ms += e.ResponseMs
}

// logShown bounds what is shown of the access log of one app, in bytes.
const logShown = 16 << 10

// lengths are the sizes of the apps' logs.
func lengths(st *lab.Status) map[string]int64 {
	out := map[string]int64{}
	for _, sv := range st.Services {
		for _, t := range sv.Tasks {
			for _, a := range t.Apps {
				if i, err := os.Stat(a.Log); err == nil && i.Mode().IsRegular() {
					out[a.Log] = i.Size()
				}
			}
		}
	}
	return out
}

// appended are the access-log lines of requests that the apps of a service have
// written since the logs had those lengths, and how long the only one of them
// took, in modelled milliseconds.
func appended(st *lab.Status, host string, logs map[string]int64) (lines []string, ms *float64) {
	sv := serviceOf(st, host)
	if sv == nil {
		return nil, nil
	}
	for _, t := range sv.Tasks {
		for _, a := range t.Apps {
			from, known := logs[a.Log]
			if !known {
				continue // it was not there before the request, so that it cannot tell whose its lines are
			}
			lines = append(lines, requestsIn(a.Log, from)...)
		}
	}
	var took struct {
		Seconds *float64 `json:"request_time"`
	}
	if len(lines) == 1 && json.Unmarshal([]byte(lines[0]), &took) == nil && took.Seconds != nil {
		v := *took.Seconds * 1000 * max(st.Scale, 1)
		ms = &v
	}
	return lines, ms
}

func serviceOf(st *lab.Status, id string) *lab.ServiceStatus {
	for i := range st.Services {
		if sv := &st.Services[i]; string(sv.ID) == id && sv.Twin == "" {
			return sv
		}
	}
	return nil
}

// requestsIn reads the lines of requests that stand in a log behind an offset.
func requestsIn(path string, from int64) (lines []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil // the lab went away with its logs, which the stream says
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, from, logShown))
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(`"msg":"access"`)) && !bytes.Contains(line, []byte("ELB-HealthChecker/2.0")) {
			lines = append(lines, string(bytes.TrimSpace(line)))
		}
	}
	return lines
}
