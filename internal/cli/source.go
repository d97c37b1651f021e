package cli

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/topology"
)

// sourceFlags hold the values that a deployment's source leaves to its user.
type sourceFlags struct {
	synth    bool
	params   []string
	context  []string
	vars     []string
	varFiles []string
}

// appHelp is what the help of every command with a PATH says of CDK apps.
const appHelp = `Of a directory with a cdk.json the cloud assembly in its cdk.out is read as it
is. Only without one, or with -c, is the app synthesized, which runs the app
command of its cdk.json with your rights; and outside the working directory
only with --synth. The command is printed before it runs.`

func (f *sourceFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.params, "param", nil, "value of a CloudFormation parameter, Name=value or Stack:Name=value (may repeat)")
	fl.BoolVar(&f.synth, "synth", false, "synthesize the CDK app, also one outside the working directory: this runs the app command of its cdk.json")
	fl.StringArrayVarP(&f.context, "context", "c", nil, "context of a CDK app that is synthesized, key=value (may repeat)")
	fl.StringArrayVar(&f.vars, "var", nil, "value of a Terraform variable, name=value (may repeat)")
	fl.StringArrayVar(&f.varFiles, "var-file", nil, "file of Terraform variables (may repeat)")
}

// load reads the deployment at paths, or what the working directory offers.
func (f *sourceFlags) load(ctx context.Context, s streams, paths []string) (*topology.Topology, error) {
	return f.loadStack(ctx, s, paths, "")
}

// loadBefore reads what is deployed now and is to become t, which was read from
// paths. Two templates that stand alone are two states of one stack, whatever
// their files are called.
func (f *sourceFlags) loadBefore(ctx context.Context, s streams, before string, t *topology.Topology, paths []string,
) (*topology.Topology, error) {
	stack := ""
	if len(paths) == 1 && isFile(paths[0]) && isFile(before) && len(t.Services) > 0 {
		stack = t.Services[0].Stack
	}
	return f.loadStack(ctx, s, []string{before}, stack)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (f *sourceFlags) loadStack(ctx context.Context, s streams, paths []string, stack string) (*topology.Topology, error) {
	o := source.Options{Synth: f.synth, VarFiles: f.varFiles, Progress: s.err, Stack: stack}
	var err error
	if o.Context, err = pairs("context", f.context); err != nil {
		return nil, err
	}
	if o.Params, err = pairs("param", f.params); err != nil {
		return nil, err
	}
	if o.Vars, err = pairs("var", f.vars); err != nil {
		return nil, err
	}
	return source.Load(ctx, paths, o)
}

// pairs reads repeated key=value flags.
func pairs(flag string, values []string) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range values {
		k, val, ok := strings.Cut(v, "=")
		if !ok || k == "" {
			return nil, fail.Newf(fail.Usage, "write --"+flag+" name=value", "--%s %q: expected name=value", flag, v)
		}
		out[k] = val
	}
	return out, nil
}
