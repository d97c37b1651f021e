package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/page/live"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/topology"
)

func newLabPage(s streams, f *labFlags) *cobra.Command {
	var port int
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Serve the lab's map in a browser: send requests, see where they go, change it",
		Long: `Serve a page of the running lab on a loopback address until Ctrl-C: the map of
explain --format html, on which requests are really sent. Beside what the caller
saw, hop by hop with the headers in and out and the line of its access log,
stands what was predicted, and whether the two differ. The targets' health and
each hop's counters are shown live.

A host that is chosen on the map can be changed: ports, rules, health checks,
counts. What a change would do is predicted first; then it is applied as by lab
apply, and can be taken back or copied as CDK, CloudFormation or Terraform. The
source stays as it is.

The address has a token in it: who knows it can use and change the lab. It stays
the same while the lab goes down and one of that name comes up again.`,
		Example: "  hoplab lab page",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkPort(port); err != nil {
				return err
			}
			srv, err := live.New(cmd.Context(), runningLab{f, s})
			if err != nil {
				return err
			}
			var said error
			err = srv.Serve(cmd.Context(), strconv.Itoa(port), func(url string) { said = say(s, "%s", url) })
			if said != nil {
				return said
			}
			return err
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "the page's port; 0 for any that is free")
	return cmd
}

// runningLab asks a lab over its control socket, each time anew.
type runningLab struct {
	f *labFlags
	s streams
}

func (l runningLab) Status() (*lab.Status, error) {
	var st lab.Status
	err := l.f.call(labctl.Request{Op: labctl.OpStatus}, &st)
	return &st, err
}

func (l runningLab) Trace(c lab.Caller, url string, limit time.Duration) (lab.Trace, error) {
	var tr lab.Trace
	err := l.f.call(labctl.Request{Op: labctl.OpTrace, Caller: c, URL: url, Timeout: limit}, &tr)
	return tr, err
}

func (l runningLab) info() (labctl.Made, error) {
	var info labctl.Info
	err := l.f.call(labctl.Request{Op: labctl.OpInfo}, &info)
	return info.Made, err
}

// Made digests what the lab is made of: it names paths of this machine.
func (l runningLab) Made() (string, error) {
	m, err := l.info()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(m)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), err
}

func (l runningLab) Source(ctx context.Context) (*live.Source, error) {
	m, err := l.info()
	if err != nil {
		return nil, err
	}
	src := live.Source{Changes: m.Changes}
	src.Options.Callers = []reach.Caller{{Kind: reach.CallerWithoutAgent, Name: "a host of the VPC"}}
	src.Options.MaxPairs = maxPairs
	if known, ok := situation.Find(m.Situation); ok {
		src.Options.App = known.App // a template does not say what its app does, a situation does
	}
	m.Changes = nil
	var of labFlags
	src.Read, err = of.remade(ctx, l.s, m)
	return &src, err
}

// Change refuses, as lab apply does, what AWS would refuse only after the change.
func (l runningLab) Change(ctx context.Context, changes []change.Change) error {
	m, err := l.info()
	if err != nil {
		return err
	}
	var was, is labFlags
	before, err := was.remade(ctx, l.s, m)
	if err != nil {
		return err
	}
	m.Changes = changes
	after, err := is.remade(ctx, l.s, m)
	if err != nil {
		return err
	}
	if err := refused(after); err != nil && refused(before) == nil {
		return err
	}
	return l.f.call(labctl.Request{Op: labctl.OpApply, Made: &m}, nil)
}

func (l runningLab) Kill(id topology.ID) error {
	return l.f.call(labctl.Request{Op: labctl.OpKill, Service: id, Part: lab.WholeTask}, nil)
}
