package live

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/reach"
)

// question is a request to predict and to send: the key of a caller of the model, and a URL.
type question struct {
	Caller string `json:"caller"`
	URL    string `json:"url"`
}

// answer is what was predicted of a request and what was seen of it.
type answer struct {
	Error     string      `json:"error,omitempty"`
	Hint      string      `json:"hint,omitempty"`
	Predicted []page.Path `json:"predicted,omitempty"`
	Seen      *seen       `json:"seen,omitempty"`
	// Differs says in what all predictions disagree with what was seen; "" when one agrees.
	Differs string `json:"differs,omitempty"`
}

// seen is what the caller saw, and which hops counted the request.
type seen struct {
	URL     string      `json:"url"` // as it was sent
	Status  int         `json:"status,omitempty"`
	Header  http.Header `json:"header,omitempty"`
	Body    string      `json:"body,omitempty"`
	Error   string      `json:"error,omitempty"`
	Elapsed float64     `json:"elapsed_s"` // modelled seconds
	Took    float64     `json:"took_s"`    // seconds on this machine
	Counted []counted   `json:"counted"`
}

// counted is a hop that counted something while the request was under way.
type counted struct {
	Host string `json:"host"`
	Part string `json:"part"`
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// patience bounds one request, real time, and bodyShown what is shown of a body.
const (
	patience  = 150 * time.Second
	bodyShown = 4 << 10
)

// ask predicts the request, sends it, and compares; Server.mu is held.
func (s *Server) ask(q question) (answer, error) {
	who, ok := s.drawing.Caller(q.Caller)
	if !ok || who.Kind == reach.CallerHealth {
		return answer{}, fail.Newf(fail.Usage, "choose another", "this caller sends no requests of its own")
	}
	predicted, err := s.predictor.Ask(who, q.URL)
	if err != nil {
		return answer{}, err
	}
	var a answer
	for i := range predicted {
		a.Predicted = append(a.Predicted, s.drawing.Path(&predicted[i]))
	}
	before, err := s.lab.Status()
	if err != nil {
		return a, err
	}
	target, err := address(before, predicted, q.URL)
	if err != nil {
		return a, err
	}
	begun := time.Now()
	o, err := s.lab.Curl(lab.Caller{Service: who.Service}, target, patience)
	if err != nil {
		return a, err
	}
	a.Seen = &seen{URL: target, Status: o.Status, Header: o.Header, Body: o.Body[:min(len(o.Body), bodyShown)], Error: o.Error,
		Elapsed: o.Elapsed.Seconds(), Took: time.Since(begun).Seconds()}
	if a.Seen.Counted, err = s.counted(before, o.Header.Get("X-Hoplab-App") != ""); err != nil {
		return a, err
	}
	for i := range predicted {
		want := predicted[i].Outcome
		if want.Match == reach.Assumed {
			want.Match, want.Body = reach.Open, ""
		}
		if target != q.URL {
			want.Curl, want.Location = "", "" // the topology names the host in another way
		}
		d := want.Disagrees(o)
		if d == "" {
			a.Differs = ""
			break
		}
		a.Differs = cmp.Or(a.Differs, d)
	}
	return a, nil
}

// address is what the lab resolves: a load balancer's DNS name instead of its
// label, a task's address instead of its service's.
func address(st *lab.Status, predicted []reach.Prediction, raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fail.Newf(fail.Usage, "write http://HOST:PORT/PATH", "%q is no URL: %w", raw, err)
	}
	host := u.Hostname()
	swap := func(to string) string {
		u.Host = strings.TrimSuffix(to+":"+u.Port(), ":")
		return u.String()
	}
	for _, b := range st.LoadBalancers {
		if len(predicted) > 0 && predicted[0].LoadBalancer == b.ID && host != b.DNSName {
			return swap(b.DNSName), nil
		}
	}
	if len(predicted) > 0 && predicted[0].Kind == reach.KindDirect {
		if sv := st.Service(predicted[0].Service, ""); sv != nil && len(sv.Tasks) > 0 {
			return swap(sv.Tasks[0].IP), nil
		}
	}
	return raw, nil
}

// counted reads the counters again and returns what grew. The app's log follows
// its answer a moment later, so it is waited for when the app has answered.
func (s *Server) counted(before *lab.Status, answered bool) ([]counted, error) {
	was := counters(before)
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		st, err := s.lab.Status()
		if err != nil {
			return nil, err
		}
		out, app := []counted{}, false
		for _, c := range counters(st) {
			for _, w := range was {
				if w.Host == c.Host && w.Part == c.Part && c.N > w.N {
					out = append(out, counted{c.Host, c.Part, c.Name, c.N - w.N})
					app = app || c.Part == "app"
				}
			}
		}
		if !answered || app || time.Now().After(end) {
			return out, nil
		}
	}
}

// counters are the requests that each part of each host has counted, without
// health checks, in the order in which a request passes them.
func counters(st *lab.Status) []counted {
	var callers, balancers, agents, apps []counted
	for _, sv := range st.Services {
		if sv.Twin != "" {
			continue
		}
		var out, in, app int64
		for _, t := range sv.Tasks {
			if t.Agent != nil {
				for _, e := range t.Agent.Egress {
					out += max(e.Requests, e.NewConnections)
				}
				for _, e := range t.Agent.Ingress {
					in += e.Requests - e.HealthChecks
				}
			}
			for _, a := range t.Apps {
				app += a.Requests - a.HealthChecks
			}
		}
		id := string(sv.ID)
		callers = append(callers, counted{id, "client agent", sv.Name, out})
		agents = append(agents, counted{id, "agent", sv.Name, in})
		apps = append(apps, counted{id, "app", sv.Name, app})
	}
	for _, b := range st.LoadBalancers {
		c := counted{Host: string(b.ID), Part: "alb", Name: b.Name}
		for _, l := range b.Listeners {
			c.N += l.Connections
		}
		balancers = append(balancers, c)
	}
	return append(append(append(callers, balancers...), agents...), apps...)
}
