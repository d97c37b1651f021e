package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/cfn"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/synth"
	"github.com/hoplab/hoplab/internal/terraform"
	"github.com/hoplab/hoplab/internal/topology"
)

// source is where a command reads a deployment from: templates, a cloud
// assembly, a CDK app or Terraform.
type source struct {
	params   []string
	context  []string
	vars     []string
	varFiles []string
}

func (f *source) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.params, "param", nil, "value of a CloudFormation parameter, Name=value or Stack:Name=value (may repeat)")
	fl.StringArrayVarP(&f.context, "context", "c", nil, "context of a CDK app that is synthesized, key=value (may repeat)")
	fl.StringArrayVar(&f.vars, "var", nil, "value of a Terraform variable, name=value (may repeat)")
	fl.StringArrayVar(&f.varFiles, "var-file", nil, "file of Terraform variables (may repeat)")
}

// load reads the deployment at paths; without paths, the cloud assembly in
// cdk.out or the CDK app of the working directory.
func (f *source) load(ctx context.Context, s streams, paths []string) (*topology.Topology, error) {
	values, err := pairs("context", f.context)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		if paths, err = here(len(values) > 0); err != nil {
			return nil, err
		}
	}
	if len(paths) == 1 {
		if terraform.Detect(paths[0]) {
			return f.terraform(paths[0])
		}
		if exists(paths[0], "cdk.json") && (len(values) > 0 || !exists(paths[0], "manifest.json")) {
			dir, clean, err := synth.App(ctx, paths[0], values, s.err)
			defer clean()
			if err != nil {
				return nil, err
			}
			return f.templates([]string{dir})
		}
	}
	if len(values) > 0 {
		return nil, fail.Newf(fail.Usage, "leave -c out, or give the directory with the app's cdk.json", "-c needs a CDK app, and %s is none", strings.Join(paths, ", "))
	}
	if len(f.vars) > 0 || len(f.varFiles) > 0 {
		return nil, fail.Newf(fail.Usage, "leave --var and --var-file out, or give a directory with .tf files", "--var needs Terraform, and %s is none", strings.Join(paths, ", "))
	}
	return f.templates(paths)
}

func (f *source) templates(paths []string) (*topology.Topology, error) {
	params, err := pairs("param", f.params)
	if err != nil {
		return nil, err
	}
	assembly, err := cfn.Load(paths, cfn.Options{Params: params})
	if err != nil {
		return nil, err
	}
	return topology.FromTemplates(assembly)
}

func (f *source) terraform(path string) (*topology.Topology, error) {
	vars, err := pairs("var", f.vars)
	if err != nil {
		return nil, err
	}
	return terraform.Load(path, terraform.Options{Vars: vars, VarFiles: f.varFiles, Env: os.Environ()})
}

// here finds what the working directory offers.
func here(fresh bool) ([]string, error) {
	switch {
	case !fresh && exists("cdk.out", "manifest.json"):
		return []string{"cdk.out"}, nil
	case exists(".", "cdk.json"), terraform.Detect("."):
		return []string{"."}, nil
	}
	return nil, fail.Newf(fail.Usage, "name a template, a cloud assembly (cdk.out), a directory with cdk.json, or one with .tf files",
		"nothing to read: the working directory has no cdk.out, no cdk.json and no .tf files")
}

func exists(elem ...string) bool {
	_, err := os.Stat(filepath.Join(elem...))
	return err == nil
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
