package learn

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// target looks at the state of the load balancer's target.
type target struct {
	key, say string
	want     string // "unhealthy Target.Timeout"
}

func (t target) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: t.key, Say: t.say}
	if _, err := s.running(ctx); err != nil {
		return out, err
	}
	out.Target = s.look()
	if out.Target == nil {
		out.Differs = "the load balancer has no target"
		return out, nil
	}
	if out.Target.Reason != reach.ReasonTimeout { // the app writes its log a moment later
		for end := time.Now().Add(2 * time.Second); out.Target.Logged == 0 && time.Now().Before(end) && ctx.Err() == nil; out.Target = s.look() {
			time.Sleep(10 * time.Millisecond)
		}
	}
	seen := strings.TrimSpace(out.Target.State + " " + out.Target.Reason)
	if seen != t.want {
		out.Differs = fmt.Sprintf("documented is %s, seen %s", t.want, seen)
	}
	for _, p := range s.predictor.Report().Predictions {
		if p.Kind == reach.KindHealth && p.Target != nil {
			out.Target.Predicted = p.Target
			if want := strings.TrimSpace(p.Target.State + " " + p.Target.Reason); want != seen {
				out.Differs = strings.TrimPrefix(out.Differs+"; predicted is "+want+", seen "+seen, "; ")
			}
		}
	}
	return out, nil
}

// look returns the state of the first target, nil without one.
func (s *stage) look() *Target {
	st := s.lab.Status()
	var t *Target
	for _, b := range st.LoadBalancers {
		for _, g := range b.Groups {
			for _, x := range g.Targets {
				if t == nil {
					t = &Target{Address: x.Address, State: string(x.State), Reason: x.Reason, Probes: x.Probes}
				}
			}
		}
	}
	if sv := st.Service(s.app.ID, ""); sv != nil && t != nil {
		for _, k := range sv.Tasks {
			for _, a := range k.Apps {
				t.Logged += a.HealthChecks
			}
		}
	}
	return t
}

// probe looks at the line that a health check leaves in the app's log.
type probe struct {
	key, say string
	fields   []string
}

func (p probe) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: p.key, Say: p.say}
	if _, err := s.running(ctx); err != nil {
		return out, err
	}
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		for _, path := range s.logs() {
			line, err := lastProbe(path)
			if err != nil {
				return out, err
			}
			if line != nil {
				out.Log = pick(line, p.fields)
				return out, nil
			}
		}
		if time.Now().After(end) || ctx.Err() != nil {
			out.Differs = "the app's log has no line of a health check"
			return out, nil
		}
	}
}

// lastProbe returns the last line of a health check in an app's log, or nil.
func lastProbe(path string) (map[string]any, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var last []byte
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		if bytes.Contains(sc.Bytes(), []byte(`"ELB-HealthChecker/2.0"`)) {
			last = slices.Clone(sc.Bytes())
		}
	}
	if last == nil {
		return nil, nil
	}
	var v map[string]any
	if err := json.Unmarshal(last, &v); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func pick(line map[string]any, fields []string) *Log {
	var l Log
	for _, f := range fields {
		l.Fields = append(l.Fields, Field{f, fmt.Sprint(line[f])})
	}
	return &l
}

// finding runs the checks of `hoplab check` and shows what one rule says.
type finding struct {
	key, say, rule string
}

func (f finding) show(_ context.Context, s *stage) (Shown, error) {
	out := Shown{Key: f.key, Say: f.say}
	findings, err := check.Run(s.top, check.Options{Options: s.reach})
	if err != nil {
		return out, err
	}
	i := slices.IndexFunc(findings, func(x check.Finding) bool { return x.Rule == f.rule })
	if i < 0 {
		out.Differs = "check has no finding " + f.rule
		return out, nil
	}
	out.Finding = &findings[i]
	return out, nil
}

// refusal shows what AWS answers to a deployment that it refuses. It is
// quoted from the documentation: there is nothing to run.
type refusal struct {
	key, say, want string
}

func (r refusal) show(_ context.Context, s *stage) (Shown, error) {
	out := Shown{Key: r.key, Say: r.say}
	for _, p := range s.predictor.Report().Predictions {
		if p.Outcome.Class == reach.DeployFails && p.Outcome.Error != "" {
			out.Deploy = &Deploy{Error: p.Outcome.Error, Basis: p.Outcome.Basis.String()}
			break
		}
	}
	switch {
	case out.Deploy == nil:
		out.Differs = "no refusal of the deployment is predicted"
	case out.Deploy.Error != r.want:
		out.Differs = fmt.Sprintf("documented is %q, predicted %q", r.want, out.Deploy.Error)
	}
	return out, nil
}

// names looks at what the client's task can resolve.
type names struct {
	key, say string
	want     int // how many names
}

func (n names) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: n.key, Say: n.say}
	l, err := s.running(ctx)
	if err != nil {
		return out, err
	}
	st := l.Status()
	sv := st.Service(s.client.ID, "")
	if sv == nil || len(sv.Tasks) == 0 {
		return out, fmt.Errorf("no task of %s runs", s.client.ID)
	}
	t := sv.Tasks[0]
	out.Names = &Names{Service: sv.Name, Task: t.ID, Names: []string{}}
	for name, ip := range t.Names {
		out.Names.Names = append(out.Names.Names, ip+"  "+name)
	}
	slices.Sort(out.Names.Names)
	if len(t.Names) != n.want {
		out.Differs = fmt.Sprintf("documented are %d names, seen %d", n.want, len(t.Names))
	}
	return out, nil
}

// replace stops the client's task and waits for the one that ECS starts in its
// place, inside the same deployment.
type replace struct {
	key, say string
}

func (r replace) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: r.key, Say: r.say}
	l, err := s.running(ctx)
	if err != nil {
		return out, err
	}
	before := taskOf(l, s.client.ID)
	if err := l.Drain(lab.TaskRef{Service: s.client.ID}); err != nil {
		return out, err
	}
	limit, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	for taskOf(l, s.client.ID) == before || taskOf(l, s.client.ID) == "" {
		if limit.Err() != nil {
			return out, fmt.Errorf("no task took the place of task %s: %w", before, limit.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return out, nil
}

// taskOf returns the id of the first running task of a service, "" without one.
func taskOf(l *lab.Lab, id topology.ID) string {
	st := l.Status()
	if sv := st.Service(id, ""); sv != nil && len(sv.Tasks) > 0 {
		return sv.Tasks[0].ID
	}
	return ""
}

// redeploy replaces the client's tasks; from then on the client was deployed
// after everything else.
type redeploy struct {
	key, say string
}

func (r redeploy) show(ctx context.Context, s *stage) (Shown, error) {
	out := Shown{Key: r.key, Say: r.say}
	l, err := s.running(ctx)
	if err != nil {
		return out, err
	}
	limit, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	if err := l.Redeploy(limit, lab.TaskRef{Service: s.client.ID}); err != nil {
		return out, err
	}
	later := s.act.Config
	later.ClientFirst = false
	top, err := later.Topology()
	if err != nil {
		return out, err
	}
	s.predictor, err = reach.New(top, s.reach)
	return out, err
}
