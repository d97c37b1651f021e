package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/sim"
)

// restartS is about how long a start of everything takes on the lab, beside
// the load: processes, first health checks, k6.
const restartS = 0.8

func newPlan(s streams) *cobra.Command {
	var f planFlags
	var format, like string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what a run would do, how long it takes and what effect it can see",
		Long: `Say before a run what it would do: arms, requests, time, and the smallest
difference that it would tell from zero in four of five runs, at each quantile.
Without --like the machine is the simulator's: a 3 ms service under hostile
noise. With --like it is as an earlier run found this one.`,
		Example: `  hoplab plan
  hoplab plan --like runs/20261121-093000 --replicates 10
  hoplab plan --replicates 10 --duration 20s --arms agent,bypass,mesh
  hoplab plan --format json >plan.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("format", format, "text", "json", "k6-operator"); err != nil {
				return err
			}
			p, err := f.plan(cmd, drawSeed)
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return writeJSON(s, p)
			case "k6-operator":
				return awsrun.K6Operator(s.out, p)
			}
			m, err := machineLike(like, &p)
			if err != nil {
				return err
			}
			return printPlan(s, &p, m)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, json, or k6-operator (a TestRun for Kubernetes)")
	cmd.Flags().StringVar(&like, "like", "", "take the machine's noise from this run")
	return cmd
}

// machineLike is the machine that an earlier run found, or the simulator's.
func machineLike(dir string, p *plan.Plan) (plan.Machine, error) {
	if dir == "" {
		noise := sim.Hostile()
		return noise.Machine("the simulator's machine (a 3 ms service, hostile noise)", p.Quantiles), nil
	}
	d, err := run.Open(dir)
	if err != nil {
		return plan.Machine{}, err
	}
	m, err := analysis.Machine(d)
	if err == nil && len(m.Points) == 0 {
		err = fail.Newf(fail.CannotTell, "give a run with two or more complete replicates", "%s says nothing of the machine's noise", dir)
	}
	return m, err
}

func printPlan(s streams, p *plan.Plan, m plan.Machine) error {
	printable.Fprintf(s.out, "%s, design %s: %d replicates of %g s after %g s of warm-up, windows of %g s\n",
		p.Profile, p.Design, p.Replicates, p.ReplicateS, p.WarmupS, p.WindowS)
	took := time.Duration((p.Seconds() + float64(p.Replicates)*restartS) * float64(time.Second)).Round(time.Second)
	printable.Fprintf(s.out, "%g requests/s over %d arms, %s measured requests in all; about %s\n\n",
		p.RatePerS, len(p.Arms), quantity.Count(int64(math.Round(p.Requests()))), took)
	tw := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "arm\tshare\tpath")
	for i, a := range p.Arms {
		path := strings.Join(a.Path, " → ")
		if a.TwinOf != "" {
			path += "  (A/A twin of " + a.TwinOf + ")"
		}
		printable.Fprintf(tw, "%s\t%.0f %%\t%s\n", a.Name, 100*p.Share(i), path)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return printSight(s, p, m)
}

func printSight(s streams, p *plan.Plan, m plan.Machine) error {
	sights := p.Sees(m)
	if len(sights) == 0 || p.Design == plan.DesignArticle {
		_, err := fmt.Fprintln(s.out, "\nThis design cannot tell an effect from drift, so it has no smallest visible effect.")
		return err
	}
	printable.Fprintf(s.out, "\nOn %s, the difference %s:\n", m.Name, sights[0].Of)
	tw := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, v := range sights {
		name := plan.QuantileName(v.Quantile)
		switch {
		case !v.MayClaim:
			printable.Fprintf(tw, "  %s\tno claim: too few requests lie beyond it; replicates of %.0f s would do\n", name, math.Ceil(v.ReplicateS))
		case math.IsInf(v.SmallestUs, 1):
			printable.Fprintf(tw, "  %s\tno interval from %d replicate\n", name, p.Replicates)
		default:
			limit := "more requests narrow it"
			if v.ByStarts {
				limit = "more replicates narrow it, more requests do not"
			}
			printable.Fprintf(tw, "  %s\tinterval ± %s\tsees %s in four of five runs\t%s\n",
				name, micros(v.HalfWidthUs), micros(v.SmallestUs), limit)
		}
	}
	return tw.Flush()
}

// micros writes a duration in µs for a forecast: two digits are plenty.
func micros(us float64) string {
	if us >= 1000 {
		return twoDigits(us/1000) + " ms"
	}
	return twoDigits(us) + " µs"
}

func twoDigits(v float64) string {
	if v <= 0 {
		return "0"
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return strconv.FormatFloat(math.Round(v/unit)*unit, 'f', max(0, -int(math.Round(math.Log10(unit)))), 64)
}
