package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/cloud"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/topology"
)

// newCloudServe is the hidden command that owns an account and its lab.
func newCloudServe(s streams, f *cloudFlags) *cobra.Command {
	cmd := &cobra.Command{
		Annotations: map[string]string{cleansUp: "yes"},
		Use:         "serve",
		Short:       "Own an account; started by cloud up",
		Hidden:      true,
		Args:        noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if elsewhere, err := runElsewhere(f.fabric); elsewhere {
				return err
			}
			p, err := labctl.At(f.name)
			if err != nil {
				return err
			}
			var c *cloud.Cloud
			err = labctl.Serve(cmd.Context(), p, func(ctx context.Context) (*lab.Lab, labctl.Info, error) {
				info := labctl.Info{Source: "hoplab cloud", Fabric: f.fabric, Scale: f.scale, PID: os.Getpid(), Since: time.Now()}
				var err error
				if c, err = f.startCloud(ctx, s, p); err != nil {
					return nil, info, err
				}
				context.AfterFunc(ctx, func() { c.Close() }) // the endpoint before the lab
				info.Endpoint = c.Endpoint()
				return c.Lab(), info, nil
			}, func(context.Context, labctl.Made) (*topology.Topology, error) {
				return nil, fail.Newf(fail.Usage, "deploy to it instead: npx cdk deploy", "this lab is that of the account hoplab cloud has up")
			})
			if c != nil {
				err = errors.Join(err, c.Close())
			}
			return errors.Join(err, p.Remove())
		},
	}
	f.registerCloud(cmd)
	return cmd
}

func (f *cloudFlags) startCloud(ctx context.Context, s streams, p labctl.Place) (*cloud.Cloud, error) {
	app, err := measuredApp(ctx, s.err)
	if err != nil {
		return nil, err
	}
	timing, err := f.times()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	load := &container.Program{Command: []string{self, loadTaskCommand}, Log: s.err, K6: func(ctx context.Context) (string, error) {
		b, err := loadGenerator(ctx, "", s.err)
		return b.Path, err
	}}
	return cloud.Start(ctx, cloud.Options{Load: load, Region: f.region, Listen: f.listen, Journal: filepath.Join(p.Dir, journalName),
		Lab: lab.Options{Fabric: f.fabric, Agent: f.agent, Envoy: f.envoy, App: lab.App{Command: app}, Programs: f.programs(),
			Dir: p.Logs(), Seed: f.seed, Scale: f.scale, LinkDelay: f.delay, Timing: timing, Log: s.err, ShareAgents: true}})
}
