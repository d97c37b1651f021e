package observed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/test/observed"
)

// spoil changes what each step expects into what is not so, and lists the steps
// that must then differ, from 1.
func spoil(t *testing.T, o observed.Observation) (observed.Observation, []int) {
	t.Helper()
	text, err := json.Marshal(o.Steps)
	if err != nil {
		t.Fatal(err)
	}
	var steps []observed.Step
	dec := json.NewDecoder(strings.NewReader(string(text)))
	if err := dec.Decode(&steps); err != nil {
		t.Fatal(err)
	}
	var must []int
	for i := range steps {
		if spoilStep(&steps[i]) {
			must = append(must, i+1)
		}
	}
	o.Steps = steps
	return o, must
}

const no = "it is not so"

// spoilStep reports whether the step expects anything that a lab on loopback can show.
func spoilStep(s *observed.Step) bool {
	switch {
	case s.Call != nil:
		return spoilWant(&s.Call.Want)
	case s.Raw != nil:
		s.Raw.Want = append(s.Raw.Want, no)
	case s.Loop != nil:
		s.Loop.Statuses = append(s.Loop.Statuses, 599)
	case s.Hosts != nil:
		s.Hosts.Has = append(s.Hosts.Has, no)
	case s.TLS != nil:
		s.TLS.Names = append(s.TLS.Names, no)
	case s.Target != nil:
		s.Target.State = no
	case s.Events != nil && len(s.Events.Want) > 0:
		s.Events.Want = append(s.Events.Want, no)
	case s.Events != nil:
		for k := range s.Events.Count {
			s.Events.Count[k]++
		}
	case s.Log != nil:
		s.Log.Keys = append(s.Log.Keys, no)
	case s.Finding != nil:
		s.Finding.Absent = !s.Finding.Absent
	case s.Deploy != "":
		s.Deploy = no
	case s.Workers != nil:
		s.Workers.Want++
	case s.Entries != nil:
		s.Entries.Want[0].Name = no
	default: // something to do, or a program, which loopback cannot run
		return false
	}
	return true
}

// spoilWant changes one expectation of a call: the weightiest that there is.
func spoilWant(w *observed.Want) bool {
	switch {
	case w.Tasks > 0:
		w.Tasks++
	case len(w.Header) > 0:
		for k, v := range w.Header {
			w.Header[k] = no
			if v != "" {
				w.Header[k] = ""
			}
		}
	case w.Bytes > 0:
		w.Bytes++
	case w.Within[1] > 0:
		w.Within = [2]observed.Duration{w.Within[1] + observed.Duration(time.Hour), w.Within[1] + 2*observed.Duration(time.Hour)}
	case w.Body != "":
		w.Body = no
	case w.Status > 0:
		w.Status++
	case w.Curl != "":
		w.Curl = no
	default:
		return false
	}
	return true
}

// TestSpoiled: a step whose expectation is not so says so. An observation that
// cannot fail shows nothing.
func TestSpoiled(t *testing.T) {
	layer.Full(t, "starts labs")
	app, self := labtest.Programs(t)
	for _, o := range load(t) {
		if o.Status == observed.NotModelled || o.Fabric != "" && o.Fabric != "loopback" {
			continue
		}
		t.Run(fmt.Sprintf("%02d", o.Number), func(t *testing.T) {
			t.Parallel() // they mostly wait for what does not come
			bad, must := spoil(t, o)
			if len(must) == 0 {
				t.Fatal("no step expects anything")
			}
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			differs, err := observed.Show(ctx, &bad, observed.Options{
				App: []string{app}, Node: []string{self, "node"}, Fabric: "loopback", Dir: t.TempDir(), Settle: 4 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			said := map[int]bool{}
			for _, d := range differs {
				var step int
				if _, err := fmt.Sscanf(d, "step %d:", &step); err == nil {
					said[step] = true
				}
			}
			if got := slices.Sorted(maps.Keys(said)); !slices.Equal(got, must) {
				t.Errorf("with every expectation spoiled the steps %v differ, want %v:\n%s", got, must, strings.Join(differs, "\n"))
			}
		})
	}
}
