package live_test

import (
	"context"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/page/live"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// inProcess is a lab of this process.
type inProcess struct {
	*lab.Lab
	*described
}

func (l inProcess) Kill(id topology.ID) error {
	return l.Lab.Kill(lab.TaskRef{Service: id}, lab.WholeTask)
}

func (l inProcess) Status() (*lab.Status, error) {
	st := l.Lab.Status()
	return &st, nil
}

func (l inProcess) Trace(c lab.Caller, url string, limit time.Duration) (lab.Trace, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return l.Lab.Trace(ctx, c, url)
}

// start runs a topology in a lab whose timers are 20 times as fast, and serves its page.
func start(t *testing.T, top *topology.Topology, o reach.Options) string {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Topology: top, App: lab.App{Command: []string{service}}, Dir: t.TempDir(),
		Seed: 1, Scale: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.WaitSettled(ctx); err != nil {
		t.Fatal(err)
	}
	apply := func(to *topology.Topology) error {
		_, err := l.Apply(t.Context(), to)
		return err
	}
	return serve(t, inProcess{l, &described{src: live.Source{Read: top, Options: o}, apply: apply}})
}

// TestByClicking does in a browser what people do: requests that arrive, are
// reset, and wait for the agent's timeout, with two browsers watching; the
// needless hop and its end; a rule taken away and given back; a lab that goes.
func TestByClicking(t *testing.T) {
	layer.Full(t, "needs a browser, starts labs")
	job := map[string]any{"browser": labtest.Driven(t)}
	slow, waits := known(t, "slow-app-mesh")
	job["sends"] = []any{
		map[string]any{"url": start(t, labtest.Deployment(t, "bypass"), reach.Options{}), "sends": []any{
			send{"client-service", "http://app.sample-namespace",
				[]string{"status 200", "Hello World", "app of", "As predicted"}},
			send{"client-service", "http://app.sample-namespace:8080", []string{"Recv failure: Connection reset by peer", "As predicted"}},
		}},
		map[string]any{"url": start(t, waits, reach.Options{App: slow.App}), "sends": []any{
			send{clientOf(waits), slowURL(t, &slow, waits), []string{"upstream request timeout", "fast-forwarded", "As predicted"}},
		}},
	}
	drive(t, job)
}

// TestChangedByClicking changes running labs in a browser.
func TestChangedByClicking(t *testing.T) {
	layer.Full(t, "needs a browser, starts labs")
	job := map[string]any{"browser": labtest.Driven(t)}
	hop, through := known(t, "default-alb")
	rule, byName := known(t, "override-mesh")
	job["hop"] = start(t, through, reach.Options{App: hop.App})
	job["rule"] = start(t, byName, reach.Options{App: rule.App})
	drive(t, job)
}

// TestNewsBeforeItsModel has a browser hear of another's change while the server
// still reads what was made of it.
func TestNewsBeforeItsModel(t *testing.T) {
	layer.Full(t, "needs a browser")
	l := quiet(topologytest.Healthy().Topology)
	l.set(1, nil)
	drive(t, map[string]any{"browser": labtest.Driven(t), "late": serve(t, slow{l})})
}

// slow is a lab whose changes take their time to be read.
type slow struct{ *still }

func (s slow) Source(ctx context.Context) (*live.Source, error) {
	src, err := s.still.Source(ctx)
	if err == nil && len(src.Changes) > 0 {
		time.Sleep(2500 * time.Millisecond) // the lab is looked at every second
	}
	return src, err
}

// TestLabThatGoesAway takes a lab away under an open page.
func TestLabThatGoesAway(t *testing.T) {
	layer.Full(t, "needs a browser")
	l := quiet(topologytest.Healthy().Topology)
	l.set(1, nil)
	drive(t, map[string]any{"browser": labtest.Driven(t), "gone": serve(t, l)})
}

// known is a situation with its deployment.
func known(t *testing.T, name string) (situation.Situation, *topology.Topology) {
	t.Helper()
	s, ok := situation.Find(name)
	if !ok {
		t.Fatalf("no situation %s", name)
	}
	s.Config.AccessLog = "JSON"
	top, err := s.Config.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return s, top
}

// drive runs drive.mjs and reports what it found wrong.
func drive(t *testing.T, job map[string]any) {
	t.Helper()
	if found := labtest.Drive(t, "drive.mjs", job); found != "" {
		t.Error(found)
	}
}

type send struct {
	Caller string   `json:"caller"`
	URL    string   `json:"url"`
	Want   []string `json:"want"`
}

func slowURL(t *testing.T, s *situation.Situation, top *topology.Topology) string {
	t.Helper()
	who, url := s.Ask(top)
	if who.Kind != reach.CallerService {
		t.Fatalf("the caller is %+v", who)
	}
	return url
}

// clientOf is the name of the service that publishes nothing.
func clientOf(top *topology.Topology) string {
	for _, s := range top.Services {
		if s.Connect != nil && len(s.Connect.Endpoints) == 0 {
			return topology.Label(s.Origin, s.Name)
		}
	}
	return ""
}
