package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/run"
)

// awsFlags are the flags of run that only --target aws knows.
type awsFlags struct {
	yes        bool
	restartApp bool
	account    string
}

func (f *awsFlags) register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.yes, "yes", false, "start without asking, with --target aws and where --arm sends load to another machine")
	fl.StringVar(&f.account, "account", "", "with --target aws: the account (12 digits) that it must be; nothing is asked of any other")
	fl.BoolVar(&f.restartApp, "restart-app", false, "with --target aws: replace the app's tasks before every replicate")
}

// onlyLab are the flags of run that say nothing to AWS.
var onlyLab = []string{"assembly", "inject", "k6"}

// runAWS carries out a plan on the deployed stacks.
func runAWS(cmd *cobra.Command, s streams, f *runFlags, p plan.Plan) error {
	for _, name := range onlyLab {
		if cmd.Flags().Changed(name) {
			return fail.Newf(fail.Usage, "leave it out, or use --target lab", "--%s is for the lab; --target aws runs what is deployed", name)
		}
	}
	ctx := cmd.Context()
	out, name, err := f.directory()
	if err != nil {
		return err
	}
	site, err := f.aws.survey(ctx, s, &p)
	if err != nil {
		return err
	}
	p.Topology = site.Digest()
	if site.Local() {
		p.Fabric = plan.FabricCloud
	}
	if err := f.confirm(s, site, &p, p.Replicates); err != nil {
		return err
	}
	dir, err := run.Create(out, p, taskEnvironment(name, "stacks deployed in "+placeOf(site), repeatCommand(cmd, p.Seed), site))
	if err != nil {
		return err
	}
	return f.carryOutAWS(ctx, s, dir, site)
}

// taskEnvironment is the environment of a run whose load comes from load tasks, of
// which this machine knows what the site tells.
func taskEnvironment(name, source, command string, site *awsrun.Site) run.Environment {
	return run.Environment{Run: name, StartedUTC: time.Now().UTC().Format(time.RFC3339), Hoplab: hoplabBuild(), K6: "k6 " + k6.Version,
		Go: quiet.Machine().Go, Source: source, Command: command, AWS: site.Facts()}
}

// placeOf is where a site is deployed.
func placeOf(site *awsrun.Site) string {
	if site.Local() {
		return "the lab, through hoplab cloud"
	}
	return site.Region()
}

// resumeAWS finishes a broken run on AWS: the replicates that are not
// complete, and the metrics that have not been read.
func resumeAWS(ctx context.Context, s streams, f *runFlags, dir *run.Dir) error {
	site, err := f.aws.survey(ctx, s, &dir.Plan)
	if err != nil {
		return err
	}
	if err := f.confirm(s, site, &dir.Plan, dir.Left()); err != nil {
		return err
	}
	return f.carryOutAWS(ctx, s, dir, site)
}

// connect returns the SDK's clients, of the account that --account asks for.
func (f *awsFlags) connect(ctx context.Context) (*awsrun.Clients, error) {
	c, err := awsrun.Connect(ctx)
	if err != nil || f.account == "" {
		return c, err
	}
	id, arn, err := c.Account(ctx)
	if err != nil {
		return nil, err
	}
	if id != f.account {
		return nil, fail.Newf(fail.Usage, "take the credentials of that account, or another --account",
			"the credentials are of account %s (%s), and --account asks for %s", id, arn, f.account)
	}
	return c, nil
}

func (f *awsFlags) survey(ctx context.Context, s streams, p *plan.Plan) (*awsrun.Site, error) {
	c, err := f.connect(ctx)
	if err != nil {
		return nil, err
	}
	printable.Fprintf(s.err, "looking at the stacks in %s\n", c.Region)
	return awsrun.Survey(ctx, c, p)
}

// confirm shows whose account pays, for what and how long, and asks. Without
// a terminal only --yes goes on.
func (f *runFlags) confirm(s streams, site *awsrun.Site, p *plan.Plan, left int) error {
	e := site.Estimate(p, left, site.Pace())
	printable.Fprintf(s.err, "account %s, region %s, as %s\n", site.Account(), site.Region(), site.Caller())
	printable.Fprintf(s.err, "%d replicates, %d load tasks, about %s\n", left, e.Tasks, short(e.Time))
	if site.Local() {
		printable.Fprintf(s.err, "this is hoplab cloud: the lab on this machine, which costs nothing and is not AWS\n")
		return nil
	}
	printable.Fprintf(s.err, "about $%.4f beyond the stacks themselves (prices of %s as of %s; not counted: %s)\n",
		e.Cost.USD, e.Cost.Region, e.Cost.Dated, strings.Join(e.Cost.Without, "; "))
	if f.aws.yes {
		return nil
	}
	in, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return fail.Newf(fail.Usage, "add --yes to start it", "a run on AWS costs money, and there is no terminal to ask on")
	}
	fmt.Fprint(s.err, "start? [y/N] ")
	return agreed(in)
}

func agreed(in io.Reader) error {
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fail.Newf(fail.Usage, "add --yes to start it", "cannot read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fail.Newf(fail.Usage, "answer y, or add --yes", "nothing was started")
}

func (f *runFlags) carryOutAWS(ctx context.Context, s streams, dir *run.Dir, site *awsrun.Site) error {
	unlock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	err = awsrun.Run(ctx, dir, site, awsrun.Options{
		Pace: site.Pace(), RestartApp: f.aws.restartApp, Stop: analysis.Enough, Progress: awsProgress(s),
	})
	if err != nil {
		return f.broken(ctx, s, dir, err)
	}
	return f.show(s, dir)
}

// awsProgress prints the steps of load tasks.
func awsProgress(s streams) func(awsrun.Event) {
	began := time.Now()
	return func(e awsrun.Event) {
		at := ""
		if e.Replicate > 0 {
			at = fmt.Sprintf("replicate %d of %d: ", e.Replicate, e.Of)
		}
		printable.Fprintf(s.err, "%8s  %s%s\n", short(time.Since(began)), at, e.Text)
	}
}
