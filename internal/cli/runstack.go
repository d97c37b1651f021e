package cli

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/awsrun/foreign"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/topology"
)

var stackName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)

// runStack reads a stack that is not hoplab's own and says which arms it has,
// and which change would make the other. With both, it measures them as
// addresses, from this machine.
func runStack(cmd *cobra.Command, s streams, f *runFlags) error {
	name := f.aws.stack
	switch {
	case f.target != plan.TargetAWS:
		return fail.Newf(fail.Usage, "add --target aws", "--stack %s: a stack is deployed in AWS", name)
	case !stackName.MatchString(name):
		return fail.Newf(fail.Usage, "give its name, as CloudFormation lists it", "--stack %q: expected a letter, then letters, digits and -", name)
	}
	ctx := cmd.Context()
	stack, err := foreign.Read(ctx, name)
	if err != nil {
		return err
	}
	t, err := stackTopology(ctx, stack)
	if err != nil {
		return err
	}
	calls, err := foreign.Calls(t, stack.Hosts)
	if err != nil {
		return err
	}
	printable.Fprintf(s.out, "stack %s in %s: %d services, %d load balancers\n", name, stack.Region, len(t.Services), len(t.LoadBalancers))
	for _, c := range calls {
		printable.Fprintf(s.out, "  %-7s %s  (%s)\n", c.Arm, c.URL, c.Route)
	}
	if change, ok := foreign.Missing(t, calls); ok {
		printable.Fprintln(s.out)
		change.Write(s.out)
	}
	if len(calls) < 2 || calls[0].URL == "" || calls[1].URL == "" {
		return fail.Newf(fail.CannotTell, "deploy the other arm beside it, or name two addresses with --arm",
			"stack %s has %d of the two arms agent and bypass with a load balancer of its own: nothing to compare", name, len(calls))
	}
	f.at.asked.Arms = []string{calls[0].Arm + "=" + calls[0].URL, calls[1].Arm + "=" + calls[1].URL}
	return runEndpoints(cmd, s, f)
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
