package cli

import (
	"bytes"
	"os"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/report"
)

func newCompare(s streams) *cobra.Command {
	var (
		o      compare.Options
		format string
		page   string
		window float64
	)
	cmd := &cobra.Command{
		Use:   "compare A [B]",
		Short: "Compare two result files of k6 that anybody made, or two runs: A − B",
		Long: `Compare two results: files of plain k6 (--out json or --out csv, gzip too), sample
files and run directories of hoplab. The report is A − B, with the statistics
of hoplab run where the data carries them, and a plain warning that separate
runs do not cancel drift. With --by the arms are values of a tag inside one file.`,
		Example: `  hoplab compare with-agent.json without-agent.json
  hoplab compare result.json.gz --by arm --values agent,bypass
  hoplab compare runs/monday runs/friday --budget 'p99 <= +1ms'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.By != "" && len(args) != 1 {
				return fail.Newf(fail.Usage, "see hoplab compare --help", "--by %s takes one file, got %d", o.By, len(args))
			}
			if o.By == "" && len(args) != 2 {
				return fail.Newf(fail.Usage, "name two results, or one with --by TAG", "expected two results, got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", format, formats...); err != nil {
				return err
			}
			if set := cmd.Flags().Changed; set("window") && !(window > 0 && window <= plan.MaxWindowS) {
				return fail.Newf(fail.Usage, "leave it out for 2 s", "--window %v: expected seconds above 0, up to %v", window, plan.MaxWindowS)
			} else if set("level") && !(o.Level >= 0.5 && o.Level < 1) {
				return fail.Newf(fail.Usage, "0.95 is 95 %", "--level %v: expected 0.5 or more, below 1", o.Level)
			}
			o.A, o.WindowS = args[0], window
			if len(args) == 2 {
				o.B = args[1]
			}
			result, err := compare.Run(o)
			if err != nil {
				return err
			}
			if page != "" {
				var b bytes.Buffer
				if err := report.HTML(&b, result); err != nil {
					return err
				}
				if err := os.WriteFile(page, b.Bytes(), 0o644); err != nil {
					return fail.Newf(fail.Environment, "choose another --html", "cannot write the page: %w", err)
				}
			}
			return printResult(s, result, format)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.By, "by", "", "the tag that names the arm of each request, inside one file")
	fl.StringSliceVar(&o.Values, "values", nil, "values of --by in order; the last is what the others are compared with")
	fl.StringVar(&o.Metric, "metric", compare.DefaultMetric, "the k6 metric to compare")
	fl.Float64Var(&window, "window", 0, "length of a window in seconds (default 2)")
	fl.Float64Var(&o.Level, "level", 0, "confidence level (default 0.95)")
	fl.StringArrayVar(&o.Budgets, "budget", nil, "a limit on the difference, e.g. 'p99 <= +2ms' (may repeat)")
	fl.StringVar(&format, "format", "text", "text, json, markdown or junit")
	fl.StringVar(&page, "html", "", "write the page to this file too")
	return cmd
}
