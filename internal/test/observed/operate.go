package observed

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// operate does what the words say, and follows in the topology what the
// prediction has to know of it.
func (s *stage) operate(ctx context.Context, words string) error {
	f := strings.Fields(words)
	if len(f) < 2 {
		return fmt.Errorf("%q does not say what to do with which service", words)
	}
	name := f[1]
	if f[0] == "roll" { // roll back
		name = f[2]
	}
	v, err := s.service(name)
	if err != nil {
		return err
	}
	ref := lab.TaskRef{Service: v.ID}
	switch f[0] {
	case "kill", "kill-app":
		part := lab.WholeTask
		if f[0] == "kill-app" {
			part = lab.AppPart
		}
		if err := s.lab.Kill(ref, part); err != nil {
			return err
		}
		return s.replaced(ctx, v)
	case "stop":
		return s.lab.Drain(ref)
	case "replace": // stop, and wait for the one that takes its place
		if err := s.lab.Drain(ref); err != nil {
			return err
		}
		return s.replaced(ctx, v)
	case "scale":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		v.DesiredCount = topology.Known(n)
		return s.lab.Scale(ref, n)
	case "roll":
		limit, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		if err := s.lab.Redeploy(limit, ref, f[3:]...); fail.CodeOf(err) != fail.Finding {
			return fmt.Errorf("the deployment was not rolled back: %v", err)
		}
		return nil
	case "redeploy":
		limit, cancel := context.WithTimeout(ctx, s.settleWithin)
		defer cancel()
		if err := s.lab.Redeploy(limit, ref); err != nil {
			return err
		}
		for _, o := range s.top.Services { // it was deployed after everything else now
			o.After = slices.DeleteFunc(o.After, func(id topology.ID) bool { return id == v.ID })
			if o != v && !slices.Contains(v.After, o.ID) {
				v.After = append(v.After, o.ID)
			}
		}
		return nil
	}
	return fmt.Errorf("nothing is called %q", f[0])
}

// replaced waits until all tasks of the service run and are others than now.
func (s *stage) replaced(ctx context.Context, v *topology.Service) error {
	st := s.lab.Status()
	started := strings.Count(fmt.Sprint(st.Service(v.ID, "").Events), "has started")
	for end := time.Now().Add(s.settleWithin); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		st := s.lab.Status()
		sv := st.Service(v.ID, "")
		running := 0
		for _, t := range sv.Tasks {
			if t.State == lab.Running {
				running++
			}
		}
		if running == sv.Desired && (strings.Count(fmt.Sprint(sv.Events), "has started") > started || running > 0 && started > sv.Desired) {
			return nil
		}
	}
	return fmt.Errorf("no task took the place of the one that ended")
}
