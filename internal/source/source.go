// Package source reads a deployment from whatever describes it:
// CloudFormation templates, a cloud assembly, a CDK app or Terraform. Each
// form has a reader of its own below this package (cfn, terraform, synth);
// Load chooses one, and every command that needs a topology calls it.
package source

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/source/synth"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options are the values that the source leaves to its user.
type Options struct {
	Params   map[string]string // CloudFormation parameters: Name or Stack:Name to value
	Stack    string            // name of the stack when a single template is read; "" for its file's
	Context  map[string]string // context of a CDK app; a fresh synthesis when not empty
	Synth    bool              // synthesize the CDK app anew, and also outside the working directory
	NoSynth  bool              // never synthesize: a CDK app must have its cdk.out
	Vars     map[string]string // Terraform variables
	VarFiles []string          // files of Terraform variables
	Progress io.Writer         // told which cdk.out is read, and which command of a CDK app is run; nil for nobody
}

// fresh reports whether a CDK app is to be synthesized even if it has a cloud assembly.
func (o *Options) fresh() bool { return o.Synth || len(o.Context) > 0 }

// Load reads the deployment at paths; without paths, the cloud assembly in
// cdk.out, the CDK app or the Terraform module of the working directory.
// A CDK app is a command that its cdk.json names, and whoever wrote that has
// the user's rights in it: it is run only with Synth, or when it is the working
// directory's and has no cdk.out or gets a context.
// Returns a fail.Usage error when the paths and the options do not go
// together, and the reader's own error when the source cannot be read.
//
// It returns soon after ctx has ended, also when it waits for a file that never
// ends; that read goes on until the process ends.
func Load(ctx context.Context, paths []string, o Options) (*topology.Topology, error) {
	type result struct {
		t   *topology.Topology
		err error
	}
	done := make(chan result, 1)
	go func() {
		t, err := load(ctx, paths, o)
		done <- result{t, err}
	}()
	select {
	case r := <-done:
		return r.t, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.t, r.err
	case <-time.After(cleanUp):
		return nil, ctx.Err()
	}
}

// cleanUp is how long a reader may take to end what it has started, such as a
// CDK app, when its context ends.
const cleanUp = 500 * time.Millisecond

func load(ctx context.Context, paths []string, o Options) (*topology.Topology, error) {
	if len(paths) == 0 {
		found, err := Here(o.fresh())
		if err != nil {
			return nil, err
		}
		paths = found
	}
	if len(paths) == 1 {
		if !o.Synth && terraform.Detect(paths[0]) {
			return terraform.Load(paths[0], terraform.Options{Vars: o.Vars, VarFiles: o.VarFiles, Env: os.Environ()})
		}
		if exists(paths[0], "cdk.json") && (o.fresh() || !exists(paths[0], "manifest.json")) {
			return app(ctx, paths[0], o)
		}
	}
	if o.fresh() {
		return nil, fail.Newf(fail.Usage, "leave -c and --synth out, or give the directory with the app's cdk.json",
			"-c and --synth need a CDK app, and %s is none", strings.Join(paths, ", "))
	}
	if len(o.Vars) > 0 || len(o.VarFiles) > 0 {
		return nil, fail.Newf(fail.Usage, "leave --var and --var-file out, or give a directory with .tf files",
			"--var needs Terraform, and %s is none", strings.Join(paths, ", "))
	}
	return templates(paths, o)
}

// app reads the CDK app in dir: the cloud assembly that it has, or the one that
// its command makes, where that may be run.
func app(ctx context.Context, dir string, o Options) (*topology.Topology, error) {
	progress := o.Progress
	if progress == nil {
		progress = io.Discard
	}
	if made := Made(dir); made != dir && !o.fresh() {
		printable.Fprintf(progress, "reading %q as it is; --synth makes it anew\n", made)
		return templates([]string{made}, o)
	}
	if o.NoSynth || !o.Synth && !isWorkingDir(dir) {
		return nil, notSynthesized(dir, o)
	}
	out, clean, err := synth.App(ctx, dir, o.Context, progress)
	defer clean()
	if err != nil {
		return nil, err
	}
	return templates([]string{out}, o)
}

// notSynthesized is the error of a CDK app whose command is not run.
func notSynthesized(dir string, o Options) error {
	if o.NoSynth {
		return fail.Newf(fail.Usage, "run cdk synth there first", "the CDK app in %s has no cdk.out", dir)
	}
	command, err := synth.Command(dir)
	if err != nil {
		return err
	}
	why := "it has no cdk.out"
	if len(o.Context) > 0 {
		why = "-c asks for a new one"
	}
	return fail.Newf(fail.Usage, fmt.Sprintf("give a cloud assembly that cdk synth made, or add --synth if you trust the app: that runs %q", command),
		"the CDK app in %s is not synthesized, for it is outside the working directory (%s)", dir, why)
}

// Made returns the cloud assembly in the cdk.out of a CDK app's directory, and
// any other path as it is.
func Made(path string) string {
	out := filepath.Join(path, "cdk.out")
	if exists(path, "cdk.json") && !exists(path, "manifest.json") && exists(out, "manifest.json") {
		return out
	}
	return path
}

// isWorkingDir reports whether dir is the working directory, by whatever name.
func isWorkingDir(dir string) bool {
	a, errA := os.Stat(dir)
	b, errB := os.Stat(".")
	return errA == nil && errB == nil && os.SameFile(a, b)
}

func templates(paths []string, o Options) (*topology.Topology, error) {
	assembly, err := cfn.Load(paths, cfn.Options{Params: o.Params, Stack: o.Stack})
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
