package cli

import (
	"context"
	"os"
	"path/filepath"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/topology"
)

// made says what this lab is made of, for commands in other directories.
func (f *labFlags) made(args []string) (labctl.Made, error) {
	dir, err := os.Getwd()
	if err != nil {
		return labctl.Made{}, fail.Newf(fail.Environment, "", "the current directory: %w", err)
	}
	m := labctl.Made{Situation: f.situation, Dir: dir, Paths: args, Synth: f.synth, Params: f.params, Context: f.context, Vars: f.vars,
		VarFiles: f.varFiles}
	if len(args) == 0 && f.situation == "" {
		m.Paths, err = source.Here(f.synth || len(f.context) > 0)
	}
	return m, err
}

// remake reads the deployment again that a running lab was started from.
func remake(ctx context.Context, s streams, name string) (*topology.Topology, error) {
	f := labFlags{name: name}
	var info labctl.Info
	if err := f.call(labctl.Request{Op: labctl.OpInfo}, &info); err != nil {
		return nil, err
	}
	return f.remade(ctx, s, info.Made)
}

// remade reads the deployment that a lab is made of.
func (f *labFlags) remade(ctx context.Context, s streams, m labctl.Made) (*topology.Topology, error) {
	f.situation, f.params, f.context, f.vars = m.Situation, m.Params, m.Context, m.Vars
	f.synth = m.Synth // who started the lab trusted the app
	f.varFiles = below(m.Dir, m.VarFiles)
	t, err := f.deployment(ctx, s, below(m.Dir, m.Paths))
	if err != nil {
		return nil, err
	}
	t, _, err = change.Make(t, m.Changes...)
	return t, err
}

// below makes paths that are relative to dir absolute.
func below(dir string, paths []string) []string {
	var out []string
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		out = append(out, p)
	}
	return out
}
