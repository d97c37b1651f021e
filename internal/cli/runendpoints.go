package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/endpoint"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/run"
)

// endpointFlags are the flags of run that only --arm knows.
type endpointFlags struct {
	asked   endpoint.Asked
	body    string
	ca      string
	restart string
	alike   bool
	dryRun  bool
}

// withArm are the flags that say nothing without --arm.
var withArm = []string{"connect", "sni", "proof", "method", "header", "body", "http2", "ca", "restart", "alike", "dry-run"}

// notWithArm are the flags that say nothing to addresses that hoplab did not start.
var notWithArm = []string{"arms", "target", "assembly", "inject", "fabric", "agent", "envoy", "envoy-workers", "response-body",
	"app-protocol", "access-log", "restart-app", "account"}

func (f *endpointFlags) register(fl *pflag.FlagSet) {
	a := &f.asked
	fl.StringArrayVar(&a.Arms, "arm", nil, "NAME=URL: measure this address instead of the lab (two to six)")
	fl.StringArrayVar(&a.Connect, "connect", nil, "with --arm: NAME=ADDRESS:PORT to dial instead of the URL's host")
	fl.StringArrayVar(&a.ServerName, "sni", nil, "with --arm: NAME=SERVER, the name in the TLS handshake, or SERVER for every arm with TLS")
	fl.StringArrayVar(&a.Proof, "proof", nil,
		"with --arm: 'NAME: header server = envoy', 'NAME: header via' or 'NAME: no header via', of every response (may repeat)")
	fl.StringVar(&a.Method, "method", "", "with --arm: method of every request (default GET, or POST with a body)")
	fl.StringArrayVar(&a.Headers, "header", nil, "with --arm: 'Name: value' of every request; ${NAME} in it is an environment variable (may repeat)")
	fl.StringVar(&f.body, "body", "", "with --arm: body of every request, or @FILE")
	fl.BoolVar(&a.HTTP2, "http2", false, "with --arm: speak HTTP/2")
	fl.StringVar(&f.ca, "ca", "", "with --arm: FILE of the certificates (PEM) that may sign the arms', instead of the machine's")
	fl.StringVar(&f.restart, "restart", "", "with --arm: shell command that starts the arms' processes anew, before each replicate")
	fl.BoolVar(&f.alike, "alike", false, "with --arm: go on although nothing in the responses tells the arms apart")
	fl.BoolVar(&f.dryRun, "dry-run", false, "with --arm: send ten requests to each arm, show what they say, and measure nothing")
}

// unused refuses flags that need --arm.
func (f *endpointFlags) unused(cmd *cobra.Command) error {
	for _, name := range withArm {
		if cmd.Flags().Changed(name) {
			return fail.Newf(fail.Usage, "leave it out, or name the addresses with --arm", "--%s says nothing without --arm", name)
		}
	}
	return nil
}

// read reads what was asked for, files included.
func (f *endpointFlags) read() (endpoint.Asked, error) {
	a := f.asked
	a.Body = f.body
	if name, ok := strings.CutPrefix(f.body, "@"); ok {
		data, err := bounded.Read(name, plan.MaxSentBody)
		if err != nil {
			return a, fail.Newf(fail.Usage, "check the path after --body @", "cannot read the body: %w", err)
		}
		a.Body = string(data)
	}
	if f.ca != "" {
		data, err := bounded.Read(f.ca, plan.MaxSentBody)
		if err != nil {
			return a, fail.Newf(fail.Usage, "check the path after --ca", "cannot read the certificates: %w", err)
		}
		a.CA = string(data)
	}
	return a, nil
}

// endpointPlan is the plan that the flags ask for, without what Discover adds.
func (f *runFlags) endpointPlan(cmd *cobra.Command) (plan.Plan, error) {
	for _, name := range notWithArm {
		if cmd.Flags().Changed(name) && !(f.foreign.asked() && (name == "target" || name == "account")) {
			return plan.Plan{}, fail.Newf(fail.Usage, "leave it out, or leave --arm out", "--%s says nothing to the addresses of --arm", name)
		}
	}
	asked, err := f.at.read()
	if err != nil {
		return plan.Plan{}, err
	}
	arms, request, err := asked.Read()
	if err != nil {
		return plan.Plan{}, err
	}
	f.target, f.endpoints = plan.TargetEndpoints, arms
	p, err := f.plan(cmd, drawSeed)
	if err != nil {
		return p, err
	}
	p.Request, p.Restart, p.Alike = request, f.at.restart, f.at.alike
	if err := p.Validate(); err != nil {
		return p, err
	}
	load := endpoint.Load(&p, "", 1)
	if err := load.Validate(); err != nil {
		return p, fail.Newf(fail.Usage, "see hoplab run --help", "%w", err)
	}
	return p, nil
}

// runEndpoints carries out a plan at addresses that hoplab did not start.
func runEndpoints(cmd *cobra.Command, s streams, f *runFlags) error {
	ctx := cmd.Context()
	p, err := f.endpointPlan(cmd)
	if err != nil {
		return err
	}
	out, name, err := f.directory()
	if err != nil {
		return err
	}
	addresses, err := endpoint.Addresses(ctx, &p)
	if err != nil {
		return err
	}
	sights, err := endpoint.Look(ctx, &p, endpoint.Looks)
	if err != nil {
		return err
	}
	discovered := endpoint.Discover(&p, sights)
	if f.at.dryRun {
		showSights(s, &p, sights)
		if discovered == nil {
			showDiscovered(s, &p)
		}
		return discovered
	}
	if discovered != nil {
		return discovered
	}
	if err := p.Validate(); err != nil {
		return err
	}
	if err := f.consent(s, &p, addresses, p.Replicates); err != nil {
		return err
	}
	generator, err := loadGenerator(ctx, f.k6, s.err)
	if err != nil {
		return err
	}
	env := quiet.Machine()
	env.Run, env.StartedUTC = name, time.Now().UTC().Format(time.RFC3339)
	env.Hoplab, env.K6, env.Source = hoplabBuild(), generator.Build, "addresses given with --arm: "+places(&p)
	env.Command = repeatCommand(cmd, p.Seed)
	dir, err := run.Create(out, p, env)
	if err != nil {
		return err
	}
	return f.carryOutEndpoints(ctx, s, dir, generator)
}

// resumeEndpoints finishes a broken run: the replicates that are not complete,
// as long as the arms still go the way that they went.
func resumeEndpoints(ctx context.Context, s streams, f *runFlags, dir *run.Dir) error {
	if dir.Left() == 0 {
		printable.Fprintf(s.err, "%s is complete; this renders it again\n", dir.Path)
		return f.show(s, dir)
	}
	if dir.Plan.Fabric != "" {
		return resumeLoan(ctx, s, f, dir)
	}
	addresses, err := endpoint.Addresses(ctx, &dir.Plan)
	if err != nil {
		return err
	}
	if err := f.consent(s, &dir.Plan, addresses, dir.Left()); err != nil {
		return err
	}
	generator, err := loadGenerator(ctx, f.k6, s.err)
	if err != nil {
		return err
	}
	if err := sameGenerator(dir, generator); err != nil {
		return err
	}
	return f.carryOutEndpoints(ctx, s, dir, generator)
}

func (f *runFlags) carryOutEndpoints(ctx context.Context, s streams, dir *run.Dir, generator k6.Binary) error {
	unlock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	show := newProgress(s.err, &dir.Plan)
	err = endpoint.Run(ctx, dir, endpoint.Options{K6: generator, Spin: []string{self, "spin"}, Stop: analysis.Enough, Progress: show.event})
	show.close()
	if err != nil {
		return f.broken(ctx, s, dir, err)
	}
	return f.show(s, dir)
}

// consent asks before load goes to an address that is not this machine's, and
// says how much. Without a terminal only --yes goes on.
func (f *runFlags) consent(s streams, p *plan.Plan, addresses map[string]string, left int) error {
	elsewhere, err := endpoint.Elsewhere(addresses)
	if err != nil || len(elsewhere) == 0 {
		return err
	}
	share := float64(left) / float64(p.Replicates)
	printable.Fprintf(s.err, "%g requests/s for about %s, %s in all, to %s\n", p.RatePerS,
		short(time.Duration(p.Seconds()*share*float64(time.Second))), quantity.Count(int64(p.RatePerS*p.Seconds()*share)), some(elsewhere))
	if f.aws.yes {
		return nil
	}
	in, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return fail.Newf(fail.Usage, "add --yes if that load may go there",
			"load would go to %s, which is not this machine, and there is no terminal to ask on", some(elsewhere))
	}
	fmt.Fprint(s.err, "start? [y/N] ")
	return agreed(in)
}

// places lists the arms with their addresses.
func places(p *plan.Plan) string {
	var parts []string
	for _, a := range p.Arms {
		if a.TwinOf == "" {
			parts = append(parts, a.Name+"="+a.Endpoint.URL)
		}
	}
	return strings.Join(parts, ", ")
}

// showSights prints what each arm's responses were.
func showSights(s streams, p *plan.Plan, sights []endpoint.Sight) {
	for i := range sights {
		t := &sights[i]
		printable.Fprintf(s.out, "%s  %s\n", t.Arm.Name, t.Arm.Endpoint.URL)
		answers, at := map[string]int{}, map[string]bool{}
		for _, r := range t.Responses {
			if r.Address != "" {
				at[r.Address] = true
			}
			if r.Err != nil {
				answers[oneLine(r.Err.Error())]++
				continue
			}
			answers[fmt.Sprintf("%s, status %d", r.Proto, r.Status)]++
		}
		for _, text := range slices.Sorted(maps.Keys(answers)) {
			printable.Fprintf(s.out, "  %d of %d: %s\n", answers[text], len(t.Responses), text)
		}
		if len(at) > 0 {
			printable.Fprintf(s.out, "  connected to %s\n", strings.Join(slices.Sorted(maps.Keys(at)), ", "))
		}
		if proofs := p.Arms[p.ArmIndex(t.Arm.Name)].Endpoint.Proof; len(proofs) > 0 {
			printable.Fprintf(s.out, "  every response: %s\n", endpoint.Words(proofs))
		}
	}
}

// showDiscovered prints what a run would do after what was seen.
func showDiscovered(s streams, p *plan.Plan) {
	by := "nothing, as --alike says"
	if names := endpoint.TellsApart(p); len(names) > 0 {
		by = strings.Join(names, ", ")
	}
	printable.Fprintf(s.out, "\nThe arms are told apart by: %s.\n", by)
	printable.Fprintf(s.out, "Nothing was measured. Without --dry-run: %g requests/s over %d arms, %d replicates, about %s.\n",
		p.RatePerS, len(p.Arms), p.Replicates, short(time.Duration(p.Seconds()*float64(time.Second))))
}
