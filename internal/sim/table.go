package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// Run simulates and writes the table in the asked format. It returns an error
// with fail.Finding when a promise does not hold, after writing the table.
func Run(ctx context.Context, o Options, w io.Writer) error {
	if o.Runs < 1 {
		return fail.Newf(fail.Usage, fmt.Sprintf("leave it out for %d", DefaultRuns), "%d runs: expected 1 or more", o.Runs)
	}
	if o.Only != "" && o.Only != OnlyRuns && o.Only != OnlyFiles {
		return fail.Newf(fail.Usage, "leave it out for both", "part %q of the table: expected %s or %s", o.Only, OnlyRuns, OnlyFiles)
	}
	r, err := Simulate(ctx, o)
	if err != nil {
		return err
	}
	switch o.Format {
	case "", "text":
		err = writeText(w, r)
	case "markdown":
		err = writeMarkdown(w, r)
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	default:
		return fail.Newf(fail.Usage, "", "format %q: expected text, markdown or json", o.Format)
	}
	if err == nil && !r.Holds() {
		return fail.Newf(fail.Finding, "run it with more --runs: chance alone moves a coverage by two standard errors",
			"a coverage that hoplab promises lies outside %.0f to %.0f %%", 100*MinCoverage, 100*MaxCoverage)
	}
	return err
}

// lines are the table's cells as text, a header first. Rows without a delay
// give false alarms, which is what one looks for there.
func (r *Result) lines() [][]string {
	out := [][]string{{"design", "noise", "delay", "", "p50", "p90", "p99", "half-width µs"}}
	for _, row := range r.Rows {
		kind := "covers"
		switch {
		case row.promise == fewClaims:
			kind = "false claims"
		case row.DelayUs == 0:
			kind = "false alarms"
		}
		line := []string{row.Design, row.Noise, row.delay(), kind}
		var half []string
		for _, c := range row.Cells {
			v := c.Coverage
			if row.DelayUs == 0 {
				v = 1 - v
			}
			line = append(line, fmt.Sprintf("%.1f %%", 100*v))
			if c.HalfWidthUs == 0 {
				half = append(half, "–")
				continue
			}
			half = append(half, fmt.Sprintf("%.0f", c.HalfWidthUs))
		}
		out = append(out, append(line, strings.Join(half, " / ")))
	}
	return out
}

func (row *Row) delay() string {
	if row.DelayUs == 0 {
		return "none"
	}
	text := fmt.Sprintf("%g ms", row.DelayUs/1e3)
	switch {
	case row.Cold:
		text += fmt.Sprintf(" on the first %g %%", 100*row.Share)
	case row.ClusterS > 0:
		text += fmt.Sprintf(" on %g %%, in stretches of %g s", 100*row.Share, row.ClusterS)
	case row.Share < 1:
		text += fmt.Sprintf(" on %g %%", 100*row.Share)
	}
	return text
}

// note explains the table under it.
func (r *Result) note() string {
	return fmt.Sprintf("%d runs of each row, seed %d; chance moves a coverage of 95 %% by ±%.1f points (two standard errors). The wanted false-alarm rate is 5 %%, the wanted coverage 95 %%.",
		r.Runs, r.Seed, 200*math.Sqrt(0.95*0.05/float64(r.Runs)))
}

func writeText(w io.Writer, r *Result) error {
	lines := r.lines()
	width := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, c := range l {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	var b strings.Builder
	for _, l := range lines {
		for i, c := range l {
			pad := strings.Repeat(" ", width[i]-len([]rune(c)))
			if i >= 4 {
				c = pad + c
			} else if i < len(l)-1 {
				c += pad
			}
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(c)
		}
		b.WriteString("\n")
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", b.String(), r.note())
	return err
}

func writeMarkdown(w io.Writer, r *Result) error {
	var b strings.Builder
	for i, l := range r.lines() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(l, " | "))
		if i == 0 {
			b.WriteString("|---|---|---|---|---:|---:|---:|---:|\n")
		}
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", b.String(), r.note())
	return err
}
