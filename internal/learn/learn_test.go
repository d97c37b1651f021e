package learn_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/learn"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

//go:generate go test . -count=1 -update

// fabric runs the lessons elsewhere than on loopback, as root:
// go test ./internal/learn -run TestLessons -fabric netns
var fabric = flag.String("fabric", "", "the network under the lessons")

// agents runs all lessons with real Envoys, in real time:
// go test ./internal/learn -run TestLessons -agent envoy
var agents = flag.String("agent", lab.AgentLab, "what the agents are: lab or envoy")

func TestMain(m *testing.M) {
	labtest.Node()
	flag.Parse()
	os.Exit(m.Run())
}

func options(t *testing.T) learn.Options {
	t.Helper()
	app, self := labtest.Programs(t)
	o := learn.Options{App: []string{app}, Node: []string{self, "node"}, Fabric: *fabric}
	if *agents == lab.AgentEnvoy {
		o.Envoy = labtest.Envoy(t)
	}
	return o
}

// answers are the choices that each lesson's documented outcome bears out.
var answers = map[string]int{
	"three-ports": 3, "needless-hop": 2, "override": 2, "forgotten-rule": 3, "under-way": 2, "wrong-port": 3, "privileged-port": 2,
	"names-frozen": 3, "who-has-names": 2, "two-addresses": 2, "alb-egress": 2, "lying-health-check": 2, "alive-or-ready": 3, "fail-open": 2,
	"wrong-address": 2, "slow-app": 2, "redirect-or-forward": 2, "no-app-protocol": 2,
}

// settled masks what differs from run to run: how long a call took on the
// machine of the day, and the loopback addresses that stand for hosts.
func settled(b []byte) []byte {
	b = seconds.ReplaceAll(b, []byte("after … s"))
	return hosts.ReplaceAll(b, []byte(`remote_addr        "…"`))
}

var (
	seconds = regexp.MustCompile(`after \d+ s`)
	hosts   = regexp.MustCompile(`remote_addr +"(127\.[0-9.]+|10\.[0-9.]+)"`)
)

// TestLessons runs each lesson to its end: everything seen is as documented
// and as predicted, one choice holds, and the text is what is on file.
func TestLessons(t *testing.T) {
	layer.Full(t, "starts a lab")
	o := options(t)
	var reruns labtest.Reruns
	t.Cleanup(func() { reruns.Judge(t) }) // once the lessons, which run beside each other, are over
	for _, l := range learn.All() {
		t.Run(l.ID, func(t *testing.T) {
			t.Parallel()
			o := o
			var out bytes.Buffer
			o.Out = &out
			limit := time.Minute
			if o.Envoy != "" {
				limit = 10 * time.Minute
			}
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			r, err := learn.Run(ctx, l, o)
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			for _, d := range r.Differs {
				t.Error(d)
			}
			if want, ok := answers[l.ID]; !ok || r.Answer != want {
				t.Errorf("answer %d; want %d", r.Answer, want)
			}
			for line := range strings.Lines(out.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 && !strings.Contains(line, "://") {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if r.Slowed {
				reruns.Case(l.ID, "an act went another way than documented")
				t.Logf("an act was played again on a slower clock, so the text is not compared:\n%s", out.String())
				return
			}
			reruns.Case(l.ID, "")
			if o.Envoy != "" {
				return // the file tells of the faster clock
			}
			golden.Check(t, filepath.Join("testdata", l.ID+".txt"), settled(out.Bytes()))
		})
	}
}

// TestLessonsWithEnvoy: real Envoys teach the same, in real time. The lesson that
// takes three minutes is for who asks for it: see the flag agent.
func TestLessonsWithEnvoy(t *testing.T) {
	layer.Full(t, "starts Envoys")
	if *agents == lab.AgentEnvoy {
		t.Log("the other tests are with Envoy already")
		return
	}
	t.Parallel()
	labtest.Envoy(t)
	labtest.Again(t, "TestLessons", "-agent=envoy", "-test.parallel=8", "-test.skip=TestLessons/slow-app")
}

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range learn.All() {
		if seen[l.ID] {
			t.Errorf("two lessons are called %s", l.ID)
		}
		seen[l.ID] = true
		if len(l.Choices) < 2 || len(l.Story) == 0 || len(l.Why) == 0 || len(l.Remember) == 0 || l.Question == "" {
			t.Errorf("lesson %s lacks a part", l.ID)
		}
		if got, ok := learn.Find(l.ID); !ok || got.Title != l.Title {
			t.Errorf("Find(%q) = %v, %v", l.ID, got.Title, ok)
		}
		for i, c := range l.Choices {
			if c.Holds(&learn.Record{}) {
				t.Errorf("lesson %s: choice %d holds in a run that showed nothing", l.ID, i+1)
			}
		}
	}
	if len(seen) < 12 {
		t.Errorf("%d lessons; want 12 at least", len(seen))
	}
}

// TestPrediction goes through the three ways in which a learner can answer.
func TestPrediction(t *testing.T) {
	layer.Full(t, "starts a lab")
	o := options(t)
	l, _ := learn.Find("privileged-port")
	for _, c := range []struct {
		choice int
		want   string
	}{
		{2, "Your prediction was right."},
		{1, "You predicted 1."},
		{0, "No prediction."},
	} {
		var out bytes.Buffer
		o.Out, o.Ask = &out, func(int) (int, error) { return c.choice, nil }
		r, err := learn.Run(context.Background(), l, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Predicted != c.choice || !strings.Contains(out.String(), c.want) {
			t.Errorf("choice %d: predicted %d, want %q in\n%s", c.choice, r.Predicted, c.want, out.String())
		}
	}
	gone := errors.New("the learner went away")
	o.Ask = func(int) (int, error) { return 0, gone }
	if _, err := learn.Run(context.Background(), l, o); !errors.Is(err, gone) {
		t.Errorf("got %v; want %v", err, gone)
	}
	o.Ask = func(n int) (int, error) { return n + 1, nil }
	if _, err := learn.Run(context.Background(), l, o); err == nil {
		t.Error("a choice that does not exist is taken")
	}
}
