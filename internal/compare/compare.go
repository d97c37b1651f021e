package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
)

// Options says what to compare.
type Options struct {
	// A and B are result files or run directories; the report is A - B. With By
	// set, B is empty and the arms are values of a tag inside A.
	A, B string
	// By is the tag that names the arm of each request. Its values are taken in
	// Values' order, or sorted when Values is empty; the last one is what the
	// others are compared with.
	By     string
	Values []string
	// Metric is the k6 metric to compare; http_req_duration when empty.
	Metric  string
	WindowS float64 // 2 when 0
	Level   float64 // 0.95 when 0
	Budgets []string
}

// DefaultMetric is k6's time from the first byte sent to the last received.
const DefaultMetric = "http_req_duration"

// maxArms bounds the values of a tag: more are a wrong tag, such as a URL.
const maxArms = 16

// Run reads the files and compares them. Errors name file and line, and carry
// fail.Usage; what the data cannot answer is a verdict, not an error.
func Run(o Options) (*summary.Result, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	p := plan.Plan{Quantiles: []float64{0.5, 0.9, 0.99}}
	for _, b := range o.Budgets {
		if err := p.AddBudget(b); err != nil {
			return nil, err
		}
	}
	a, err := openInput(o.A)
	if err != nil {
		return nil, err
	}
	if o.By != "" {
		return o.byTag(a, &p)
	}
	b, err := openInput(o.B)
	if err != nil {
		return nil, err
	}
	if a.run != nil && b.run != nil {
		return analysis.Runs(a.run, b.run, p.Budgets)
	}
	for _, in := range []*input{a, b} {
		if in.run != nil {
			return nil, fail.Newf(fail.Usage, "compare two run directories, or two result files", "%s is a run directory and the other is not", in.path)
		}
	}
	return o.apart(a, b, &p)
}

func (o *Options) fill() error {
	switch {
	case o.A == "":
		return fail.Newf(fail.Usage, "hoplab compare A B", "no file to compare")
	case o.By == "" && o.B == "":
		return fail.Newf(fail.Usage, "name a second file, or the tag that tells the arms apart with --by", "only one file to compare: %s", o.A)
	case o.By != "" && o.B != "":
		return fail.Newf(fail.Usage, "give one file with --by, or two files without", "--by %s and two files", o.By)
	case o.By == "" && len(o.Values) > 0:
		return fail.Newf(fail.Usage, "add --by TAG", "values %s of no tag", strings.Join(o.Values, ", "))
	}
	if o.Metric == "" {
		o.Metric = DefaultMetric
	}
	if o.WindowS == 0 {
		o.WindowS = 2
	}
	if o.Level == 0 {
		o.Level = 0.95
	}
	return nil
}

func (o *Options) foreign(p *plan.Plan, arms []string, apart bool) (*analysis.Foreign, error) {
	return analysis.NewForeign(analysis.ForeignOptions{Arms: arms, Quantiles: p.Quantiles, Level: o.Level,
		WindowS: o.WindowS, Budgets: p.Budgets, Apart: apart})
}

// apart compares two files, each of which is one arm.
func (o *Options) apart(a, b *input, p *plan.Plan) (*summary.Result, error) {
	names := []string{a.name(), b.name()}
	if names[0] == names[1] {
		names = []string{"A: " + names[0], "B: " + names[1]}
	}
	f, err := o.foreign(p, names, true)
	if err != nil {
		return nil, err
	}
	for arm, in := range []*input{a, b} {
		var first time.Time
		any := false
		err := in.read(o.Metric, func(e event) error {
			if !any {
				first, any = e.at, true
			}
			f.Add(arm, e.at.Sub(first), e.latency, e.tags.why)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !any {
			return nil, in.nothing(o.Metric)
		}
	}
	return f.Result(names[0] + " - " + names[1])
}

// byTag compares the values of a tag inside one file. Unless they were named,
// the values are those of the file's beginning; should another one come later,
// the whole file is searched for values first and read once more.
func (o *Options) byTag(in *input, p *plan.Plan) (*summary.Result, error) {
	if in.run != nil {
		return nil, fail.Newf(fail.Usage, "use hoplab report "+in.path, "%s is a run directory: its arms are compared already", in.path)
	}
	if len(o.Values) > 0 {
		return o.byValues(in, p, o.Values, true)
	}
	for _, most := range []int{firstLook, math.MaxInt} {
		values, err := o.valuesIn(in, most)
		if err != nil {
			return nil, err
		}
		if len(values) < 2 && most == firstLook {
			continue
		}
		r, err := o.byValues(in, p, values, false)
		if !errors.Is(err, errNewValue) {
			return r, err
		}
	}
	return nil, in.unreadable(errors.New("the file changed while it was read"))
}

// firstLook is how many requests are searched for the values of a tag before
// the file is read in earnest.
const firstLook = 2_000

var (
	errNewValue = errors.New("a value that the file's beginning did not have")
	errEnough   = errors.New("enough seen")
)

// byValues reads the file once. Requests with another value of the tag are left
// out when the values were named, and errNewValue otherwise; requests without
// the tag are always left out.
func (o *Options) byValues(in *input, p *plan.Plan, values []string, named bool) (*summary.Result, error) {
	f, err := o.foreign(p, values, false)
	if err != nil {
		return nil, err
	}
	const absent, other = -1, -2
	arms := map[*tagSet]int{}
	var first time.Time
	any := false
	err = in.read(o.Metric, func(e event) error {
		arm, known := arms[e.tags]
		if !known {
			value, there := e.tags.values[o.By]
			switch arm = slices.Index(values, value); {
			case !there || value == "":
				arm = absent
			case arm < 0:
				arm = other
			}
			if len(arms) == maxTails {
				clear(arms)
			}
			arms[e.tags] = arm
		}
		if arm == other && !named {
			return errNewValue
		}
		if arm < 0 {
			return nil
		}
		if !any {
			first, any = e.at, true
		}
		f.Add(arm, e.at.Sub(first), e.latency, e.tags.why)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !any {
		return nil, in.nothing(o.Metric + " with " + o.By + " " + strings.Join(values, ", "))
	}
	return f.Result(in.name() + " by " + o.By)
}

// valuesIn lists the values of the tag among the first requests, sorted.
func (o *Options) valuesIn(in *input, most int) ([]string, error) {
	var values []string
	seen := map[*tagSet]bool{}
	points := 0
	read := in.read
	if most == firstLook {
		read = in.readFront
	}
	err := read(o.Metric, func(e event) error {
		if points++; points > most {
			return errEnough
		}
		if seen[e.tags] {
			return nil
		}
		if len(seen) == maxTails {
			clear(seen)
		}
		seen[e.tags] = true
		if v := e.tags.values[o.By]; v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
		if len(values) > maxArms {
			return fmt.Errorf("tag %q has more than %d values; name two with --values", o.By, maxArms)
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
	case err != nil:
		return nil, err
	case points == 0:
		return nil, in.nothing(o.Metric)
	case len(values) < 2:
		return nil, fail.Newf(fail.Usage, "name a tag that tells the arms apart", "%s: tag %q has %d value(s); a comparison needs two", in.path, o.By, len(values))
	}
	slices.Sort(values)
	return values, nil
}
