package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/topology"
)

func newLabSituations(s streams) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "situations",
		Short:   "List the situations that lab up --situation can start",
		Example: "  hoplab lab situations\n  hoplab lab up --situation override-sg-closed --scale 20",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			return listSituations(s, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func listSituations(s streams, format string) error {
	type entry struct {
		Name string `json:"name"`
		What string `json:"what"`
		Why  string `json:"why"`
	}
	var all []entry
	for _, x := range situation.All() {
		all = append(all, entry{x.Name, x.What, x.Why})
	}
	if format == "json" {
		return writeJSON(s, all)
	}
	width := 0
	for _, e := range all {
		width = max(width, len(e.Name)+2)
	}
	var b bytes.Buffer
	for _, e := range all {
		render.Wrap(&b, fmt.Sprintf("%-*s%s", width, e.Name, e.What), 0, width, renderOptions(s))
	}
	_, err := b.WriteTo(s.out)
	return err
}

// deployment is what the lab runs: a situation, or a source.
func (f *labFlags) deployment(ctx context.Context, s streams, args []string) (*topology.Topology, error) {
	if f.situation == "" {
		return f.load(ctx, s, args)
	}
	if len(args) > 0 || f.synth || len(f.params)+len(f.context)+len(f.vars)+len(f.varFiles) > 0 {
		return nil, fail.Newf(fail.Usage, "give either a PATH or --situation", "--situation %s is a deployment of its own", f.situation)
	}
	x, err := f.named()
	if err != nil {
		return nil, err
	}
	return x.Config.Topology()
}

func (f *labFlags) named() (situation.Situation, error) {
	x, ok := situation.Find(f.situation)
	if !ok {
		return x, fail.Newf(fail.Usage, "see hoplab lab situations", "there is no situation %q", f.situation)
	}
	return x, nil
}

// tellSituation says what the situation is about, and which call to make.
func (f *labFlags) tellSituation(s streams) error {
	if f.situation == "" {
		return nil
	}
	x, err := f.named()
	if err != nil {
		return err
	}
	o := renderOptions(s)
	fmt.Fprintln(s.out)
	render.Wrap(s.out, "situation "+x.Name+": "+x.What, 0, 2, o)
	call, err := f.callOf(&x)
	if err != nil {
		return err
	}
	if call != "" {
		printable.Fprintf(s.out, "  try: %s\n", call)
		render.Wrap(s.out, "documented: "+documented(&x), 2, 4, o)
	}
	render.Wrap(s.out, x.Why, 2, 2, o)
	return nil
}

func documented(x *situation.Situation) string {
	switch {
	case x.Status == 0:
		return x.Curl
	case x.Body == "":
		return strconv.Itoa(x.Status)
	}
	return fmt.Sprintf("%d %s", x.Status, x.Body)
}

// callOf is the situation's call as a command of the lab that runs it.
func (f *labFlags) callOf(x *situation.Situation) (string, error) {
	t, err := x.Config.Topology()
	if err != nil {
		return "", err
	}
	who, target := x.Ask(t)
	if target == "" {
		return "", nil
	}
	parts := []string{"hoplab lab curl"}
	if f.name != "default" {
		parts = append(parts, "--name "+f.name)
	}
	var st lab.Status
	if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		return "", err
	}
	if x.Call.To == "alb" && len(st.LoadBalancers) > 0 {
		u, err := url.Parse(target)
		if err != nil {
			return "", err
		}
		u.Host = st.LoadBalancers[0].DNSName + ":" + u.Port()
		target = u.String()
	}
	if sv := st.Service(who.Service, ""); sv != nil {
		parts = append(parts, "--from "+sv.Name)
	}
	if who.Lookup != "" {
		parts = append(parts, "--lookup "+string(who.Lookup))
	}
	return strings.Join(append(parts, target), " "), nil
}
