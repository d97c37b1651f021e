package cli

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/topology"
)

type runFlags struct {
	planFlags
	assembly []string
	out      string
	resume   string
	k6       string
	envoy    string
	format   string
	inject   []string
	aws      awsFlags
	foreign  foreignFlags
	at       endpointFlags
}

func newRun(s streams) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Annotations: map[string]string{cleansUp: "yes"},
		Use:         "run",
		Short:       "Measure what the agent hop costs: the A/B experiment on the lab, in AWS, or at any addresses",
		Long: `Run the A/B experiment: take the templates of both arms (synthesized anew where
app.go or stacks/ changed since they were kept), start them in the lab, send
requests whose arm is drawn at random, prove the path of every one, and report
the difference with an interval. The first time builds k6 and the measured app
into the user's cache. The agents are real Envoys, fetched once if there is none
(hoplab envoy); where none can be had they are the lab's own, and the result
says so. With CI=true the run fails instead.

With --arm the arms are any two to six addresses, which hoplab did not start.
What tells their responses apart is looked up, and held for every request.
Before load goes to another machine you are asked. --dry-run sends ten requests
to each and shows what they say.

The result goes to a run directory (--out), with a page to open. The exit code
is the verdict's: 0 measured or within budget, 1 over budget, 3 cannot tell,
4 the evidence contradicts the plan, 5 the machine failed.`,
		Example: `  hoplab run
  hoplab run --profile quick
  hoplab run --arms agent,bypass,direct      # and the floor: the app alone
  hoplab run --arms agent,bypass,mesh --replicates 12
  hoplab run --agent envoy                   # Envoy, or nothing
  hoplab run --response-body 16k --access-log json
  hoplab run --budget 'p99 <= +2ms' --format markdown
  hoplab run --inject app:agent=200us        # a known answer to find
  hoplab run --arm agent=http://10.0.1.5:8080 --arm bypass=http://10.0.1.6  # any addresses: docs/endpoints.md
  hoplab run --target aws                    # on the deployed stacks; shows time and cost, and asks
  hoplab run --target aws --cluster prod --service api --service api-direct  # on services of your own
  hoplab run --resume runs/20261121-093000`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.assembly, "assembly", nil, "templates or cloud assembly to run instead of this repository's own (may repeat)")
	fl.StringVar(&f.out, "out", "", "run directory (default runs/<time>)")
	fl.StringVar(&f.resume, "resume", "", "finish the broken run in this directory")
	fl.StringVar(&f.k6, "k6", "", "use this k6 instead of building one; it must list the hoplab extension")
	registerEnvoy(cmd, &f.envoy)
	fl.StringVar(&f.format, "format", "text", "text, json, markdown or junit")
	fl.StringArrayVar(&f.inject, "inject", nil, "add a known delay: HOP[:ARM]=DURATION[@SHARE], e.g. agent=200us or app:bypass=1ms@0.02 (may repeat)")
	f.aws.register(fl)
	f.foreign.register(fl)
	f.at.register(fl)
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, s streams) error {
	if err := oneOf("format", f.format, formats...); err != nil {
		return err
	}
	inject, err := parseInjections(f.inject)
	if err != nil {
		return err
	}
	if f.resume != "" {
		return f.resumeRun(cmd, s)
	}
	if f.foreign.asked() {
		return runForeign(cmd, s, f)
	}
	if err := f.foreign.unused(cmd); err != nil {
		return err
	}
	if cmd.Flags().Changed("arm") {
		return runEndpoints(cmd, s, f)
	}
	if err := f.at.unused(cmd); err != nil {
		return err
	}
	p, err := f.plan(cmd, drawSeed)
	if err != nil {
		return err
	}
	if err := injectable(inject, &p); err != nil {
		return err
	}
	if p.Target == plan.TargetAWS {
		return runAWS(cmd, s, f, p)
	}
	if elsewhere, err := runElsewhere(p.Fabric); elsewhere {
		return err
	}
	out, name, err := f.directory()
	if err != nil {
		return err
	}
	deployed, err := f.deployment(cmd.Context(), s, &p)
	if err != nil {
		return err
	}
	var agent *run.Agent
	tools, err := f.tools(cmd.Context(), s, func(ctx context.Context, s streams) (envoy string, err error) {
		agent, envoy, err = f.findAgent(ctx, cmd, s, &p)
		return envoy, err
	})
	if err != nil {
		return err
	}
	env := quiet.Machine()
	env.Run, env.StartedUTC = name, time.Now().UTC().Format(time.RFC3339)
	env.Hoplab, env.K6, env.Source = hoplabBuild(), tools.k6.Build, deployed.source
	env.Agent = agent
	env.Command, env.Inject = repeatCommand(cmd, p.Seed), f.inject
	dir, err := run.Create(out, p, env)
	if err != nil {
		return err
	}
	unlock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	return f.carryOut(cmd.Context(), s, dir, deployed.topology, tools, inject)
}

// directory returns the directory of a new run, --out or one named by the time,
// and the run's name. It must not be there, or be empty.
func (f *runFlags) directory() (out, name string, err error) {
	name, out = time.Now().UTC().Format("20060102-150405"), f.out
	if out == "" {
		out = filepath.Join("runs", name)
	} else {
		name = filepath.Base(filepath.Clean(out))
	}
	return out, name, run.Free(out)
}

// carryOut runs the experiment and renders whatever it left.
func (f *runFlags) carryOut(ctx context.Context, s streams, dir *run.Dir, t *topology.Topology, tools tools,
	inject []experiment.Injection) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := sayLeftOut(s, t, &dir.Plan); err != nil {
		return err
	}
	show := newProgress(s.err, &dir.Plan)
	err = experiment.Run(ctx, dir, experiment.Options{
		Topology: t, App: tools.app, K6: tools.k6, Envoy: tools.envoy,
		Node: []string{self, "node"}, Spin: []string{self, "spin"},
		Inject: inject, Stop: analysis.Enough, Progress: show.event,
	})
	show.close()
	if err != nil {
		return f.broken(ctx, s, dir, err)
	}
	return f.show(s, dir)
}

// sayLeftOut says which services no replicate starts.
func sayLeftOut(s streams, t *topology.Topology, p *plan.Plan) error {
	reached, err := experiment.Reached(t, p)
	if err != nil {
		return err
	}
	var left []string
	for _, sv := range t.Services {
		if !slices.Contains(reached, sv.ID) {
			left = append(left, sv.Name.Or(string(sv.ID)))
		}
	}
	if len(left) > 0 {
		printable.Fprintf(s.err, "the lab runs %d of %d services, those that the arms can reach; left out: %s\n",
			len(reached), len(t.Services), some(left))
	}
	return nil
}

// show renders a complete run and says where its page is, whatever the verdict.
func (f *runFlags) show(s streams, dir *run.Dir) error {
	err := renderRun(s, dir, f.format, analysis.Options{})
	var verdict verdictError
	if (err == nil || errors.As(err, &verdict)) && f.format == "text" {
		printable.Fprintf(s.out, "\nThe page: %s\n", filepath.Join(dir.Path, run.HTMLFile))
	}
	return err
}

// broken says how a run ended early and renders what is complete of it.
func (f *runFlags) broken(ctx context.Context, s streams, dir *run.Dir, cause error) error {
	again := "finish it with hoplab run --resume " + dir.Path
	if ctx.Err() != nil {
		cause = errors.New("interrupted")
	}
	if hint := fail.HintOf(cause); hint != "" {
		again = hint + "; then " + again
	}
	if result, err := analysis.Analyze(dir); err == nil && result.Summary.Partial != nil && result.Summary.Partial.Replicates > 0 {
		var verdict verdictError
		if err := renderRun(s, dir, f.format, analysis.Options{}); err != nil && !errors.As(err, &verdict) {
			cause = errors.Join(cause, err)
		}
	}
	code := fail.Environment
	if c := fail.CodeOf(cause); c == fail.Usage || c == fail.Refused {
		code = c
	}
	return fail.Newf(code, again, "the run in %s is partial: %w", dir.Path, cause)
}

func hoplabBuild() string {
	v := readVersion()
	return v.Hoplab + " (commit " + v.Commit + ")"
}

func drawSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])                        // never fails, since Go 1.24
	return binary.LittleEndian.Uint64(b[:]) >> 12 // 52 bits: exact in JSON readers that use float64
}
