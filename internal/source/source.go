// Package source reads a deployment from whatever describes it:
// CloudFormation templates, a cloud assembly, a CDK app or Terraform. Each
// form has a reader of its own below this package (cfn, terraform, synth);
// Load chooses one, and every command that needs a topology calls it.
package source

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/source/synth"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options are the values that the source leaves to its user.
type Options struct {
	Params   map[string]string // CloudFormation parameters: Name or Stack:Name to value
	Context  map[string]string // context of a CDK app; a fresh synthesis when not empty
	Vars     map[string]string // Terraform variables
	VarFiles []string          // files of Terraform variables
	Progress io.Writer         // told what a CDK app prints while it is synthesized; nil for nobody
}

// Load reads the deployment at paths; without paths, the cloud assembly in
// cdk.out, the CDK app or the Terraform module of the working directory.
// Returns a fail.Usage error when the paths and the options do not go
// together, and the reader's own error when the source cannot be read.
func Load(ctx context.Context, paths []string, o Options) (*topology.Topology, error) {
	if len(paths) == 0 {
		found, err := Here(len(o.Context) > 0)
		if err != nil {
			return nil, err
		}
		paths = found
	}
	if len(paths) == 1 {
		if terraform.Detect(paths[0]) {
			return terraform.Load(paths[0], terraform.Options{Vars: o.Vars, VarFiles: o.VarFiles, Env: os.Environ()})
		}
		if exists(paths[0], "cdk.json") && (len(o.Context) > 0 || !exists(paths[0], "manifest.json")) {
			return app(ctx, paths[0], o)
		}
	}
	if len(o.Context) > 0 {
		return nil, fail.Newf(fail.Usage, "leave -c out, or give the directory with the app's cdk.json",
			"-c needs a CDK app, and %s is none", strings.Join(paths, ", "))
	}
	if len(o.Vars) > 0 || len(o.VarFiles) > 0 {
		return nil, fail.Newf(fail.Usage, "leave --var and --var-file out, or give a directory with .tf files",
			"--var needs Terraform, and %s is none", strings.Join(paths, ", "))
	}
	return templates(paths, o.Params)
}

// app synthesizes the CDK app in dir and reads what it wrote.
func app(ctx context.Context, dir string, o Options) (*topology.Topology, error) {
	progress := o.Progress
	if progress == nil {
		progress = io.Discard
	}
	out, clean, err := synth.App(ctx, dir, o.Context, progress)
	defer clean()
	if err != nil {
		return nil, err
	}
	return templates([]string{out}, o.Params)
}

func templates(paths []string, params map[string]string) (*topology.Topology, error) {
	assembly, err := cfn.Load(paths, cfn.Options{Params: params})
	if err != nil {
		return nil, err
	}
	return deployment.FromTemplates(assembly)
}

// Here returns what the working directory offers: cdk.out unless fresh asks
// for a synthesis, else "." for a CDK app or Terraform. Returns a fail.Usage
// error when there is neither.
func Here(fresh bool) ([]string, error) {
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
