package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/page/live"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/topology"
)

func newLabPage(s streams, f *labFlags) *cobra.Command {
	var port int
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Serve the lab's map in a browser: send requests and see where they go",
		Long: `Serve a page of the running lab on a loopback address until Ctrl-C: the map of
explain --format html, on which requests are really sent. Beside what the caller
saw and which hops counted the request stands what was predicted, and whether
the two differ. The targets' health and each hop's counters are shown live. The
address has a token in it: who knows it can send requests in the lab.`,
		Example: "  hoplab lab page",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if port < 0 || port > 65535 {
				return fail.Newf(fail.Usage, "0 is any that is free", "--port %d: expected 0 to 65535", port)
			}
			var info labctl.Info
			if err := f.call(labctl.Request{Op: labctl.OpInfo}, &info); err != nil {
				return err
			}
			var of labFlags
			t, err := of.remade(cmd.Context(), s, info.Made)
			if err != nil {
				return err
			}
			host := reach.Caller{Kind: reach.CallerWithoutAgent, Name: "a host of the VPC"}
			o := reach.Options{Callers: []reach.Caller{host}, MaxPairs: maxPairs}
			if known, ok := situation.Find(info.Made.Situation); ok {
				o.App = known.App // a template does not say what its app does, a situation does
			}
			p, err := reach.New(t, o)
			if err != nil {
				return err
			}
			srv, err := live.New(runningLab{f}, p, page.Draw(topology.NewIndex(t), p, p.All()))
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
type runningLab struct{ f *labFlags }

func (l runningLab) Status() (*lab.Status, error) {
	var st lab.Status
	err := l.f.call(labctl.Request{Op: labctl.OpStatus}, &st)
	return &st, err
}

func (l runningLab) Curl(c lab.Caller, url string, limit time.Duration) (call.Observation, error) {
	var o call.Observation
	err := l.f.call(labctl.Request{Op: labctl.OpCurl, Caller: c, URL: url, Timeout: limit}, &o)
	return o, err
}
