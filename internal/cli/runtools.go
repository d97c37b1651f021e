package cli

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/source/synth"
	"github.com/hoplab/hoplab/internal/topology"
)

// deployed is what the lab runs, and where it was read from.
type deployed struct {
	topology *topology.Topology
	source   string
}

// deployment reads the templates that the plan's arms need and notes their
// digest in the plan.
func (f *runFlags) deployment(ctx context.Context, s streams, p *plan.Plan) (deployed, error) {
	if slices.Contains(f.assembly, "") {
		return deployed{}, fail.Newf(fail.Usage, "leave it out for this repository's own templates", `--assembly "": expected a template or a cloud assembly`)
	}
	paths, from := made(f.assembly), "given: "+strings.Join(f.assembly, ", ")
	if len(paths) == 0 {
		a, err := ownTemplates(ctx, s.err)
		if err != nil {
			return deployed{}, err
		}
		paths, from = []string{a.Dir}, a.Source
	}
	t, err := source.Load(ctx, paths, source.Options{NoSynth: true})
	if err != nil {
		return deployed{}, err
	}
	if p.Topology, err = synth.Digest(paths); err != nil {
		return deployed{}, err
	}
	if err := experiment.Vary(t, p); err != nil {
		return deployed{}, err
	}
	return deployed{t, from}, experiment.Describe(t, p)
}

// made puts a CDK app's cdk.out in the app's place, so that what is read and
// what the plan's digest is of are the same.
func made(paths []string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, source.Made(p))
	}
	return out
}

// tools are the programs that a run starts beside hoplab itself.
type tools struct {
	k6    k6.Binary
	app   []string // command line
	envoy string   // path; empty for the lab's own agent
}

// tools finds, builds or fetches what the run starts, side by side: a first run
// waits for the network and for the compiler at once. The first failure ends the
// rest and is the error.
func (f *runFlags) tools(ctx context.Context, s streams, envoy func(context.Context, streams) (string, error)) (t tools, err error) {
	s.err = &sharedWriter{to: s.err}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() (err error) { t.envoy, err = envoy(ctx, s); return err })
	all.Go(func() (err error) { t.app, err = measuredApp(ctx, s.err); return err })
	all.Go(func() (err error) { t.k6, err = loadGenerator(ctx, f.k6, s.err); return err })
	err = all.Wait()
	return t, err
}

// sharedWriter takes lines from several goroutines, a whole one at a time.
type sharedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *sharedWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(line)
}
