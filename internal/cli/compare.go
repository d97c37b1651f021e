package cli

import (
	"bytes"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/report"
)

// compareFlags are what compare is asked for beside its files.
type compareFlags struct {
	o      compare.Options
	sides  sideFlags
	where  []string
	skip   time.Duration
	format string
	page   string
}

func newCompare(s streams) *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare A B | --a F… --b F… | --by TAG F…",
		Short: "Compare result files that anybody made, access logs, or two runs: A − B",
		Long: `Compare results: files of plain k6 (--out json or --out csv), of vegeta encode,
access logs of an Application Load Balancer and of Service Connect agents,
sample files and run directories of hoplab. The report is A − B, with an
interval of the same quantity.

Two runs, one after the other, cannot tell a change from drift: their numbers
are shown and the verdict is "cannot tell" (exit 3). Several files a side are
replicates and carry a verdict; so do the values of a tag inside one file
(--by), if their requests took turns, and one run a side with --assume-steady,
if you vouch that nothing drifted.`,
		Example: `  hoplab compare with-agent.json without-agent.json
  hoplab compare --a with-*.json --b without-*.json --budget 'p99 <= +1ms'
  hoplab compare result.json.gz --by arm --values agent,bypass
  hoplab compare --by target_group alb.log.gz --agent-log agent.log
  hoplab compare runs/monday runs/friday`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.read(cmd, args); err != nil {
				return err
			}
			return f.run(s)
		},
	}
	fl := cmd.Flags()
	f.sides.flags = fl
	fl.Var(sideFlag{&f.sides, 0}, "a", "files of side A, each a replicate; more may follow as F…")
	fl.Var(sideFlag{&f.sides, 1}, "b", "files of side B, which the others are compared with")
	fl.StringVar(&f.o.By, "by", "", "the tag that names the arm of each request; several files are replicates, or the parts of one log")
	fl.StringSliceVar(&f.o.Values, "values", nil, "values of --by in order; the last is what the others are compared with")
	fl.StringVar(&f.o.Metric, "metric", compare.DefaultMetric,
		"the metric to compare: of k6 a trend of times, of an ALB's log one of its times")
	fl.StringArrayVar(&f.where, "where", nil, "keep only requests with tag=value, or tag!=value (may repeat)")
	fl.DurationVar(&f.skip, "skip", 0, "leave out the beginning of each file, e.g. 30s of warm-up")
	fl.BoolVar(&f.o.AssumeSteady, "assume-steady", false, "vouch that nothing drifted between separate runs; the report says so")
	fl.StringArrayVar(&f.o.AgentLog, "agent-log", nil,
		"access log of Service Connect agents that proves which requests of an ALB's log passed one (may repeat)")
	fl.Float64Var(&f.o.Level, "level", 0, "confidence level (default 0.95)")
	fl.StringArrayVar(&f.o.Budgets, "budget", nil,
		"a limit on the difference: 'p99 <= +2ms', 'mean <= +200us' or 'above 5ms <= +0.5%' (may repeat)")
	fl.StringVar(&f.format, "format", "text", "text, json, markdown or junit")
	fl.StringVar(&f.page, "html", "", "write the page to this file too")
	return cmd
}

// read checks the flags and fills in the options.
func (f *compareFlags) read(cmd *cobra.Command, args []string) error {
	if err := oneOf("format", f.format, formats...); err != nil {
		return err
	}
	if cmd.Flags().Changed("level") && !(f.o.Level >= 0.5 && f.o.Level < 1) {
		return fail.Newf(fail.Usage, "0.95 is 95 %", "--level %v: expected 0.5 or more, below 1", f.o.Level)
	}
	if f.skip < 0 {
		return fail.Newf(fail.Usage, "e.g. --skip 30s", "--skip %v: expected a time of 0 or more", f.skip)
	}
	f.o.SkipS = f.skip.Seconds()
	for _, text := range f.where {
		filter, err := compare.ParseFilter(text)
		if err != nil {
			return err
		}
		f.o.Where = append(f.o.Where, filter)
	}
	return f.sides.deal(args, &f.o)
}

// run compares, writes the page if one is wanted, and prints the result.
func (f *compareFlags) run(s streams) error {
	// What is kept is small beside what is read: collecting twice as often
	// costs little, and memory is what a large file is feared for.
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	result, err := compare.Run(f.o)
	if err != nil {
		return err
	}
	if f.page != "" {
		var b bytes.Buffer
		if err := report.HTML(&b, result); err != nil {
			return err
		}
		if err := os.WriteFile(f.page, b.Bytes(), 0o644); err != nil {
			return fail.Newf(fail.Environment, "choose another --html", "cannot write the page: %w", err)
		}
	}
	return printResult(s, result, f.format)
}

// sideFlags collects --a F… --b F…: a flag takes the file after it, and the
// arguments up to the next of the two belong to it too.
type sideFlags struct {
	flags *pflag.FlagSet
	sides [2][]string
	turns []turn
}

// turn says that from this argument on files belong to a side.
type turn struct{ from, side int }

// sideFlag is --a or --b.
type sideFlag struct {
	of   *sideFlags
	side int
}

func (f sideFlag) String() string { return "" }
func (f sideFlag) Type() string   { return "F…" }
func (f sideFlag) Set(path string) error {
	f.of.sides[f.side] = append(f.of.sides[f.side], path)
	f.of.turns = append(f.of.turns, turn{f.of.flags.NArg(), f.side})
	return nil
}

// deal fills in the files of both sides.
func (f *sideFlags) deal(args []string, o *compare.Options) error {
	if len(f.turns) == 0 {
		o.A = args
		if o.By == "" {
			if len(args) != 2 {
				return fail.Newf(fail.Usage,
					"name two results, several a side with --a F… --b F…, or files with --by TAG", "expected two results, got %d", len(args))
			}
			o.A, o.B = args[:1], args[1:]
		}
		if len(o.A) == 0 {
			return fail.Newf(fail.Usage, "see hoplab compare --help", "--by %s takes files, got none", o.By)
		}
		return nil
	}
	for i, path := range args {
		side := -1
		for _, t := range f.turns {
			if t.from <= i {
				side = t.side
			}
		}
		if side < 0 {
			return fail.Newf(fail.Usage, "put it behind --a or --b", "%s belongs to neither side", path)
		}
		f.sides[side] = append(f.sides[side], path)
	}
	o.A, o.B = f.sides[0], f.sides[1]
	if len(o.A) == 0 || len(o.B) == 0 {
		return fail.Newf(fail.Usage, "give both: --a F… --b F…", "only one side has files")
	}
	return nil
}
