package differential_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
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

var updates = flag.Int("updates", 24, "deployments that are updated twice and compared")

// errHeld is the error of an update whose deployments do not come to an end, as
// those of an app that is never healthy.
var errHeld = errors.New("a deployment does not complete")

// TestUpdates: a lab that was updated to other templates is what a lab freshly
// started from the last one would be: ports, rules, names, targets, what callers
// see. More of them: go test ./internal/test/differential -run TestUpdates -updates 300
func TestUpdates(t *testing.T) {
	layer.Full(t, "starts labs")
	t.Parallel()
	app, _ := labtest.Programs(t)
	seed := *first
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	t.Logf("%d updated deployments from seed %d on %s", *updates, seed, *fabric)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var reruns labtest.Reruns
	compared, held := 0, 0
	slots := make(chan struct{}, *atOnce)
	for i := range *updates {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s := seed + uint64(i)
			rows, err := updated(t, app, s, *scale)
			why := ""
			if i := slices.IndexFunc(rows, func(r differential.Row) bool { return r.Differs != "" }); err == nil && i >= 0 {
				why = rows[i].ID + ": " + rows[i].Differs
				rows, err = updated(t, app, s, max(*scale/8, 1))
			}
			mu.Lock()
			defer mu.Unlock()
			reruns.Case(fmt.Sprintf("seed %d", s), why)
			switch {
			case errors.Is(err, errHeld):
				held++
				t.Logf("seed %d: %v", s, err)
				return
			case err != nil:
				t.Errorf("seed %d: %v", s, err)
			}
			for _, r := range rows {
				if r.Differs != "" {
					t.Errorf("seed %d\n  %s: %s\n  predicted %s\n  observed  %s\n  differs:  %s", s, r.ID, r.What, r.Predicted, r.Observed, r.Differs)
				} else if r.Skipped == "" {
					compared++
				}
			}
		})
	}
	wg.Wait()
	reruns.Judge(t)
	t.Logf("%d predictions agree with the updated labs; %d updates do not complete", compared, held)
	if held > *updates/10 || compared < *updates {
		t.Errorf("%d of %d updates do not complete, %d predictions compared: too little to say anything", held, *updates, compared)
	}
}

// updated starts a lab from one generated template, updates it to two others
// and compares it with what is predicted of the last.
func updated(t *testing.T, app string, seed uint64, scale float64) ([]differential.Row, error) {
	var configs []scenario.Config
	var tops []*topology.Topology
	for n := range uint64(3) {
		c, top, err := sound(rand.New(rand.NewPCG(seed, 10+n)), fmt.Sprintf("update-%d", seed), n == 2)
		if err != nil {
			return nil, err
		}
		configs, tops = append(configs, c), append(tops, top)
	}
	limit := 2 * time.Minute
	if scale < 10 {
		limit = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	settled := func(ctx context.Context, l *lab.Lab) error {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(float64(5*time.Minute)/scale))
		defer cancel()
		if err := l.WaitDeployed(ctx); err != nil {
			return fmt.Errorf("%w: %w", errHeld, err)
		}
		return nil
	}
	do := func(ctx context.Context, l *lab.Lab) error {
		for _, top := range tops[1:] {
			if _, err := l.Apply(ctx, top); err != nil {
				return err
			}
			if err := settled(ctx, l); err != nil {
				return err
			}
		}
		for _, s := range tops[2].Services { // whose names are those of its deployment
			if len(s.LoadBalancers) == 0 && s.Task != nil {
				if err := l.Redeploy(ctx, lab.TaskRef{Service: s.ID}); err != nil {
					return err
				}
			}
		}
		return settled(ctx, l)
	}
	return differential.Compare(ctx, tops[0], differential.Options{
		App: []string{app}, Node: []string{self, "node"}, Fabric: *fabric, Scale: scale, Seed: seed,
		Dir: t.TempDir(), Reach: reach.Options{App: appOf(configs[0])}, Lookups: true, Streams: true,
		Changes: []differential.Change{{What: "two updates", Do: do, After: tops[2], Reach: reach.Options{App: appOf(configs[2])}}},
	})
}

// sound draws a template until it has one whose targets are predicted healthy,
// or have nothing that checks them: deployments of others do not complete. again
// is for the last one, after which the client is deployed again.
func sound(rng *rand.Rand, name string, again bool) (scenario.Config, *topology.Topology, error) {
	for {
		c := scenario.Random(rng)
		c.Name, c.ClientFirst = name, c.ClientFirst && !again
		top, err := c.Topology()
		if err != nil {
			return c, nil, err
		}
		p, err := reach.New(top, reach.Options{App: appOf(c)})
		if err != nil {
			return c, nil, err
		}
		bad := func(x reach.Prediction) bool {
			return x.Target != nil && (x.Target.State == reach.StateUnhealthy || x.Target.State == reach.StateUnknown)
		}
		if !slices.ContainsFunc(p.Report().Predictions, bad) {
			return c, top, nil
		}
	}
}
