package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/hist"
	"github.com/hoplab/hoplab/internal/pooled"
)

// armData is what was counted of one arm in one file, or in the files of one log.
type armData struct {
	name     string
	hist     *hist.Hist // of the requests that were answered
	strata   []*stratum
	many     bool // more kinds of requests than are told apart; strata holds all in one
	requests int64
	failed   int64
	unknown  int64 // requests of which nothing says whether they failed
	byWhy    map[string]int64
	mix      map[string]map[string]int64 // requests by value of each of mixTags
	first    int64                       // Unix ms of the first and last request
	last     int64
	grid     int64 // the largest power of ten, in hist.Unit, of which all values are multiples
}

// stratum is the requests of one kind: the same scenario, name and method.
type stratum struct {
	kind     string
	mix      [3]string // its mixTags
	arm      pooled.Arm
	answered int64
}

// mixTags are the tags that say what a request asked for.
var mixTags = []string{"name", "scenario", "method"}

const (
	// mostStrata is how many kinds of requests are compared within.
	mostStrata = 8
	// mostMix is how many values of a mix tag are told apart.
	mostMix = 64
	// maxGrid is the coarsest grid looked for: one second.
	maxGrid = int64(time.Second / hist.Unit)
)

func newArmData(name string) *armData {
	a := &armData{name: name, hist: hist.New(), byWhy: map[string]int64{}, mix: map[string]map[string]int64{},
		first: math.MaxInt64, last: math.MinInt64, grid: maxGrid}
	for _, tag := range mixTags {
		a.mix[tag] = map[string]int64{}
	}
	return a
}

// add counts a request; known says whether anything tells its outcome.
func (a *armData) add(e *event, p *place, failed bool, why string, known bool) {
	ms := e.at.UnixMilli()
	a.requests++
	a.first, a.last = min(a.first, ms), max(a.last, ms)
	if !known {
		a.unknown++
	}
	p.requests++
	s := p.stratum
	if a.many {
		s = a.strata[0]
	}
	if failed {
		a.failed++
		if len(a.byWhy) < 100 || a.byWhy[why] > 0 {
			a.byWhy[why]++
		}
		s.arm.Fail(ms)
		return
	}
	v := int64(e.latency / hist.Unit)
	for v%a.grid != 0 {
		a.grid /= 10
	}
	_ = a.hist.Record(e.latency) // latencyOf has refused what it cannot hold
	s.arm.Add(ms, v)
	s.answered++
}

// stratumOf finds or makes the stratum of a kind of requests.
func (a *armData) stratumOf(mix [3]string) *stratum {
	kind := strings.Join(mix[:], "\x00")
	if a.many {
		return a.strata[0]
	}
	for _, s := range a.strata {
		if s.kind == kind {
			return s
		}
	}
	if len(a.strata) == mostStrata {
		a.many = true
		for _, s := range a.strata[1:] {
			a.strata[0].arm.Merge(&s.arm)
			a.strata[0].answered += s.answered
		}
		a.strata = a.strata[:1]
		return a.strata[0]
	}
	s := &stratum{kind: kind, mix: mix}
	a.strata = append(a.strata, s)
	return s
}

// pooled is the arm's requests of all kinds.
func (a *armData) pooled() *pooled.Arm {
	if len(a.strata) == 1 {
		return &a.strata[0].arm
	}
	all := &pooled.Arm{}
	for _, s := range a.strata {
		all.Merge(&s.arm)
	}
	return all
}

// seconds is how long the arm's requests went on.
func (a *armData) seconds() float64 { return float64(a.last-a.first) / 1e3 }

// perSecond is the arm's rate; 0 when it is too short for one.
func (a *armData) perSecond() float64 {
	if a.requests < 2 || a.last <= a.first {
		return 0
	}
	return float64(a.requests-1) / a.seconds()
}

// gridUs is the step of the arm's values in µs; 0 when it is that of hist.Unit.
func (a *armData) gridUs() float64 {
	if a.grid <= 1 || a.hist.Count() == 0 {
		return 0
	}
	return float64(a.grid) * float64(hist.Unit) / 1e3
}

// recording is one file, or the files of one log.
type recording struct {
	in    *input
	files []contents
	found *found
	arms  []*armData
	prep  int64 // requests of setup() and teardown()
	early int64 // requests cut as warm-up
	other int64 // requests that --where or --values left out, or without the tag
	bare  int64 // those without the tag
}

// arm finds an arm by name.
func (r *recording) arm(name string) *armData {
	for _, a := range r.arms {
		if a.name == name {
			return a
		}
	}
	return nil
}

// place is where requests with the same tags go.
type place struct {
	arm     *armData // nil when they are left out
	bare    bool     // left out for they lack the tag
	stratum *stratum
	mix     [3]string
	// requests counts those that are not yet in the arm's mix.
	requests int64
}

// settle adds the place's requests to the arm's mix.
func (p *place) settle() {
	if p.arm == nil || p.requests == 0 {
		return
	}
	for i, tag := range mixTags {
		if m := p.arm.mix[tag]; m != nil && p.mix[i] != "" {
			if m[p.mix[i]] += p.requests; len(m) > mostMix {
				p.arm.mix[tag] = nil
			}
		}
	}
	p.requests = 0
}

// gatherer deals a file's requests out to arms.
type gatherer struct {
	o       *Options
	r       *recording
	print   fingerprint // of the file that is read
	whole   string      // the arm of every request; "" with --by
	places  map[*tagSet]*place
	last    *tagSet
	at      *place
	pending event // a silent request, until http_req_failed or the next request
	waits   bool
	flag    event // of http_req_failed before its request
	flagged bool
	begin   time.Time
	begun   bool
}

// gather reads files into one recording: each request's arm is named whole, or
// by the tag o.By.
func (o *Options) gather(files []*input, whole string) (*recording, error) {
	r := &recording{in: files[0], found: newFound()}
	g := &gatherer{o: o, r: r, whole: whole, places: map[*tagSet]*place{}}
	w := &wanted{metric: o.Metric}
	if o.By != "" {
		w.tags = append(w.tags, o.By)
	}
	for _, f := range o.Where {
		w.tags = append(w.tags, f.tag)
	}
	for _, in := range files {
		g.print = fingerprint{}
		if err := in.read(w, r.found, g.take); err != nil {
			return nil, err
		}
		r.files = append(r.files, contents{in, g.print})
		if err := g.settle(); err != nil {
			return nil, in.explain(err)
		}
	}
	g.settlePlaces()
	if err := o.usable(r); err != nil {
		return nil, err
	}
	return r, nil
}

func (g *gatherer) settlePlaces() {
	for _, p := range g.places {
		p.settle()
	}
}

// take gets every event of a file, in its order.
func (g *gatherer) take(e event) error {
	if e.kind != aRequest {
		if !g.waits || !e.at.Equal(g.pending.at) {
			g.flag, g.flagged = e, true
			return nil
		}
		g.waits = false
		return g.count(&g.pending, e.kind == itFailed, "http_req_failed", true)
	}
	g.print.add(&e)
	if g.waits {
		if err := g.settle(); err != nil {
			return err
		}
	}
	if e.tags.silent {
		if g.flagged && g.flag.at.Equal(e.at) {
			g.flagged = false
			return g.count(&e, g.flag.kind == itFailed, "http_req_failed", true)
		}
		g.pending, g.waits = e, true
		return nil
	}
	return g.count(&e, e.tags.failed, e.tags.why, true)
}

// settle counts a silent request of which nothing more was said.
func (g *gatherer) settle() error {
	if !g.waits {
		return nil
	}
	g.waits = false
	return g.count(&g.pending, false, "", false)
}

func (g *gatherer) count(e *event, failed bool, why string, known bool) error {
	if e.tags.prepares {
		g.r.prep++
		return nil
	}
	if g.isEarly(e) {
		g.r.early++
		return nil
	}
	if e.tags != g.last {
		p, err := g.placeOf(e.tags)
		if err != nil {
			return err
		}
		g.last, g.at = e.tags, p
	}
	if g.at.arm == nil {
		g.r.other++
		if g.at.bare {
			g.r.bare++
		}
		return nil
	}
	g.at.arm.add(e, g.at, failed, why, known)
	return nil
}

// isEarly reports whether a request belongs to the warm-up.
func (g *gatherer) isEarly(e *event) bool {
	if g.o.SkipS == 0 {
		return false
	}
	if !g.begun {
		g.begin, g.begun = e.at, true
	}
	return e.at.Sub(g.begin).Seconds() < g.o.SkipS
}

// keeps reports whether every filter keeps requests with these tags.
func (g *gatherer) keeps(t *tagSet) bool {
	for _, w := range g.o.Where {
		if (t.values[w.tag] == w.value) == w.not {
			return false
		}
	}
	return true
}

// placeOf decides on requests with these tags.
func (g *gatherer) placeOf(t *tagSet) (*place, error) {
	if p := g.places[t]; p != nil {
		return p, nil
	}
	if len(g.places) >= 4*maxTails {
		g.settlePlaces()
		clear(g.places)
	}
	p := &place{}
	g.places[t] = p
	if !g.keeps(t) {
		return p, nil
	}
	name := g.whole
	if g.o.By != "" {
		name = t.values[g.o.By]
		p.bare = name == ""
		if p.bare || (len(g.o.Values) > 0 && !slices.Contains(g.o.Values, name)) {
			return p, nil
		}
	}
	if p.arm = g.r.arm(name); p.arm == nil {
		if len(g.r.arms) == maxArms {
			return nil, fail.Newf(fail.Usage, "name two of them with --values", "%s: tag %q has more than %d values",
				g.r.in.path, g.o.By, maxArms)
		}
		p.arm = newArmData(name)
		g.r.arms = append(g.r.arms, p.arm)
	}
	for i, tag := range mixTags {
		if tag != g.o.By {
			p.mix[i] = withoutHost(t.values[tag])
		}
	}
	p.stratum = p.arm.stratumOf(p.mix)
	return p, nil
}

// withoutHost takes scheme and host from a name that is a URL: two arms that are
// called at different hosts may be asked for the same.
func withoutHost(name string) string {
	_, rest, ok := strings.Cut(name, "://")
	if !ok {
		return name
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// usable refuses a file that cannot be compared as asked, and names what it has.
func (o *Options) usable(r *recording) error {
	f := r.found
	path := r.in.path
	d := f.of(o.Metric)
	if _, there := f.metrics[o.Metric]; there && d != (declaration{"trend", "time"}) {
		what := "a " + d.Type
		if d.Type == "trend" {
			what = map[string]string{"data": "a trend of bytes", "default": "a trend without a unit"}[d.Contains]
		}
		step := "compare a metric of times"
		if names := f.times(); len(names) > 0 {
			step = "compare one of its times: --metric " + few(names)
		}
		if d.Type == "trend" && d.Contains == "default" {
			step += "; a script declares a time in ms as new Trend('" + o.Metric + "', true)"
		}
		return fail.Newf(fail.Usage, step, "%s: %s is %s, no latency", path, o.Metric, what)
	}
	if len(r.arms) > 0 {
		return nil
	}
	switch {
	case r.early > 0:
		return fail.Newf(fail.Usage, "skip less", "%s: every request lies in the first %v s that --skip leaves out", path, o.SkipS)
	case r.other > 0 && o.By != "" && (len(o.Where) == 0 || r.bare > 0):
		names := f.tagNames()
		if slices.Contains(names, o.By) {
			return fail.Newf(fail.Usage, "see its values with --by "+o.By+" and without --values and --where",
				"%s: no request has %s = %s", path, o.By, strings.Join(o.Values, " or "))
		}
		return fail.Newf(fail.Usage, "choose one of its tags: "+few(names), "%s: no request has a tag %q", path, o.By)
	case r.other > 0 && len(o.Values) > 0:
		return fail.Newf(fail.Usage, "choose among its tags: "+few(f.tagNames()), "%s: --where and --values leave nothing of it", path)
	case r.other > 0:
		return fail.Newf(fail.Usage, "choose among its tags: "+few(f.tagNames()), "%s: --where leaves nothing of it", path)
	case r.prep > 0:
		return fail.Newf(fail.Usage, stepOutJSON, "%s holds requests of setup() and teardown() alone", path)
	case r.in.form.isAgent():
		return fail.Newf(fail.Usage, "switch the log on: accessLogConfiguration beside the logConfiguration of Service Connect",
			"%s holds no entry of an agent's access log", path)
	}
	step := "run the test again with k6 run --out json=FILE"
	if names := f.times(); len(names) > 0 {
		step = "compare one of its times: --metric " + few(names)
	}
	return fail.Newf(fail.Usage, step, "%s holds no %s", path, o.Metric)
}

// filter is one --where.
type filter struct {
	tag, value string
	not        bool
}

// ParseFilter reads "tag=value" or "tag!=value".
func ParseFilter(text string) (Filter, error) {
	tag, value, ok := strings.Cut(text, "=")
	if !ok || tag == "" || tag == "!" {
		return Filter{}, fail.Newf(fail.Usage, "e.g. --where scenario=checkout, or --where name!=/health",
			"--where %q: expected tag=value", text)
	}
	f := filter{tag: strings.TrimSuffix(tag, "!"), value: value, not: strings.HasSuffix(tag, "!")}
	return Filter{f}, nil
}

// Filter chooses requests by a tag.
type Filter struct{ filter }

// most lists counts by their keys, the most frequent first.
func most(counts map[string]int64, n int) []string {
	keys := slices.Collect(maps.Keys(counts))
	slices.SortFunc(keys, func(a, b string) int {
		if counts[a] != counts[b] {
			return int(counts[b] - counts[a])
		}
		return strings.Compare(a, b)
	})
	return keys[:min(n, len(keys))]
}

// describe has a line for each kind of what was left out. by is the tag that
// names the arms.
func (r *recording) describe(by string) []string {
	var out []string
	name := r.in.name()
	f := r.found
	add := func(format string, args ...any) { out = append(out, "`"+name+"`: "+fmt.Sprintf(format, args...)) }
	if f.cut != "" {
		add("%s: the file was cut, and its whole lines are what was used.", f.cut)
	}
	if f.skipped > 0 {
		add("%s skipped: no results, but such as those of a log.", countOf(f.skipped, "line"))
	}
	if f.negative > 0 {
		add("%s left out that no clock can have measured: negative, or over a day.", countOf(f.negative, "value"))
	}
	if r.prep > 0 {
		add("%s of setup() and teardown() left out.", countOf(r.prep, "request"))
	}
	if r.early > 0 {
		add("%s of the warm-up left out.", countOf(r.early, "request"))
	}
	if r.bare > 0 {
		add("%s without the tag %s left out.", countOf(r.bare, "request"), by)
	}
	return out
}
