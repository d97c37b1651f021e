package situation_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/test/differential"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	fabric = flag.String("fabric", "loopback", "the lab's fabric")
	agent  = flag.String("agent", lab.AgentLab, "what the agents are: lab, or envoy, which runs in real time")
)

// TestMain lets the lab start this binary as its nodes.
func TestMain(m *testing.M) {
	labtest.Node()
	flag.Parse()
	if *agent == lab.AgentEnvoy {
		flag.Set("test.parallel", "8") // they mostly wait
	}
	if code, done, err := lab.Enter(*fabric); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	} else if done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// TestSituations shows three columns that must agree: what is documented, what
// reach predicts, what the lab shows. With real Envoys on the kernel's network:
// go test ./internal/situation -run TestSituations -agent envoy -fabric netns -timeout 30m
func TestSituations(t *testing.T) {
	layer.Full(t, "starts labs")
	app, _ := labtest.Programs(t)
	envoy, scale := "", 20.0
	if *agent == lab.AgentEnvoy {
		envoy, scale = labtest.Envoy(t), 1
	}
	all := situation.All()
	seen := make([][]differential.Row, len(all))
	t.Cleanup(func() { // once those that run beside each other are over
		table := new(page)
		for i, rows := range seen {
			for _, row := range rows {
				table.add(all[i], row)
			}
		}
		t.Logf("agent %s on %s: %d rows", *agent, *fabric, table.n)
		if !t.Failed() {
			table.compare(t)
		}
	})
	for i, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			if envoy != "" { // in real time they mostly wait; a faster clock is for one at a time
				t.Parallel()
			}
			rows, err := show(s, app, envoy, scale, t.TempDir())
			if envoy != "" && (err != nil || slices.ContainsFunc(rows, func(r differential.Row) bool { return r.Differs != "" })) {
				// A busy machine can be late for a start. What is really different is so again.
				t.Logf("again: %v %v", rows, err)
				rows, err = show(s, app, envoy, scale, t.TempDir())
			}
			if err != nil {
				t.Fatal(err)
			}
			seen[i] = rows
			if len(seen[i]) == 0 {
				t.Fatal("nothing to compare: no prediction matches the call")
			}
			for _, row := range seen[i] {
				if row.Skipped != "" {
					t.Errorf("%s cannot be shown: %s", row.ID, row.Skipped)
				}
				if row.Differs != "" {
					t.Errorf("%s: %s", row.ID, row.Differs)
				}
				if want := documented(s, row); !agrees(row.Observed, want) {
					t.Errorf("observed %s; documented is %s", row.Observed, want)
				}
			}
		})
	}
}

// TestWithEnvoy is TestSituations with real Envoys as agents, on each fabric, in
// real time.
func TestWithEnvoy(t *testing.T) {
	layer.Full(t, "starts Envoys")
	if *agent == lab.AgentEnvoy {
		t.Log("the other tests are with Envoy already")
		return
	}
	labtest.Envoy(t)
	for _, fabric := range []string{"netns", "loopback"} {
		t.Run(fabric, func(t *testing.T) {
			t.Parallel()
			labtest.Again(t, "TestSituations", "-agent=envoy", "-fabric="+fabric)
		})
	}
}

// show runs the situation and returns the rows of its call and of its target.
func show(s situation.Situation, app, envoy string, scale float64, dir string) ([]differential.Row, error) {
	top, err := s.Config.Topology()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	return differential.Compare(ctx, top, differential.Options{
		App: []string{app}, Fabric: *fabric, Envoy: envoy, Node: []string{self, "node"}, Scale: scale, Seed: 1, Dir: dir,
		Reach: reach.Options{App: s.App}, Ask: question(s, top),
		Want: func(p *reach.Prediction) bool { return p.Kind == reach.KindHealth && s.Target != "" },
	})
}

// question is the situation's call in reach's words.
func question(s situation.Situation, t *topology.Topology) []differential.Question {
	c, url := s.Ask(t)
	if url == "" {
		return nil
	}
	return []differential.Question{{Caller: c, URL: url}}
}

// documented is the situation's own column for a row.
func documented(s situation.Situation, r differential.Row) string {
	switch {
	case strings.HasPrefix(r.ID, "health/"):
		return s.Target
	case s.Status != 0 && s.Body == "":
		return strconv.Itoa(s.Status)
	case s.Status != 0:
		return fmt.Sprintf("%d %q", s.Status, s.Body)
	}
	return s.Curl
}

func agrees(observed, want string) bool {
	if cut, partly := strings.CutSuffix(want, `…"`); partly {
		return strings.HasPrefix(observed, strings.TrimSpace(cut))
	}
	if strings.HasPrefix(want, "curl:") {
		_, text, _ := strings.Cut(observed, ": ")
		return slices.ContainsFunc(strings.Split(want, situation.Or), func(w string) bool { return strings.HasPrefix(text, w) })
	}
	return observed == want || strings.HasPrefix(observed, want+" ")
}
