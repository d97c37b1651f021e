package sim

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/call"
)

// Options of a simulation.
type Options struct {
	Runs   int    // seeded runs behind every cell; at least 300 for a figure worth printing
	Seed   uint64 // of everything
	Format string // "text", "markdown" or "json"
	Only   string // OnlyRuns, OnlyFiles, or "" for both
}

// DefaultRuns puts the standard error of a coverage near 95 % at 0.4 percentage
// points, against the 1.3 of 300 runs, whose chance alone would leave 93 to
// 97 % in one cell of nine.
const DefaultRuns = 3000

// Row is one design in one scenario.
type Row struct {
	Design  string  `json:"design"`
	Noise   string  `json:"noise"`
	DelayUs float64 `json:"delay_us"`
	Share   float64 `json:"share"` // of the requests that are delayed
	comes
	Runs    int    `json:"runs"`
	Cells   []Cell `json:"quantiles"`
	promise promise
}

// promise is what hoplab promises of a row.
type promise int

const (
	nothing   promise = iota
	covers            // MinCoverage to MaxCoverage
	atLeast           // MinCoverage: a stopping rule is valid for the worst case, and careful elsewhere
	fewClaims         // at most 5 % false claims
)

// Cell is one quantile of a row.
type Cell struct {
	Quantile float64 `json:"quantile"`
	TruthUs  float64 `json:"truth_us"` // mean of what the delay really did in each run
	// Coverage is the share of runs whose interval holds the truth; without a
	// delay, 1 - Coverage is the share of false alarms.
	Coverage    float64 `json:"coverage"`
	HalfWidthUs float64 `json:"half_width_us"` // mean; 0 where no interval may be claimed from
	BiasUs      float64 `json:"bias_us"`       // mean of the estimates less the truth
}

// Result is a simulation's table.
type Result struct {
	Schema string `json:"schema"`
	Seed   uint64 `json:"seed"`
	Runs   int    `json:"runs"`
	Rows   []Row  `json:"rows"`
}

// Schema is the value of Result.Schema.
const Schema = "hoplab/sim/v1"

// Limits of what hoplab promises of its own design.
const (
	MinCoverage = 0.93
	MaxCoverage = 0.97
)

// holds allows slack for what chance alone does in few runs.
func (p promise) holds(coverage, slack float64) bool {
	switch p {
	case covers:
		return coverage >= MinCoverage-slack && coverage <= MaxCoverage+slack
	case atLeast:
		return coverage >= MinCoverage-slack
	case fewClaims:
		return coverage >= 0.95-slack
	}
	return true
}

// Holds reports whether every promised cell keeps its coverage.
func (r *Result) Holds() bool {
	for _, row := range r.Rows {
		for _, c := range row.Cells {
			if !row.promise.holds(c.Coverage, 0) {
				return false
			}
		}
	}
	return true
}

// scenario is a noise, a delay and the designs to put through them.
type scenario struct {
	name    string
	noise   Noise
	delay   call.Delay
	comes   comes
	designs []design
}

func scenarios() []scenario {
	all := designs()
	hostile, level := Hostile(), Hostile()
	level.Offset = 0
	const with, without = "3 % offset per start", "no offset per start"
	out := []scenario{{with, hostile, call.Delay{}, comes{}, all}}
	for _, share := range []float64{1, 0.02} {
		for _, us := range []float64{200, 500, 1000, 5000} {
			out = append(out, scenario{with, hostile, call.Delay{Spin: time.Duration(us) * time.Microsecond,
				Share: share}, comes{}, all[:1]})
		}
	}
	return append(out, scenario{without, level, call.Delay{}, comes{}, all})
}

// Parts of the table, for Options.Only.
const (
	OnlyRuns  = "runs"  // hoplab's own experiments and other designs
	OnlyFiles = "files" // files that hoplab did not plan
)

// chosen are the scenarios of a part of the table, each with its place, on which
// its random numbers depend.
func chosen(only string) map[int]scenario {
	runs, files := scenarios(), fileScenarios()
	out := map[int]scenario{}
	for i, sc := range runs {
		if only != OnlyFiles {
			out[i] = sc
		}
	}
	for i, sc := range files {
		if only != OnlyRuns {
			out[len(runs)+i] = sc
		}
	}
	return out
}

// Simulate computes the table. It uses all cores, ends early when ctx does,
// and gives the same result for the same options on any number of cores.
func Simulate(ctx context.Context, o Options) (*Result, error) {
	out := &Result{Schema: Schema, Seed: o.Seed, Runs: o.Runs}
	parts := chosen(o.Only)
	for _, i := range slices.Sorted(maps.Keys(parts)) {
		sc := parts[i]
		for k := range sc.designs {
			rows, err := sc.rows(ctx, &sc.designs[k], o, uint64(i*100+k))
			if err != nil {
				return nil, err
			}
			out.Rows = append(out.Rows, rows...)
		}
	}
	return out, nil
}

// score is what one run says of one quantile of one interval.
type score struct {
	covers                bool
	half, estimate, truth float64
}

// rows runs one design o.Runs times.
func (sc *scenario) rows(ctx context.Context, d *design, o Options, stream uint64) ([]Row, error) {
	scores := make([][][]score, o.Runs) // by run, outcome, quantile
	var next int
	var mu sync.Mutex
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1
	}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for r := take(); r < o.Runs && ctx.Err() == nil; r = take() {
				rng := rand.New(rand.NewPCG(o.Seed, stream<<32|uint64(r)))
				run := d.simulate(&sc.noise, sc.delay, rng)
				for k, intervals := range run.intervals {
					var s []score
					for q, i := range intervals {
						truth := aim(d.names[k], run.realised[q])
						s = append(s, score{!i.Excludes(truth), i.HalfWidth(), i.Estimate, truth})
					}
					scores[r] = append(scores[r], s)
				}
			}
		}()
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var rows []Row
	for k, name := range d.names {
		if name != d.names[0] && sc.delay.Us() != 0 {
			continue // the twin is not delayed, and the others are no promise
		}
		row := Row{Design: name, Noise: sc.name, DelayUs: sc.delay.Us(), Share: sc.delay.Share, comes: sc.comes, Runs: o.Runs,
			promise: promised[name]}
		for q := range Quantiles {
			c := Cell{Quantile: Quantiles[q]}
			for _, s := range scores {
				if s[k][q].covers {
					c.Coverage++
				}
				if !math.IsInf(s[k][q].half, 1) {
					c.HalfWidthUs += s[k][q].half
				}
				c.TruthUs += s[k][q].truth
				c.BiasUs += s[k][q].estimate - s[k][q].truth
			}
			for _, sum := range []*float64{&c.Coverage, &c.HalfWidthUs, &c.TruthUs, &c.BiasUs} {
				*sum /= float64(o.Runs)
			}
			row.Cells = append(row.Cells, c)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

var promised = map[string]promise{ours: covers, oursAA: covers, shorter: covers, stops: atLeast,
	oneFile: covers, coldFile: atLeast, twoRunsVerdict: fewClaims, replicateFiles: covers}

// aim is the truth of an interval: that of the A/A twin is 0.
func aim(name string, truth float64) float64 {
	if name == oursAA {
		return 0
	}
	return truth
}
