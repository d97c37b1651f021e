package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/topology"
)

// checkFlags are what check is asked for beside its paths.
type checkFlags struct {
	from     sourceFlags
	format   string
	failOn   string
	suppress string
	before   string
	show     string
	all      bool
}

func newCheck(s streams) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [PATH...]",
		Short: "Find what is wrong with a deployment, before it is deployed",
		Long: `Check a deployment before it exists: follow each caller through security
groups, port modes, agents and containers, and say what breaks, where, and
which rule mends it. PATH is a CloudFormation template (JSON or YAML), a cloud
assembly (cdk.out), a directory with a cdk.json, a directory of .tf files, or
the JSON of terraform show. Without PATH it reads ./cdk.out or synthesizes the
app in the working directory.

` + appHelp + `

With --before, which names the source of what is deployed now, the change itself
is checked too: what CloudFormation cannot carry out, and what is lost by it.

A finding is accepted in the template's Metadata or in ` + check.SuppressFile + `,
with a reason. The exit code is 1 when a finding of severity error is left, or
of severity warning with --fail-on warning, and 3 when the source holds nothing
that hoplab checks.`,
		Example: `  hoplab check cdk.out
  hoplab check template.yaml --param Vpc=vpc-1 --format sarif >findings.sarif
  hoplab check . -c arms=both --fail-on warning
  hoplab check infra/ --var enable_alb_egress=true
  hoplab check cdk.out --before deployed/cdk.out`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, s, args) },
	}
	f.from.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "text", "text, json, sarif, or markdown (for a comment)")
	fl.StringVar(&f.failOn, "fail-on", "error", "the severity that fails the check: error or warning")
	fl.StringVar(&f.suppress, "suppress", "", "file of accepted findings (default "+check.SuppressFile+" beside the first PATH)")
	fl.StringVar(&f.before, "before", "", "PATH of the source of what is deployed now, to check the change")
	fl.StringVar(&f.show, "show", "note", "the least severity to print: note, warning or error")
	fl.BoolVar(&f.all, "all", false, "show suppressed findings too")
	return cmd
}

func (f *checkFlags) run(cmd *cobra.Command, s streams, args []string) error {
	if err := errors.Join(oneOf("format", f.format, "text", "json", "sarif", "markdown"),
		oneOf("fail-on", f.failOn, "error", "warning"), oneOf("show", f.show, "note", "warning", "error")); err != nil {
		return err
	}
	entries, err := suppressions(f.suppress, args)
	if err != nil {
		return err
	}
	t, err := f.from.load(cmd.Context(), s, args)
	if err != nil {
		return err
	}
	o := check.Options{Suppress: entries}
	if f.before != "" {
		if o.Before, err = f.from.loadBefore(cmd.Context(), s, f.before, t, args); err != nil {
			return err
		}
	}
	findings, err := check.Run(t, o)
	if err != nil {
		return err
	}
	if err := writeFindings(s, t, atLeast(findings, f.show), f.format, f.all); err != nil {
		return err
	}
	if len(findings) == 0 && check.Nothing(t) {
		return fail.Newf(fail.CannotTell, "give the templates or the module that declare it; what was not read is listed above",
			"nothing to check was found in %s: hoplab looks for %s", t.Name, check.Looked)
	}
	return answer(findingsCode(findings, f.failOn))
}

// atLeast leaves out findings below a severity; they count for nothing else.
func atLeast(findings []check.Finding, name string) []check.Finding {
	least, err := check.ParseSeverity(name)
	if err != nil {
		return findings
	}
	return slices.DeleteFunc(slices.Clone(findings), func(f check.Finding) bool { return f.Severity < least })
}

func writeFindings(s streams, t *topology.Topology, findings []check.Finding, format string, all bool) error {
	switch format {
	case "json":
		return check.JSON(s.out, t.Name, findings)
	case "markdown":
		return check.Markdown(s.out, t.Name, findings)
	case "sarif":
		root, err := os.Getwd()
		if err != nil {
			return err
		}
		return check.SARIF(s.out, findings, check.SARIFOptions{Version: readVersion().Hoplab, Root: root, Source: t.Name})
	}
	o := renderOptions(s)
	o.All = all
	if len(findings) == 0 && check.Nothing(t) {
		return noteUnknowns(s, t)
	}
	if err := check.Text(s.out, findings, o); err != nil {
		return err
	}
	return noteUnknowns(s, t)
}

// noteUnknowns says what the source leaves open: it weakens every answer that needs it.
func noteUnknowns(s streams, t *topology.Topology) error {
	if len(t.Unknowns) == 0 {
		return nil
	}
	what := "1 value is"
	if n := len(t.Unknowns); n > 1 {
		what = fmt.Sprintf("%d values are", n)
	}
	printable.Fprintf(s.out, "\n%s not settled by the source; answers that need it say unknown:\n", what)
	for i, n := range t.Unknowns {
		if i == 5 {
			printable.Fprintf(s.out, "  … and %d more\n", len(t.Unknowns)-i)
			break
		}
		text := n.Text
		if !strings.HasPrefix(text, n.Origin.File+":") {
			text = fmt.Sprintf("%s:%d: %s", n.Origin.File, n.Origin.Line, text)
		}
		printable.Fprintf(s.out, "  %s\n", text)
	}
	return nil
}

func findingsCode(findings []check.Finding, failOn string) fail.Code {
	limit := check.Error
	if failOn == "warning" {
		limit = check.Warning
	}
	if worst, any := check.Worst(findings); any && worst >= limit {
		return fail.Finding
	}
	return fail.OK
}

// suppressions reads the named file, or the usual one beside the first path
// or in the working directory when it is there.
func suppressions(path string, args []string) ([]check.SuppressEntry, error) {
	candidates := []string{path}
	if path == "" {
		candidates = []string{check.SuppressFile}
		if len(args) > 0 {
			dir := args[0]
			if info, err := os.Stat(dir); err == nil && !info.IsDir() {
				dir = filepath.Dir(dir)
			}
			candidates = []string{filepath.Join(dir, check.SuppressFile), check.SuppressFile}
		}
	}
	for _, c := range candidates {
		var data []byte
		var err error
		if path == "" { // nobody named it
			data, err = bounded.ReadBelow(filepath.Dir(c), c, maxSuppressions)
		} else {
			data, err = bounded.Read(c, maxSuppressions)
		}
		if errors.Is(err, fs.ErrNotExist) && path == "" {
			continue
		}
		if err != nil {
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err
			}
			return nil, fail.Newf(fail.Usage, "check the path after --suppress", "cannot read %s: %w", c, err)
		}
		return check.ParseSuppressions(c, bytes.NewReader(data))
	}
	return nil, nil
}

// maxSuppressions bounds a suppression file, in bytes.
const maxSuppressions = 1 << 20

func renderOptions(s streams) render.TextOptions {
	o := textOptions(s.out)
	return render.TextOptions{Width: o.Width, Color: o.Color}
}
