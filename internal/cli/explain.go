package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
)

// callerKinds are the callers without Service Connect that --caller accepts.
var callerKinds = []reach.CallerKind{reach.CallerStandalone, reach.CallerLambda, reach.CallerCloudShell, reach.CallerWithoutAgent}

func newExplain(s streams) *cobra.Command {
	var (
		from    sourceFlags
		format  string
		callers []string
		all     bool
	)
	cmd := &cobra.Command{
		Use:   "explain [PATH...]",
		Short: "Print the three ports of each service, and the predicted path of every caller",
		Long: `Explain a deployment: the three ports of each Service Connect endpoint (client
port, ingress port, container port), and for every caller the way of its
request, hop by hop, with what it will see at the end. PATH is as for check.

` + appHelp,
		Example: `  hoplab explain cdk.out
  hoplab explain . -c ingressPortOverride=8080
  hoplab explain cdk.out --caller run-task --format mermaid`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", format, "text", "json", "mermaid"); err != nil {
				return err
			}
			named, err := namedCallers(callers)
			if err != nil {
				return err
			}
			t, err := from.load(cmd.Context(), s, args)
			if err != nil {
				return err
			}
			r, err := reach.Predict(t, reach.Options{Callers: named})
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return render.ExplainJSON(s.out, r)
			case "mermaid":
				return render.Mermaid(s.out, r, all)
			}
			o := renderOptions(s)
			o.All = all
			return render.Explain(s.out, r, o)
		},
	}
	from.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&format, "format", "text", "text, json or mermaid")
	fl.StringArrayVar(&callers, "caller", nil, "a caller without Service Connect, KIND[:NAME]; KIND is "+kindWords()+" (may repeat)")
	fl.BoolVar(&all, "all", false, "show the paths that nobody is likely to use too")
	return cmd
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
