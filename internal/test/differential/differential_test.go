package differential_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/test/differential"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	configs = flag.Int("configs", 40, "generated deployments to compare")
	first   = flag.Uint64("seed", 0, "seed of the first deployment; 0 draws one from the clock and prints it")
	scale   = flag.Float64("scale", 25, "how many times faster than real the lab's timers run")
	fabric  = flag.String("fabric", "loopback", "the lab's fabric")
	agent   = flag.String("agent", lab.AgentLab, "what the agents are: lab, or envoy, which runs in real time whatever -scale says")
	atOnce  = flag.Int("at-once", 4, "deployments that run at the same time")
)

// TestMain lets the lab start this binary as its nodes.
func TestMain(m *testing.M) {
	labtest.Node()
	flag.Parse()
	layer.Waiting(4)
	if layer.Fast() {
		os.Exit(m.Run())
	}
	if code, done, err := lab.Enter(*fabric); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	} else if done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// appOf tells reach what the scenario's app does, from the same environment
// that the lab gives to the real one.
func appOf(c scenario.Config) func(*topology.Service) reach.App {
	return func(s *topology.Service) reach.App {
		a := reach.AppOf(s)
		if !strings.HasSuffix(string(s.ID), scenario.AppService) {
			return a
		}
		a.Status, a.Body = 404, "404 page not found\n"
		root := 200
		if v, err := strconv.Atoi(c.App["STATUS"]); err == nil {
			root = v
		}
		a.Paths = map[string]int{"/": root, "/healthz": 200, "/readyz": 200}
		first, _, _ := strings.Cut(c.App["DELAY"], ",")
		if d, err := time.ParseDuration(first); err == nil {
			a.Delay = d
		}
		return a
	}
}

// TestGeneratedDeployments holds prediction against observation over generated
// deployments. All of them: go test ./internal/test/differential -configs 2000
// and, on the kernel's network: go test ./internal/test/differential -fabric netns -configs 300
// and with real Envoys as agents: go test ./internal/test/differential -agent envoy -fabric netns -configs 300 -timeout 60m
func TestGeneratedDeployments(t *testing.T) {
	layer.Full(t, "starts labs")
	t.Parallel() // beside the deployments with Envoys, which wait in real time
	app, _ := labtest.Programs(t)
	seed := *first
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	envoy, pace := "", *scale
	if *agent == lab.AgentEnvoy {
		envoy, pace = labtest.Envoy(t), 1
	}
	t.Logf("agent %s: %d deployments from seed %d on %s, timers %g times faster", *agent, *configs, seed, *fabric, pace)
	var mu sync.Mutex
	var compared int
	var reruns labtest.Reruns
	skipped := map[string]int{} // by reason
	slots := make(chan struct{}, *atOnce)
	var wg sync.WaitGroup
	for i := range *configs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s := seed + uint64(i)
			c := scenario.Random(rand.New(rand.NewPCG(s, 0)))
			rows, err := run(t, c, app, envoy, s, pace)
			differs := ""
			if i := slices.IndexFunc(rows, func(r differential.Row) bool { return r.Differs != "" }); err == nil && i >= 0 {
				// A busy machine can make a fast clock overtake the work. What
				// is really different is so on a slow clock too.
				differs = rows[i].ID + ": " + rows[i].Differs
				rows, err = run(t, c, app, envoy, s, max(pace/8, 1))
			}
			reruns.Case(fmt.Sprintf("seed %d (%s)", s, c.Name), differs)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("seed %d (%s): %v", s, c.Name, err)
				return
			}
			for _, r := range rows {
				switch {
				case r.Skipped != "":
					skipped[r.Skipped]++
				case r.Differs != "":
					t.Errorf("seed %d (%s)\n  %s: %s\n  predicted %s\n  observed  %s\n  differs:  %s", s, c.Name, r.ID, r.What, r.Predicted, r.Observed, r.Differs)
				default:
					compared++
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d predictions agree with the lab", compared)
	reruns.Judge(t)
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		t.Logf("%d cannot be shown there: %s", skipped[why], why)
	}
	if compared < *configs {
		t.Errorf("only %d predictions compared over %d deployments", compared, *configs)
	}
}

// TestWithEnvoy is TestGeneratedDeployments with real Envoys as agents, a few on
// each fabric. They run in real time and mostly wait.
func TestWithEnvoy(t *testing.T) {
	layer.Full(t, "starts Envoys")
	t.Parallel()
	if *agent == lab.AgentEnvoy {
		t.Log("the other tests are with Envoy already")
		return
	}
	labtest.Envoy(t)
	for _, c := range []struct {
		fabric string
		n      int
	}{{"netns", 6}, {"loopback", 4}} {
		t.Run(c.fabric, func(t *testing.T) {
			t.Parallel()
			n := strconv.Itoa(c.n)
			labtest.Again(t, "TestGeneratedDeployments", "-agent=envoy", "-fabric="+c.fabric, "-configs="+n, "-at-once="+n, fmt.Sprintf("-seed=%d", *first))
		})
	}
}

func run(t *testing.T, c scenario.Config, app, envoy string, seed uint64, scale float64) ([]differential.Row, error) {
	c.Name = fmt.Sprintf("seed-%d", seed)
	top, err := c.Topology()
	if err != nil {
		return nil, err
	}
	limit := 2 * time.Minute
	if scale <= 1 {
		limit = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return differential.Compare(ctx, top, differential.Options{
		App: []string{app}, Node: []string{self, "node"}, Fabric: *fabric, Envoy: envoy, Scale: scale, Seed: seed,
		Dir: filepath.Join(t.TempDir(), "lab"), Reach: reach.Options{App: appOf(c)}, Lookups: true, Streams: true,
		Changes: changes(t, c, top, seed),
	})
}

// changes draws one thing that happens to the deployment while it runs.
func changes(t *testing.T, c scenario.Config, top *topology.Topology, seed uint64) []differential.Change {
	t.Helper()
	var app, client topology.ID
	for _, s := range top.Services {
		if strings.HasSuffix(string(s.ID), scenario.AppService) {
			app = s.ID
		} else if strings.HasSuffix(string(s.ID), scenario.ClientService) {
			client = s.ID
		}
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	// kept is a change after which the same is predicted.
	kept := func(what string, do func(context.Context, *lab.Lab) error) []differential.Change {
		return []differential.Change{{What: what, Do: do}}
	}
	other := func(what string, change func(*scenario.Config), do func(context.Context, *lab.Lab) error) []differential.Change {
		later := c
		change(&later)
		after, err := later.Topology()
		if err != nil {
			t.Fatal(err)
		}
		// A service's resources have the template's name in their ids.
		if len(after.Services) > 0 && after.Services[0].ID != top.Services[0].ID {
			t.Fatalf("service %s is called %s after a change", top.Services[0].ID, after.Services[0].ID)
		}
		return []differential.Change{{What: what, Do: do, After: after, Reach: reach.Options{App: appOf(later)}}}
	}
	scale := func(id topology.ID, n int) func(context.Context, *lab.Lab) error {
		return func(_ context.Context, l *lab.Lab) error { return l.Scale(lab.TaskRef{Service: id}, n) }
	}
	switch rng.IntN(6) {
	case 0:
		return kept("a task of the app crashed", func(ctx context.Context, l *lab.Lab) error { return differential.Replaced(ctx, l, app) })
	case 1:
		return kept("the client's task crashed", func(ctx context.Context, l *lab.Lab) error { return differential.Replaced(ctx, l, client) })
	case 2:
		return kept("the client scaled out", scale(client, 2))
	case 3:
		return other("the app scaled in to 0", func(c *scenario.Config) { c.Tasks = 0 }, scale(app, 0))
	case 4:
		return other("the app scaled out", func(c *scenario.Config) { c.Tasks++ }, scale(app, c.Tasks+1))
	}
	return other("the client was deployed again", func(c *scenario.Config) { c.ClientFirst = false }, func(ctx context.Context, l *lab.Lab) error {
		limit, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		return l.Redeploy(limit, lab.TaskRef{Service: client})
	})
}
