package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/topology"
)

// callerKinds are the callers without Service Connect that --caller accepts.
var callerKinds = []reach.CallerKind{reach.CallerStandalone, reach.CallerLambda, reach.CallerCloudShell, reach.CallerWithoutAgent}

// explainFlags are what explain is asked for beside its paths.
type explainFlags struct {
	from    sourceFlags
	format  string
	callers []string
	want    reach.Selection
	all     bool
	before  string
}

func newExplain(s streams) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [PATH...]",
		Short: "Print the three ports of each service, and the predicted path of every caller",
		Long: `Explain a deployment: the three ports of each Service Connect endpoint (client
port, ingress port, container port), and for every caller the way of its
request, hop by hop, with what it will see at the end. PATH is as for check.

Of a deployment with many paths the text folds what is alike: how many services
reach each name, then those that do not, each reason once. --from and --to name
a caller and what is called (a service, an endpoint's name, a load balancer);
--format json has every path. --format html is one page that loads nothing: the
map with every port, and each request on it; it opens in any browser.

With --before, which names the source of what is deployed now, it is the update
that is explained: what callers see while CloudFormation and Amazon ECS carry it
out, phase by phase. Security groups and listeners change first, then the tasks
are replaced, and what was removed goes last.

` + appHelp,
		Example: `  hoplab explain cdk.out
  hoplab explain . -c ingressPortOverride=8080
  hoplab explain cdk.out --from web --to orders.shop
  hoplab explain cdk.out --only-failures
  hoplab explain cdk.out --before deployed/cdk.out
  hoplab explain cdk.out --caller run-task --format mermaid
  hoplab explain cdk.out --format html > map.html`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args) },
	}
	f.from.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "text", "text, json, mermaid or html")
	fl.StringArrayVar(&f.callers, "caller", nil, "a caller without Service Connect, KIND[:NAME]; KIND is "+kindWords()+" (may repeat)")
	fl.StringArrayVar(&f.want.From, "from", nil, "only the paths of this caller: a service, or a kind such as admitted (may repeat)")
	fl.StringArrayVar(&f.want.To, "to", nil, "only the paths to this service, name or load balancer (may repeat)")
	fl.BoolVar(&f.want.OnlyFailures, "only-failures", false, "only the paths that do not work, or may not")
	fl.StringVar(&f.before, "before", "", "PATH of the source of what is deployed now, to explain the update")
	fl.BoolVar(&f.all, "all", false, "show the paths that nobody is likely to use too")
	return cmd
}

func (f *explainFlags) run(cmd *cobra.Command, s streams, args []string) error {
	if err := oneOf("format", f.format, "text", "json", "mermaid", "html"); err != nil {
		return err
	}
	named, err := namedCallers(f.callers)
	if err != nil {
		return err
	}
	t, err := f.from.load(cmd.Context(), s, args)
	if err != nil {
		return err
	}
	if f.before != "" {
		if f.format == "mermaid" || f.format == "html" || len(f.want.From)+len(f.want.To) > 0 || f.want.OnlyFailures {
			return fail.Newf(fail.Usage, "leave them out", "--before explains an update as text or JSON, without --from, --to and --only-failures")
		}
		old, err := f.from.loadBefore(cmd.Context(), s, f.before, t, args)
		if err != nil {
			return err
		}
		return explainUpdate(s, old, t, reach.Options{Callers: named, MaxPairs: maxPairs}, f.format, f.all)
	}
	p, err := reach.New(t, reach.Options{Callers: named, MaxPairs: maxPairs})
	if err != nil {
		return err
	}
	paths, err := p.Select(p.All(), f.want)
	if err != nil {
		return err
	}
	switch f.format {
	case "json":
		return render.ExplainJSON(s.out, p.Outline(), paths)
	case "mermaid":
		return render.Mermaid(s.out, paths, f.all)
	case "html":
		return page.HTML(s.out, page.New(topology.NewIndex(t), p, paths))
	}
	o := renderOptions(s)
	o.All = f.all
	return render.Explain(s.out, outline(p, f.want), paths, o)
}

// explainUpdate writes what callers see while old becomes t.
func explainUpdate(s streams, old, t *topology.Topology, o reach.Options, format string, all bool) error {
	timeline, err := rollout.Follow(old, t, o)
	if errors.Is(err, rollout.ErrStrangers) {
		return fail.Newf(fail.Usage, "give both by the same stack or file names, as two cloud assemblies of one app have them", "%s and %s: %w", old.Name, t.Name, err)
	}
	if err != nil {
		return err
	}
	if format == "json" {
		return render.RolloutJSON(s.out, timeline)
	}
	text := renderOptions(s)
	text.All = all
	return render.Rollout(s.out, timeline, text)
}

// maxPairs bounds the pairs that explain predicts in a namespace: a hundred
// services, each with a name that all others may call.
const maxPairs = 10_000

// outline is the report without its paths; whoever asks for some paths does not
// want the ports of all services.
func outline(p *reach.Predictor, want reach.Selection) *reach.Report {
	r := p.Outline()
	if len(want.From)+len(want.To) > 0 || want.OnlyFailures {
		r.Ports = nil
	}
	return r
}

func kindWords() string {
	var words []string
	for _, k := range callerKinds {
		words = append(words, string(k))
	}
	return strings.Join(words, ", ")
}

func namedCallers(texts []string) ([]reach.Caller, error) {
	var out []reach.Caller
	for _, text := range texts {
		kind, name, _ := strings.Cut(text, ":")
		c := reach.Caller{Kind: reach.CallerKind(kind), Name: name}
		if name == "" {
			c.Name = fmt.Sprintf("a %s caller", kind)
		}
		if err := oneOf("caller", kind, strings.Split(kindWords(), ", ")...); err != nil {
			return nil, fail.Newf(fail.Usage, "write e.g. --caller run-task:nightly-batch", "%w", err)
		}
		out = append(out, c)
	}
	return out, nil
}
