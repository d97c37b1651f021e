package live

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/call"
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

// patience bounds one request, real time, and bodyShown what is shown of a body.
const (
	patience  = 150 * time.Second
	bodyShown = 4 << 10
)

// send predicts a request, sends it, and compares.
func (s *Server) send(ctx context.Context, q question) (*page.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	who, ok := d.drawing.Caller(q.Caller)
	if !ok || who.Kind == reach.CallerHealth {
		return nil, fail.Newf(fail.Usage, "choose another", "this caller sends no requests of its own")
	}
	predicted, err := d.predictor.Ask(who, q.URL)
	if err != nil {
		return nil, err
	}
	a := &page.Answer{}
	defer a.Plain()
	for i := range predicted {
		a.Predicted = append(a.Predicted, d.drawing.Path(&predicted[i]))
	}
	before, err := s.lab.Status()
	if err != nil {
		return nil, err
	}
	target, err := address(before, predicted, q.URL)
	if err != nil {
		return nil, err
	}
	logs := lengths(before)
	begun := time.Now()
	tr, err := s.lab.Trace(lab.Caller{Service: who.Service}, target, patience)
	if err != nil {
		return nil, err
	}
	o := tr.Seen
	a.Seen = &page.Seen{URL: target, Sent: tr.Sent, Status: o.Status, Header: o.Header,
		Body: o.Body[:min(len(o.Body), bodyShown)], Error: o.Error, Elapsed: o.Elapsed.Seconds(), Took: time.Since(begun).Seconds()}
	if a.Seen.Hops, err = s.passed(before, logs, o.Header.Get("X-Hoplab-App") != ""); err != nil {
		return nil, err
	}
	told(a.Seen.Hops, tr.Hops, d.top)
	a.Differs = differs(predicted, o, target != q.URL)
	return a, nil
}

// differs says in what all predictions disagree with what was seen; "" when one
// agrees. A host that was asked by another name than the topology has is not compared.
func differs(predicted []reach.Prediction, o call.Observation, renamed bool) (first string) {
	for i := range predicted {
		want := predicted[i].Outcome
		if want.Match == reach.Assumed {
			want.Match, want.Body = reach.Open, ""
		}
		if renamed {
			want.Curl, want.Location = "", ""
		}
		d := want.Disagrees(o)
		if d == "" {
			return ""
		}
		first = cmp.Or(first, d)
	}
	return first
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
