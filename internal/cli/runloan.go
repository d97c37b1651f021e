package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/mod/semver"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/awsrun/foreign"
	"github.com/hoplab/hoplab/internal/endpoint"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// loanFlags are the flags of a load task in somebody else's deployment.
type loanFlags struct {
	bucket, role, image string
	groups              []string
}

func (f *loanFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.bucket, "load-bucket", "",
		"with --stack or --cluster: send from a load task beside the first arm, and fetch its samples through this bucket")
	fl.StringVar(&f.role, "load-role", "",
		"with --load-bucket: ARN of a role with which the task may put objects into the bucket, below hoplab/")
	fl.StringArrayVar(&f.groups, "load-group", nil,
		"with --load-bucket: a security group that the load balancers let in (may repeat; default the service's)")
	fl.StringVar(&f.image, "load-image", releaseImage(readVersion().Tag), "with --load-bucket: image of the load task")
}

// releaseImage is the image that belongs to a release, or the newest.
func releaseImage(tag string) string {
	const image = "ghcr.io/hoplab/hoplab:"
	if !semver.IsValid(tag) {
		return image + "latest"
	}
	return image + strings.TrimPrefix(tag, "v")
}

func (f *loanFlags) check() error {
	if f.bucket == "" && (f.role != "" || len(f.groups) > 0) {
		return fail.Newf(fail.Usage, "add --load-bucket", "--load-role and --load-group are a load task's, which needs a bucket for its samples")
	}
	return nil
}

// notWithLoan are the flags that mean this machine.
var notWithLoan = []string{"dry-run", "restart", "k6", "alike"}

// runFromTask measures the arms from a load task beside the first one's service.
// Nothing here can call them, so what their responses must say is not looked up
// but follows from the port modes.
func runFromTask(cmd *cobra.Command, s streams, f *runFlags, calls []foreign.Call) error {
	ctx := cmd.Context()
	for _, name := range notWithLoan {
		if cmd.Flags().Changed(name) {
			return fail.Newf(fail.Usage, "leave it out, or leave --load-bucket out",
				"--%s is for this machine, and --load-bucket sends from a load task", name)
		}
	}
	p, err := f.endpointPlan(cmd)
	if err != nil {
		return err
	}
	if err := expectModes(&p, calls); err != nil {
		return err
	}
	loan := f.foreign.loan
	site, err := f.aws.onLoan(ctx, awsrun.Loan{
		Service: calls[0].ARN, Bucket: loan.bucket, Role: loan.role, Groups: loan.groups, Image: loan.image})
	if err != nil {
		return err
	}
	p.FromTask(plan.FabricTask)
	if site.Local() {
		p.FromTask(plan.FabricCloud)
	}
	if err := p.Validate(); err != nil {
		return err
	}
	out, name, err := f.directory()
	if err != nil {
		return err
	}
	if err := f.confirm(s, site, &p, p.Replicates); err != nil {
		return err
	}
	source := "deployed in " + placeOf(site) + ": " + places(&p)
	dir, err := run.Create(out, p, taskEnvironment(name, source, repeatCommand(cmd, p.Seed), site))
	if err != nil {
		return err
	}
	return f.carryOutLoan(ctx, s, dir, site)
}

// expectModes writes into the plan what every response must say: 200, and what the
// arm's port mode makes of it where the user has named no proof.
func expectModes(p *plan.Plan, calls []foreign.Call) error {
	named := func(header string) bool { return len(samplefile.Variables(header)) > 0 }
	if p.Request != nil && slices.ContainsFunc(p.Request.Headers, named) {
		return fail.Newf(fail.Usage, "leave the header out, or leave --load-bucket out",
			"--header with an environment variable: its value would stand in the load task's description for everybody to read")
	}
	for i := range p.Arms {
		a := &p.Arms[i]
		for _, c := range calls {
			if (c.Arm == a.Name || c.Arm == a.TwinOf) && len(a.Endpoint.Proof) == 0 {
				a.Endpoint.Proof = []plan.HeaderProof{c.Proof()}
			}
		}
		a.Expect.Status = 200
	}
	return nil
}

// onLoan reads where a load task would run.
func (f *awsFlags) onLoan(ctx context.Context, l awsrun.Loan) (*awsrun.Site, error) {
	c, err := f.connect(ctx)
	if err != nil {
		return nil, err
	}
	return awsrun.OnLoan(ctx, c, l)
}

// resumeLoan finishes a broken run whose load comes from a load task.
func resumeLoan(ctx context.Context, s streams, f *runFlags, dir *run.Dir) error {
	site, err := f.aws.onLoan(ctx, awsrun.LoanOf(dir.Env.AWS))
	if err != nil {
		return err
	}
	if err := f.confirm(s, site, &dir.Plan, dir.Left()); err != nil {
		return err
	}
	return f.carryOutLoan(ctx, s, dir, site)
}

// carryOutLoan borrows the load task, measures, and gives it back.
func (f *runFlags) carryOutLoan(ctx context.Context, s streams, dir *run.Dir, site *awsrun.Site) error {
	unlock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	sender, err := site.Borrow(ctx, dir, awsrun.Options{Pace: site.Pace(), Progress: awsProgress(s)})
	if err != nil {
		return err
	}
	show := newProgress(s.err, &dir.Plan)
	err = endpoint.Run(ctx, dir, endpoint.Options{Send: sender.Send, Stop: analysis.Enough, Progress: show.event})
	show.close()
	if err = sender.Return(ctx, err); err != nil {
		return f.broken(ctx, s, dir, err)
	}
	return f.show(s, dir)
}
