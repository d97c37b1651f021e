package observed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/reach"
)

func (s *stage) hosts(h *Hosts) (differs []string, err error) {
	v, err := s.service(h.Of)
	if err != nil {
		return nil, err
	}
	text, err := s.lab.Hosts(lab.Caller{Service: v.ID})
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, w := range h.Want {
		if i >= len(lines) || !regexp.MustCompile("^(?:"+w+")$").MatchString(lines[i]) {
			differs = append(differs, fmt.Sprintf("line %d of the hosts file does not match %q:\n%s", i+1, w, text))
		}
	}
	if len(h.Want) > 0 && len(lines) != len(h.Want) {
		differs = append(differs, fmt.Sprintf("the hosts file has %d lines, want %d:\n%s", len(lines), len(h.Want), text))
	}
	for _, w := range h.Has {
		if !slices.Contains(lines, w) {
			differs = append(differs, fmt.Sprintf("the hosts file has no line %q:\n%s", w, text))
		}
	}
	for _, w := range h.Not {
		if strings.Contains(text, w) {
			differs = append(differs, fmt.Sprintf("the hosts file has %q:\n%s", w, text))
		}
	}
	return differs, nil
}

func (s *stage) exec(ctx context.Context, e *Exec) (differs []string, err error) {
	v, err := s.service(e.In)
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(s.opts.Dir, "exec-*")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	in, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	limit, cancel := context.WithTimeout(ctx, s.settleWithin)
	defer cancel()
	code, err := s.lab.Exec(limit, lab.Caller{Service: v.ID}, e.Run, []string{"PATH=" + os.Getenv("PATH")}, "/", []*os.File{in, out, out})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return nil, err
	}
	if code != e.Exit {
		differs = append(differs, fmt.Sprintf("%v ended with %d, want %d:\n%s", e.Run, code, e.Exit, text))
	}
	for _, w := range e.Want {
		if !regexp.MustCompile("(?m)" + w).Match(text) {
			differs = append(differs, fmt.Sprintf("the output of %v does not match %q:\n%s", e.Run, w, text))
		}
	}
	return differs, nil
}

func (s *stage) target(ctx context.Context, w *Target) ([]string, error) {
	var seen alb.TargetStatus
	for end := time.Now().Add(s.settleWithin); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		st := s.lab.Status()
		for _, b := range st.LoadBalancers {
			for _, g := range b.Groups {
				if len(g.Targets) > 0 {
					seen = g.Targets[0]
				}
			}
		}
		if string(seen.State) == w.State && seen.Reason == w.Reason {
			break
		}
	}
	var differs []string
	if string(seen.State) != w.State || seen.Reason != w.Reason || w.Description != "" && seen.Description != w.Description {
		differs = append(differs, fmt.Sprintf("target %s %s (%s), want %s %s (%s)", seen.State, seen.Reason, seen.Description, w.State, w.Reason, w.Description))
	}
	if w.Unpredicted {
		return differs, nil
	}
	r, err := reach.Predict(s.top, s.reachOptions())
	if err != nil {
		return nil, err
	}
	for _, p := range r.Predictions {
		if p.Kind == reach.KindHealth && p.Target != nil && (p.Target.State != w.State || p.Target.Reason != w.Reason) {
			differs = append(differs, fmt.Sprintf("predicted is target %s %s, want %s %s", p.Target.State, p.Target.Reason, w.State, w.Reason))
		}
	}
	return differs, nil
}

func (s *stage) events(ctx context.Context, e *Events) ([]string, error) {
	v, err := s.service(e.Of)
	if err != nil {
		return nil, err
	}
	var missing string
	var all []string
	for end := time.Now().Add(s.settleWithin); ; time.Sleep(10 * time.Millisecond) {
		all, missing = nil, ""
		st := s.lab.Status()
		for _, x := range st.Service(v.ID, "").Events {
			all = append(all, x.Text)
		}
		at := 0
		for _, w := range e.Want {
			i := slices.IndexFunc(all[at:], func(line string) bool { return regexp.MustCompile("^(?:" + w + ")$").MatchString(line) })
			if i < 0 {
				missing = w
				break
			}
			at += i + 1
		}
		if missing == "" || time.Now().After(end) || ctx.Err() != nil {
			break
		}
	}
	text := strings.Join(all, "\n")
	var differs []string
	if missing != "" {
		differs = append(differs, fmt.Sprintf("no event in its turn matches %q:\n%s", missing, text))
	}
	for _, w := range e.Not {
		if regexp.MustCompile(w).MatchString(text) {
			differs = append(differs, fmt.Sprintf("an event matches %q:\n%s", w, text))
		}
	}
	for w, n := range e.Count {
		if got := len(regexp.MustCompile("(?m)"+w).FindAllString(text, -1)); got != n {
			differs = append(differs, fmt.Sprintf("%d events match %q, want %d:\n%s", got, w, n, text))
		}
	}
	return differs, nil
}

// log waits for the first line of the access log of an agent.
func (s *stage) log(k *Log) (differs []string, err error) {
	v, err := s.service(k.Of)
	if err != nil {
		return nil, err
	}
	var line map[string]any
	for end := time.Now().Add(s.settleWithin); line == nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(s.opts.Dir, "*"+v.Name.Or(k.Of)+"*", "*", "agent.log"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			for l := range strings.Lines(string(text)) {
				var m map[string]any
				if json.Unmarshal([]byte(l), &m) == nil && m["user_agent"] != "ELB-HealthChecker/2.0" && line == nil {
					line = m
				}
			}
		}
	}
	if line == nil {
		return []string{"the agent's access log has no line"}, nil
	}
	for _, key := range k.Keys {
		if _, ok := line[key]; !ok {
			differs = append(differs, fmt.Sprintf("the access log has no key %s: %v", key, line))
		}
	}
	for key, want := range k.Want {
		if got := line[key]; got != want {
			differs = append(differs, fmt.Sprintf("%s is %v in the access log, want %v", key, got, want))
		}
	}
	return differs, nil
}

func (s *stage) finding(f *Finding) ([]string, error) {
	o := check.Options{Options: s.reachOptions()}
	if len(f.Before) > 0 {
		before := s.config
		err := strict(f.Before, &before)
		if err != nil {
			return nil, err
		}
		if o.Before, err = before.Topology(); err != nil {
			return nil, err
		}
	}
	found, err := check.Run(s.top, o)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, x := range found {
		if x.Rule == f.Rule {
			texts = append(texts, x.Message)
		}
	}
	has := slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, f.Text) })
	if has == f.Absent {
		return []string{fmt.Sprintf("rule %s says %q, want %q (absent: %v)", f.Rule, texts, f.Text, f.Absent)}, nil
	}
	return nil, nil
}

func (s *stage) deploy(want string) ([]string, error) {
	r, err := reach.Predict(s.top, s.reachOptions())
	if err != nil {
		return nil, err
	}
	for _, p := range r.Predictions {
		if p.Outcome.Class == reach.DeployFails && strings.Contains(p.Outcome.Error, want) {
			return nil, nil
		}
	}
	return []string{fmt.Sprintf("no refusal %q of the deployment is predicted", want)}, nil
}
