package cli

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hoplab/hoplab/internal/awsrun/foreign"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/topology"
)

// foreignFlags are the flags of run that say which deployment in AWS is meant
// that is not hoplab's, and from where it is called.
type foreignFlags struct {
	stack    string
	cluster  string
	services []string
	path     string
	loan     loanFlags
}

// withForeign are the flags that say nothing without --stack or --cluster.
var withForeign = []string{"service", "path", "load-bucket", "load-role", "load-group", "load-image"}

func (f *foreignFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.stack, "stack", "",
		"with --target aws: a stack that is not hoplab's own; says which arms it has and how to have the other, and measures both")
	fl.StringVar(&f.cluster, "cluster", "", "with --target aws: like --stack, for services of this ECS cluster, however they were deployed")
	fl.StringArrayVar(&f.services, "service", nil, "with --cluster: a service to look at (may repeat; default all)")
	fl.StringVar(&f.path, "path", "/", "with --stack or --cluster: path of every request")
	f.loan.register(fl)
}

// asked reports whether such a deployment is meant.
func (f *foreignFlags) asked() bool { return f.stack != "" || f.cluster != "" }

// unused refuses flags that need --stack or --cluster.
func (f *foreignFlags) unused(cmd *cobra.Command) error {
	for _, name := range withForeign {
		if cmd.Flags().Changed(name) {
			return fail.Newf(fail.Usage, "leave it out, or name a deployment with --stack or --cluster",
				"--%s says nothing without --stack or --cluster", name)
		}
	}
	return nil
}

var (
	stackName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)
	clusterName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
)

// check refuses flags that do not go together.
func (f *foreignFlags) check(target string) error {
	switch {
	case f.stack != "" && f.cluster != "":
		return fail.Newf(fail.Usage, "leave one of them out", "--stack and --cluster: each names a deployment")
	case target != plan.TargetAWS:
		return fail.Newf(fail.Usage, "add --target aws", "--stack and --cluster name what is deployed in AWS, not in the lab")
	case f.stack != "" && !stackName.MatchString(f.stack):
		return fail.Newf(fail.Usage, "give its name, as CloudFormation lists it", "--stack %q: expected a letter, then letters, digits and -", f.stack)
	case f.stack != "" && len(f.services) > 0:
		return fail.Newf(fail.Usage, "leave it out, or name the services' cluster with --cluster",
			"--service: of a stack all services are read")
	case f.cluster != "" && !clusterName.MatchString(f.cluster):
		return fail.Newf(fail.Usage, "give its name, as ECS lists it", "--cluster %q: expected letters, digits, _ and -", f.cluster)
	case !strings.HasPrefix(f.path, "/"):
		return fail.Newf(fail.Usage, "write e.g. --path /api/items", "--path %q: expected a path that begins with /", f.path)
	}
	return f.loan.check()
}

// runForeign reads a deployment that is not hoplab's own and says which arms it
// has, and which change would make the other. With both, it measures them as
// addresses, from this machine or from a load task.
func runForeign(cmd *cobra.Command, s streams, f *runFlags) error {
	if err := f.foreign.check(f.target); err != nil {
		return err
	}
	ctx := cmd.Context()
	if f.aws.account != "" {
		if _, err := f.aws.connect(ctx); err != nil {
			return err
		}
	}
	read := f.foreign.readCluster
	if f.foreign.stack != "" {
		read = f.foreign.readStack
	}
	name, calls, err := read(ctx, s)
	if err != nil {
		return err
	}
	if len(calls) < 2 || calls[0].URL == "" || calls[1].URL == "" {
		return fail.Newf(fail.CannotTell, "deploy the other arm beside it, or name two addresses with --arm",
			"%s has %d of the two arms agent and bypass behind a plain HTTP listener of its own: nothing to compare", name, addresses(calls))
	}
	if apart := foreign.Apart(calls[0], calls[1]); apart != "" {
		printable.Fprintf(s.err, "the arms differ in more than the port mode, and what is measured is all of it: %s\n", apart)
	}
	for _, c := range calls {
		f.at.asked.Arms = append(f.at.asked.Arms, c.Arm+"="+strings.TrimSuffix(c.URL, "/")+f.foreign.path)
	}
	if f.foreign.loan.bucket != "" {
		return runFromTask(cmd, s, f, calls)
	}
	return runEndpoints(cmd, s, f)
}

// addresses counts the calls that have one.
func addresses(calls []foreign.Call) (n int) {
	for _, c := range calls {
		if c.URL != "" {
			n++
		}
	}
	return n
}

// readStack reads and shows a stack; name is what to call it.
func (f *foreignFlags) readStack(ctx context.Context, s streams) (name string, calls []foreign.Call, err error) {
	stack, err := foreign.Read(ctx, f.stack)
	if err != nil {
		return "", nil, err
	}
	t, err := stackTopology(ctx, stack)
	if err != nil {
		return "", nil, err
	}
	if calls, err = stack.Calls(t); err != nil {
		return "", nil, err
	}
	printable.Fprintf(s.out, "stack %s in %s: %d services, %d load balancers\n",
		stack.Name, stack.Region, len(t.Services), len(t.LoadBalancers))
	change, missing := foreign.Missing(t, calls)
	showForeign(s, calls, change, missing)
	return "stack " + stack.Name, calls, nil
}

// readCluster is readStack for services of a cluster.
func (f *foreignFlags) readCluster(ctx context.Context, s streams) (name string, calls []foreign.Call, err error) {
	c, err := foreign.ReadCluster(ctx, f.cluster, f.services)
	if err != nil {
		return "", nil, err
	}
	printable.Fprintf(s.out, "cluster %s in %s: %d service(s) looked at\n", c.Name, c.Region, c.Services)
	change, missing := c.Missing()
	showForeign(s, c.Calls, change, missing)
	return "cluster " + c.Name, c.Calls, nil
}

// showForeign prints which arms there are, and what would make the other.
func showForeign(s streams, calls []foreign.Call, change foreign.Change, missing bool) {
	for _, c := range calls {
		if c.URL == "" {
			printable.Fprintf(s.out, "  %-7s of %s, to which no plain HTTP listener leads\n", c.Arm, c.Service)
			continue
		}
		printable.Fprintf(s.out, "  %-7s %s  (%s)\n", c.Arm, c.URL, c.Route)
	}
	if missing {
		printable.Fprintln(s.out)
		change.Write(s.out)
	}
}

// stackTopology reads a stack's template as check reads a file.
func stackTopology(ctx context.Context, stack *foreign.Stack) (*topology.Topology, error) {
	dir, err := os.MkdirTemp("", "hoplab-stack-")
	if err != nil {
		return nil, fail.Newf(fail.Environment, "set TMPDIR to a directory that can be written", "keeping the template: %w", err)
	}
	defer os.RemoveAll(dir)
	form := ".template.yaml"
	if strings.HasPrefix(strings.TrimSpace(stack.Template), "{") {
		form = ".template.json"
	}
	path := filepath.Join(dir, stack.Name+form)
	if err := os.WriteFile(path, []byte(stack.Template), 0o600); err != nil {
		return nil, fail.Newf(fail.Environment, "free some space there", "keeping the template: %w", err)
	}
	return source.Load(ctx, []string{path}, source.Options{NoSynth: true, Params: stack.Parameters})
}
