package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/topology"
)

// detach starts serve, beside up, in a session of its own and waits until the lab
// is up.
func detach(up *cobra.Command, p labctl.Place, log *os.File, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, serveArgs(up, args)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fail.Newf(fail.Environment, "", "starting the lab: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithCancel(up.Context())
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- awaitUp(ctx, p) }()
	select {
	case <-ctx.Done():
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(endWithin):
			_ = cmd.Process.Kill() // its children end with it
			<-ended
		}
		return fail.Newf(fail.Environment, "", "interrupted: the lab called %q did not come up", p.Name)
	case err := <-ended:
		return notStarted(err, p, log)
	case err := <-started:
		if err == nil {
			return nil
		}
		<-ended
		return failedStart(fail.CodeOf(err), fail.HintOf(err), err.Error(), p, log)
	}
}

// endWithin is how long a lab that is interrupted while it starts may take to
// end in good order.
const endWithin = 1500 * time.Millisecond

// awaitUp waits until the lab is up, or says why it did not come up. A process
// that ends without a word is left to who watches the process.
func awaitUp(ctx context.Context, p labctl.Place) error {
	for {
		if c, err := labctl.Dial(p); err == nil {
			stop := context.AfterFunc(ctx, func() { c.Close() })
			err := c.Call(labctl.Request{Op: labctl.OpStarted}, nil)
			stop()
			c.Close()
			if !errors.Is(err, labctl.ErrLost) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// afterUp prints the lab that just came up. A lab that is busy, as one is that
// replaces all of its tasks, is asked again until settleWithin has passed.
func afterUp(ctx context.Context, s streams, p labctl.Place, healthy bool) error {
	var st lab.Status
	for end := time.Now().Add(settleWithin); ; time.Sleep(50 * time.Millisecond) {
		err := statusOf(p, &st)
		late := time.Now().After(end) || ctx.Err() != nil
		if err != nil && (late || errors.Is(err, labctl.ErrLost)) {
			return err
		}
		if err == nil && (!healthy || !initial(&st) || late) {
			break
		}
	}
	printLab(s, &st)
	return nil
}

// settleWithin is how long lab up waits for the first results of health checks.
const settleWithin = 30 * time.Second

// statusOf asks a lab for its status, over a connection of its own.
func statusOf(p labctl.Place, st *lab.Status) error {
	c, err := labctl.Dial(p)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(labctl.Request{Op: labctl.OpStatus}, st)
}

// newLabServe is the hidden command that owns a lab.
func newLabServe(s streams, f *labFlags) *cobra.Command {
	cmd := &cobra.Command{
		Annotations: map[string]string{cleansUp: "yes"},
		Use:         "serve [PATH...]",
		Short:       "Own a lab; started by lab up",
		Hidden:      true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if elsewhere, err := runElsewhere(f.fabric); elsewhere {
				return err
			}
			p, err := labctl.At(f.name)
			if err != nil {
				return err
			}
			err = labctl.Serve(cmd.Context(), p, func(ctx context.Context) (*lab.Lab, labctl.Info, error) {
				return f.start(ctx, s, p, args)
			}, func(ctx context.Context, m labctl.Made) (*topology.Topology, error) {
				var of labFlags
				return of.remade(ctx, s, m)
			})
			return errors.Join(err, p.Remove())
		},
	}
	f.registerUp(cmd)
	return cmd
}

// start starts the lab that the flags and arguments describe.
func (f *labFlags) start(ctx context.Context, s streams, p labctl.Place, args []string) (*lab.Lab, labctl.Info, error) {
	info := labctl.Info{Fabric: f.fabric, Scale: f.scale, PID: os.Getpid(), Since: time.Now()}
	t, err := f.deployment(ctx, s, args)
	if err != nil {
		return nil, info, err
	}
	info.Source = t.Name
	if info.Made, err = f.made(args); err != nil {
		return nil, info, err
	}
	l, err := startLab(ctx, s, t, f, p.Logs())
	return l, info, err
}

// startLab starts a lab with the measured app standing in for every image.
func startLab(ctx context.Context, s streams, t *topology.Topology, f *labFlags, dir string) (*lab.Lab, error) {
	app, err := measuredApp(ctx, s.err)
	if err != nil {
		return nil, err
	}
	timing, err := f.times()
	if err != nil {
		return nil, err
	}
	only, err := f.chosen(t)
	if err != nil {
		return nil, err
	}
	return lab.Start(ctx, lab.Options{Topology: t, Fabric: f.fabric, Agent: f.agent, Envoy: f.envoy, App: lab.App{Command: app},
		Programs: f.programs(), Dir: dir, Seed: f.seed, Scale: f.scale, LinkDelay: f.delay, Timing: timing, Log: s.err,
		Only: only, TasksPerService: f.perService, ShareAgents: true})
}

// chosen finds the services that --only names.
func (f *labFlags) chosen(t *topology.Topology) ([]topology.ID, error) {
	var out []topology.ID
	for _, name := range f.only {
		i := slices.IndexFunc(t.Services, func(s *topology.Service) bool { return called(name, s.Name.Or(string(s.ID)), s.ID) })
		if i < 0 {
			var names []string
			for _, s := range t.Services {
				names = append(names, s.Name.Or(string(s.ID)))
			}
			return nil, fail.Newf(fail.Usage, "choose from "+some(names), "--only: the source has no service %q", name)
		}
		out = append(out, t.Services[i].ID)
	}
	return out, nil
}

// some lists the first of many names.
func some(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// called reports whether a user who writes name means the service.
func called(name, full string, id topology.ID) bool {
	return full == name || string(id) == name || strings.TrimSuffix(full, "-service") == name || path.Base(string(id)) == name
}
