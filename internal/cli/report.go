package cli

import (
	"bytes"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/summary"
)

// formats are the renderings of a result on stdout.
var formats = []string{"text", "json", "markdown", "junit"}

func newReport(s streams) *cobra.Command {
	var format string
	var o analysis.Options
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Render a run again, byte for byte the same",
		Long: `Render a run again from its plan, samples and evidence, byte for byte the same.
Rewrites summary.json, report.html and report.md in DIR and prints the
comparison. The exit code is the verdict's. A run of which too few replicates
count for what it was planned to see cannot tell, unless --partial asks for what
they show.`,
		Example: "  hoplab report docs/sample-run\n  hoplab report docs/sample-run --format markdown >comment.md",
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := oneOf("format", format, formats...); err != nil {
				return err
			}
			dir, err := run.Open(args[0])
			if err != nil {
				return err
			}
			return renderRun(s, dir, format, o)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, json, markdown or junit")
	cmd.Flags().BoolVar(&o.Partial, "partial", false, "claim also from so few replicates that the plan's power is lost")
	return cmd
}

// renderRun analyses a run directory, writes its files and prints the result,
// also when the files cannot be written.
func renderRun(s streams, dir *run.Dir, format string, o analysis.Options) error {
	result, err := analysis.AnalyzeWith(dir, o)
	if err != nil {
		return err
	}
	wrote := writeResult(dir, result)
	err = printResult(s, result, format)
	if wrote != nil {
		return wrote
	}
	return err
}

// writeResult replaces the renderings in a run directory.
func writeResult(dir *run.Dir, result *summary.Result) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{run.SummaryFile, func(w io.Writer) error { return report.JSON(w, &result.Summary) }},
		{run.HTMLFile, func(w io.Writer) error { return report.HTML(w, result) }},
		{run.MarkdownFile, func(w io.Writer) error { return report.Markdown(w, result) }},
	} {
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return err
		}
		if err := dir.WriteFile(f.name, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// printResult prints a result and turns its verdict into the exit code.
func printResult(s streams, result *summary.Result, format string) error {
	var err error
	switch format {
	case "json":
		err = report.JSON(s.out, &result.Summary)
	case "markdown":
		err = report.Markdown(s.out, result)
	case "junit":
		err = report.JUnit(s.out, &result.Summary)
	default:
		err = report.Text(s.out, &result.Summary, textOptions(s.out))
	}
	if err != nil {
		return err
	}
	return answer(analysis.Code(&result.Summary))
}

// textOptions asks for colour only on a terminal, and never when NO_COLOR is set.
func textOptions(w io.Writer) report.TextOptions {
	o := report.TextOptions{Width: 80}
	f, ok := fileOf(w)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return o
	}
	o.Color = os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 80 {
		o.Width = width
	}
	return o
}
