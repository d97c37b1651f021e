package differential

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// Change is something that happens to a running deployment, and the
// deployment as the prediction has it afterwards.
type Change struct {
	What string
	Do   func(context.Context, *lab.Lab) error
	// After is what to predict from then on; nil when nothing differs.
	After *topology.Topology
	Reach reach.Options
}

// Replaced kills a task of a service as a crash does, and waits for the one
// that takes its place.
func Replaced(ctx context.Context, l *lab.Lab, id topology.ID) error {
	before := running(l, id)
	if len(before) == 0 || idle(l, id) {
		return nil
	}
	if err := l.Kill(lab.TaskRef{Service: id, Task: before[0]}, lab.WholeTask); err != nil {
		return err
	}
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if now := running(l, id); len(now) == len(before) && !slices.Contains(now, before[0]) {
			return nil
		}
	}
	return fmt.Errorf("no task took the place of task %s", before[0])
}

// idle reports whether the tasks of a service have no process in the lab: no
// agent, and containers without a port.
func idle(l *lab.Lab, id topology.ID) bool {
	st := l.Status()
	sv := st.Service(id, "")
	return sv != nil && len(sv.Tasks) > 0 && len(sv.Tasks[0].PIDs) == 0
}

func running(l *lab.Lab, id topology.ID) (ids []string) {
	st := l.Status()
	if sv := st.Service(id, ""); sv != nil {
		for _, t := range sv.Tasks {
			if t.State == lab.Running {
				ids = append(ids, t.ID)
			}
		}
	}
	return ids
}

// lookups asks, for every endpoint name that a service may call, what clients
// see that look names up in another way than a C library does.
func lookups(p *reach.Predictor, predictions []reach.Prediction) ([]reach.Prediction, error) {
	var out []reach.Prediction
	for i := range predictions {
		m := &predictions[i]
		if m.Kind != reach.KindMesh || m.Caller.Kind != reach.CallerService {
			continue
		}
		for _, how := range []call.Lookup{call.LookupFirst, call.LookupDNS} {
			c := m.Caller
			c.Lookup = how
			answers, err := p.Ask(c, m.URL)
			if err != nil {
				return nil, err
			}
			out = append(out, answers...)
		}
	}
	return out, nil
}

// open is how long a stream that nothing cuts is watched, modelled: longer
// than the per-request limit by default.
const open = 18 * time.Second

// stream compares when an event stream on the path of a prediction is cut:
// at the per-request limit where an agent that speaks HTTP is on it, else not.
func stream(ctx context.Context, l *lab.Lab, t *topology.Index, p *reach.Prediction, scale float64) (Row, bool) {
	if p.Kind != reach.KindMesh && p.Kind != reach.KindALB || p.Evidence == nil || !strings.HasSuffix(p.Path, "app") {
		return Row{}, false
	}
	caller, target, skip := addressee(l, p)
	u, err := url.Parse(target)
	if skip != "" || err != nil || u.Path != "" && u.Path != "/" {
		return Row{}, false
	}
	u.Path = "/events"
	var limit time.Duration
	if p.Evidence.ServerHeader == "envoy" {
		for _, e := range t.Endpoints(p.Service) {
			if s, ok := reach.RequestTimeout(e).Get(); ok && e.HTTP() {
				limit = time.Duration(s) * time.Second
			}
		}
	}
	r := Row{ID: "stream/" + p.ID, What: p.What + " for an event stream", Predicted: "open"}
	watch := open
	if limit > 0 {
		r.Predicted, watch = "cut after "+limit.String(), 2*limit+5*time.Second
	}
	o, err := watched(ctx, l, caller, u.String(), time.Duration(float64(watch)/max(scale, 1)))
	if err != nil {
		r.Observed, r.Differs = err.Error(), "the stream could not be asked for"
		return r, true
	}
	took := time.Duration(float64(o) * max(scale, 1))
	r.Observed = "cut after " + took.Round(100*time.Millisecond).String()
	if took >= watch {
		r.Observed = "open"
	}
	switch {
	case limit == 0 && took < watch:
		r.Differs = r.Observed + ", predicted open"
	case limit > 0 && (took < limit-limit/10 || took > limit+limit/2+4*time.Second):
		r.Differs = r.Observed + ", predicted " + r.Predicted
	}
	return r, true
}

// watched reads a stream until it ends, or for a time, and returns how long it went on.
func watched(ctx context.Context, l *lab.Lab, c lab.Caller, target string, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	nc, err := l.Dial(ctx, c, target)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	nc.SetDeadline(start.Add(limit))
	u, err := url.Parse(target)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.Path, u.Host); err != nil {
		return 0, err
	}
	head := new(strings.Builder)
	n, _ := io.CopyN(head, nc, 9+3) // "HTTP/1.1 200"
	if n < 12 || !strings.HasSuffix(head.String(), " 200") {
		return 0, fmt.Errorf("the answer to %s begins with %q, want %d", u.Path, head, http.StatusOK)
	}
	io.Copy(io.Discard, nc)
	return min(time.Since(start), limit), nil
}
