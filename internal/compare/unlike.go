package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/pooled"
	"github.com/hoplab/hoplab/internal/quantity"
)

// unlikeness is in what else than the thing under test the arms differ.
type unlikeness struct {
	sentences []string
	mixes     map[[2]string]*mix
	times     bool // the sides' times are of different stretches of a request
}

// mix is two arms that were asked for different shares of the same kinds of
// requests.
type mix struct{ kinds []common }

// common is a kind of requests that both arms have, with the answers of each.
type common struct {
	key, label string
	a, b       int64
}

func (k common) is(s *stratum) bool { return s.kind == k.key }

// mixed is how the mixes of two arms differ; nil when they do not.
func (u *unlikeness) mixed(a, b string) *mix { return u.mixes[[2]string{a, b}] }

// Limits of what counts as alike.
const (
	unlikeShare = 0.02 // of the requests, beyond what chance moves
	unlikeRate  = 1.25
)

// unlike looks for differences between the last arm and each of the others.
func (c *comparison) unlike() *unlikeness {
	u := &unlikeness{mixes: map[[2]string]*mix{}}
	b := &c.parts[len(c.parts)-1]
	for i := range c.parts[:len(c.parts)-1] {
		a := &c.parts[i]
		c.unlikeMix(u, a, b)
		c.unlikeFailures(u, a, b)
		if !c.together {
			c.unlikeRate(u, a, b)
		}
	}
	c.unlikeTimes(u)
	c.unlikeDrops(u)
	return u
}

func (u *unlikeness) say(format string, args ...any) {
	u.sentences = append(u.sentences, "Not alike: "+fmt.Sprintf(format, args...))
}

// counts adds up a mix tag's values; nil when there are too many to tell apart.
func (p *part) counts(tag string) (map[string]int64, int64) {
	out := map[string]int64{}
	var all int64
	for _, f := range p.files {
		if f.mix[tag] == nil {
			return nil, 0
		}
		for v, n := range f.mix[tag] {
			out[v] += n
			all += n
		}
	}
	return out, all
}

// unlikeMix says which value of which tag differs most, by its share.
func (c *comparison) unlikeMix(u *unlikeness, a, b *part) {
	for _, tag := range mixTags {
		x, nx := a.counts(tag)
		y, ny := b.counts(tag)
		if nx == 0 || ny == 0 {
			continue
		}
		values := most(x, len(x))
		for v := range y {
			if _, known := x[v]; !known {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		shared, apart, worst, at := false, 0.0, 0.0, ""
		for _, v := range values {
			shared = shared || (x[v] > 0 && y[v] > 0)
			d := math.Abs(float64(x[v])/float64(nx) - float64(y[v])/float64(ny))
			apart += d / 2
			if d > worst {
				worst, at = d, v
			}
		}
		chance := math.Sqrt(float64(len(values)) / float64(min(nx, ny)))
		if !shared || apart < unlikeShare+1.5*chance {
			continue
		}
		u.say("another mix of requests. %s %s is %s of `%s` and %s of `%s`; the difference holds what the mix does.", tag, at,
			percent(float64(x[at])/float64(nx)), a.name, percent(float64(y[at])/float64(ny)), b.name)
		u.mixes[[2]string{a.name, b.name}] = mixOf(a, b)
		return
	}
}

// mixOf lists the kinds that both arms have often enough to be compared.
func mixOf(a, b *part) *mix {
	m := &mix{}
	if len(a.files) > 1 || len(b.files) > 1 || a.files[0].many || b.files[0].many {
		return m
	}
	const enough = 100
	labels := map[string]int{}
	label := func(s *stratum) string { return firstOf(s.mix[0], firstOf(s.mix[1], s.mix[2])) }
	for _, s := range a.files[0].strata {
		labels[label(s)]++
	}
	for _, s := range a.files[0].strata {
		for _, t := range b.files[0].strata {
			if s.kind != t.kind || s.answered < enough || t.answered < enough {
				continue
			}
			k := common{key: s.kind, label: label(s), a: s.answered, b: t.answered}
			if labels[k.label] > 1 {
				k.label = strings.Join(slices.DeleteFunc(slices.Clone(s.mix[:]), func(v string) bool { return v == "" }), " ")
			}
			m.kinds = append(m.kinds, k)
		}
	}
	return m
}

// weights make both arms a mix of the common kinds, each with the mean of its
// two shares; nil when they have fewer than two kinds in common.
func (m *mix) weights(x, y *armData, sidesA, sidesB []int) (a, b []pooled.Part) {
	if len(m.kinds) < 2 {
		return nil, nil
	}
	var nx, ny float64
	for _, k := range m.kinds {
		nx += float64(k.a)
		ny += float64(k.b)
	}
	for _, k := range m.kinds {
		i, j := slices.IndexFunc(x.strata, k.is), slices.IndexFunc(y.strata, k.is)
		shareA, shareB := float64(k.a)/nx, float64(k.b)/ny
		wanted := (shareA + shareB) / 2
		a = append(a, pooled.Part{Arm: sidesA[i], Weight: wanted / shareA})
		b = append(b, pooled.Part{Arm: sidesB[j], Weight: wanted / shareB})
	}
	return a, b
}

func (c *comparison) unlikeFailures(u *unlikeness, a, b *part) {
	nx, fx, _ := a.requests()
	ny, fy, _ := b.requests()
	if nx == 0 || ny == 0 {
		return
	}
	x, y := float64(fx)/float64(nx), float64(fy)/float64(ny)
	p := float64(fx+fy) / float64(nx+ny)
	chance := math.Sqrt(p * (1 - p) * (1/float64(nx) + 1/float64(ny)))
	if d := math.Abs(x - y); d > 0.005 && d > 3*chance {
		u.say("another share of failures. %s of `%s` failed and %s of `%s`; requests that failed count in no latency.",
			percent(x), a.name, percent(y), b.name)
	}
}

func (c *comparison) unlikeRate(u *unlikeness, a, b *part) {
	x, y := a.rate(), b.rate()
	if x > 0 && y > 0 && max(x/y, y/x) > unlikeRate {
		u.say("another rate. `%s` ran at %s requests/s and `%s` at %s.", a.name, rounded(x), b.name, rounded(y))
	}
}

func (p *part) rate() float64 {
	var n, s float64
	for _, f := range p.files {
		n += float64(f.requests)
		s += f.seconds()
	}
	if s <= 0 {
		return 0
	}
	return n / s
}

// unlikeTimes says when files measure different stretches of a request, such as a
// load balancer's log beside results of k6.
func (c *comparison) unlikeTimes(u *unlikeness) {
	first := c.recordings[0]
	for _, r := range c.recordings[1:] {
		if x, y := first.measures(c.o.Metric), r.measures(c.o.Metric); x != y {
			u.times = true
			u.say("another time. `%s` holds %s and `%s` %s.", first.in.name(), x, r.in.name(), y)
			return
		}
	}
}

// measures is what a file's times are of, in words.
func (r *recording) measures(metric string) string {
	switch {
	case r.in.form == formALB && metric == DefaultMetric:
		return albTargetMetric + " of a load balancer"
	case r.in.form == formALB:
		return metric + " of a load balancer"
	case r.in.form.isAgent():
		return agentMetric + " of an agent"
	case r.in.form == formVegeta || r.in.form == formVegetaCSV:
		return "the latency of vegeta, which counts connecting"
	case r.in.form == formSample:
		return DefaultMetric
	}
	return metric
}

func (c *comparison) unlikeDrops(u *unlikeness) {
	for _, r := range c.recordings {
		var n int64
		for _, a := range r.arms {
			n += a.requests
		}
		if d := r.found.dropped; d > 0.001*float64(n) {
			u.say("`%s` could not start %s beside %s: it was loaded less than its script says, and the slow requests that would have followed are missing.",
				r.in.name(), countOf(int64(d), "iteration"), countOf(n, "request"))
		}
	}
}

func percent(share float64) string {
	v := 100 * share
	switch {
	case v >= 10:
		return fmt.Sprintf("%.0f %%", v)
	case v >= 1:
		return fmt.Sprintf("%.1f %%", v)
	}
	return fmt.Sprintf("%.2g %%", v)
}

func rounded(v float64) string {
	if v >= 100 {
		return quantity.Count(int64(v + 0.5))
	}
	return fmt.Sprintf("%.3g", v)
}

// countOf counts things: "1 line", "1,453 iterations".
func countOf(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return quantity.Count(n) + " " + thing + "s"
}
