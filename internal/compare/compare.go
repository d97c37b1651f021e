package compare

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/summary"
)

// Options says what to compare.
type Options struct {
	// A and B are result files or run directories; the report is A - B. Several
	// files a side are replicates. With By set, B is empty and the arms are values
	// of a tag inside each file of A: replicates too, or the parts of one log.
	A, B []string
	// By is the tag that names the arm of each request. Its values are taken in
	// Values' order, or sorted when Values is empty; the last one is what the
	// others are compared with.
	By     string
	Values []string
	// Metric is what to compare; http_req_duration when empty. An access log of a
	// load balancer then gives target_processing_time, one of an agent its duration.
	Metric string
	// Where keeps only requests that every filter matches.
	Where []Filter
	// SkipS cuts the first seconds of each file, as a warm-up.
	SkipS float64
	Level float64 // 0.95 when 0
	// Budgets limit quantiles ("p99 <= +2ms"), the mean ("mean <= +200us") or a
	// share of requests ("above 5ms <= +0.5%").
	Budgets []string
	// AssumeSteady says that nothing drifted between separate runs: then one run
	// a side may carry a verdict. The report says who vouched for it.
	AssumeSteady bool
	// AgentLog are access logs of Service Connect agents, to be joined with those
	// of a load balancer: they prove which requests passed an agent.
	AgentLog []string
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
	budgets, err := parseBudgets(o.Budgets)
	if err != nil {
		return nil, err
	}
	a, err := openAll(o.A)
	if err != nil {
		return nil, err
	}
	b, err := openAll(o.B)
	if err != nil {
		return nil, err
	}
	if r, err := o.special(a, b, budgets); r != nil || err != nil {
		return r, err
	}
	c := &comparison{o: &o, budgets: budgets, quantiles: reported(budgets)}
	if o.By != "" {
		err = c.byTag(a)
	} else {
		err = c.sides(a, b)
	}
	if err == nil {
		err = c.copies()
	}
	if err != nil {
		return nil, err
	}
	return c.result()
}

func (o *Options) fill() error {
	switch {
	case len(o.A) == 0:
		return fail.Newf(fail.Usage, "hoplab compare A B", "no file to compare")
	case o.By == "" && len(o.B) == 0:
		return fail.Newf(fail.Usage, "name a second file, or the tag that tells the arms apart with --by",
			"only one file to compare: %s", o.A[0])
	case o.By != "" && len(o.B) > 0:
		return fail.Newf(fail.Usage, "give files of one kind with --by, or two sides without", "--by %s and two sides", o.By)
	case o.By == "" && len(o.Values) > 0:
		return fail.Newf(fail.Usage, "add --by TAG", "values %s of no tag", strings.Join(o.Values, ", "))
	}
	if o.Metric == "" {
		o.Metric = DefaultMetric
	}
	if o.Level == 0 {
		o.Level = 0.95
	}
	if !(o.Level >= 0.5 && o.Level < 1) {
		return fail.Newf(fail.Usage, "0.95 is 95 %", "level %v: expected 0.5 or more, below 1", o.Level)
	}
	return nil
}

func openAll(paths []string) ([]*input, error) {
	var out []*input
	for _, p := range paths {
		in, err := openInput(p)
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	return out, nil
}

// special compares what holds no single requests of its own: run directories and
// k6's summaries. It returns nil, nil for result files.
func (o *Options) special(a, b []*input, budgets []budget) (*summary.Result, error) {
	all := slices.Concat(a, b)
	isRun := func(in *input) bool { return in.run != nil }
	isSummary := func(in *input) bool { return in.form == formSummary }
	if i := slices.IndexFunc(all, isRun); i >= 0 {
		switch {
		case o.By != "":
			return nil, fail.Newf(fail.Usage, "use hoplab report "+all[i].path,
				"%s is a run directory: its arms are compared already", all[i].path)
		case len(a) != 1 || len(b) != 1 || !isRun(a[0]) || !isRun(b[0]):
			return nil, fail.Newf(fail.Usage, "compare two run directories, or result files",
				"%s is a run directory and another is not, or there are more than two", all[i].path)
		}
		if sameRun(a[0].run, b[0].run) {
			return nil, fail.Newf(fail.Usage, "give two runs", "%s and %s are the same run", a[0].path, b[0].path)
		}
		limits, err := planBudgets(budgets)
		if err != nil {
			return nil, err
		}
		return analysis.Runs(a[0].run, b[0].run, limits)
	}
	if i := slices.IndexFunc(all, isSummary); i >= 0 {
		if o.By != "" || len(a) != 1 || len(b) != 1 || !isSummary(a[0]) || !isSummary(b[0]) {
			return nil, fail.Newf(fail.Usage, stepOutJSON, "%s is a summary of k6 and holds no single requests", all[i].path)
		}
		return compareSummaries(a[0], b[0], o.Metric)
	}
	return nil, nil
}

// sameRun reports whether two directories hold one run, the one or a copy.
func sameRun(a, b *run.Dir) bool {
	return a.Path == b.Path || a.Env.Run == b.Env.Run && a.Env.StartedUTC == b.Env.StartedUTC && a.Env.StartedUTC != ""
}

// reported are the quantiles to report: the usual ones and those of budgets.
func reported(budgets []budget) []float64 {
	p := plan.Plan{Quantiles: []float64{0.5, 0.9, 0.99}}
	for _, b := range budgets {
		if b.quantile > 0 {
			p.AddQuantile(b.quantile)
		}
	}
	return p.Quantiles
}

// byTag reads files whose arms are values of a tag: one recording each, or one
// recording of all when they are parts of a log.
func (c *comparison) byTag(files []*input) error {
	sets := [][]*input{files}
	if !files[0].form.isLog() {
		sets = sets[:0]
		for _, f := range files {
			sets = append(sets, []*input{f})
		}
	}
	for _, set := range sets {
		r, err := c.o.gather(set, "")
		if err != nil {
			return err
		}
		c.recordings = append(c.recordings, r)
	}
	names := c.o.Values
	if len(names) == 0 {
		for _, r := range c.recordings {
			for _, a := range r.arms {
				if !slices.Contains(names, a.name) {
					names = append(names, a.name)
				}
			}
		}
		slices.Sort(names)
	}
	if len(names) < 2 {
		return fail.Newf(fail.Usage, "name a tag that tells the arms apart: "+few(c.recordings[0].found.tagNames()),
			"%s: tag %q has only the value %s; a comparison needs two", files[0].path, c.o.By, strings.Join(names, ", "))
	}
	for _, name := range names {
		p := part{name: name}
		for _, r := range c.recordings {
			a := r.arm(name)
			if a == nil {
				return fail.Newf(fail.Usage, "choose among its values with --values", "%s: no request has %s = %s",
					r.in.path, c.o.By, name)
			}
			p.files = append(p.files, a)
		}
		c.parts = append(c.parts, p)
	}
	c.logs = files
	c.name = files[0].name() + " by " + c.o.By
	c.together = true
	return nil
}

// sides reads files of which each is one arm. Logs of one side belong together.
func (c *comparison) sides(a, b []*input) error {
	names := []string{a[0].name(), b[0].name()}
	if len(a) > 1 || len(b) > 1 || names[0] == names[1] {
		names = []string{"A", "B"}
	}
	for i, files := range [][]*input{a, b} {
		sets := [][]*input{files}
		if !files[0].form.isLog() {
			sets = sets[:0]
			for _, f := range files {
				sets = append(sets, []*input{f})
			}
		}
		p := part{name: names[i]}
		for _, set := range sets {
			r, err := c.o.gather(set, names[i])
			if err != nil {
				return err
			}
			c.recordings = append(c.recordings, r)
			p.files = append(p.files, r.arms[0])
		}
		c.parts = append(c.parts, p)
	}
	c.name = names[0] + " - " + names[1]
	if names[0] == "A" && len(a)+len(b) == 2 {
		c.name = a[0].path + " - " + b[0].path
	}
	c.together = c.sharesClock()
	return nil
}
