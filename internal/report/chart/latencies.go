package chart

import (
	"math"
	"sort"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// Latencies is the latency distributions of all arms.
type Latencies struct {
	Curves []Curve
	Source string
}

// Curve is one arm's distribution.
type Curve struct {
	Name   string
	Style  Style
	Points []summary.QuantileUs // ascending in both
	P50    string               // as the tables write it
	P99    string
}

// DrawLatencies draws cumulative distributions: latency on a logarithmic axis,
// the share of requests on a probability axis, so that the tail is as readable
// as the middle. p50 and p99 are marked. It returns "" when no curve has two
// points.
func DrawLatencies(l Latencies, f Figure, form Form) string {
	var curves []Curve
	for _, c := range l.Curves {
		if c.Points = positivePoints(c.Points); len(c.Points) > 1 {
			curves = append(curves, c)
		}
	}
	if len(curves) == 0 {
		return ""
	}
	key := 20 * float64(len(curves)+1)
	frame, height := plot{left: 48, right: 752, top: 36, bottom: 346}, 408.0
	if form == Narrow {
		frame, height = plot{left: 44, right: 352, top: 42 + key, bottom: 322 + key}, 384+key
	}
	c := newCanvas(f, form, height)
	low, high := latencyRange(curves)
	x, y := logarithmic(low, high, frame.left, frame.right), probability(0.01, 0.999, frame.bottom, frame.top)
	c.latencyAxes(frame, x, y, low, high)
	c.open("g", "clip-path", c.clip(frame.left, frame.top, frame.right-frame.left, frame.bottom-frame.top))
	for _, twins := range []bool{true, false} { // an arm lies on top of its twin
		for _, curve := range curves {
			if curve.Style.Twin == twins {
				c.curve(curve, x, y)
			}
		}
	}
	c.end()
	if form == Wide {
		c.curveNames(curves, frame, x)
		c.latencyKey(curves, frame.right-8-keyWidth(curves), frame.bottom-key-4)
	} else {
		c.latencyKey(curves, 0, 28)
	}
	c.source(l.Source, height)
	return c.String()
}

func positivePoints(points []summary.QuantileUs) []summary.QuantileUs {
	var kept []summary.QuantileUs
	for _, p := range points {
		const least = 1e-3 // µs; below a nanosecond nothing was measured
		rising := len(kept) == 0 || p.Q > kept[len(kept)-1].Q
		if p.Q > 0 && p.Q < 1 && p.Us >= least && drawable(p.Us) && rising {
			kept = append(kept, p)
		}
	}
	return thin(kept, 240)
}

// thin keeps at most about most items, evenly, and always the last one.
func thin[T any](items []T, most int) []T {
	if len(items) <= most {
		return items
	}
	every := (len(items) + most - 1) / most
	var kept []T
	for i := 0; i < len(items); i += every {
		kept = append(kept, items[i])
	}
	if (len(items)-1)%every != 0 {
		kept = append(kept, items[len(items)-1])
	}
	return kept
}

// latencyRange spans the curves between p1 and p99.9.
func latencyRange(curves []Curve) (low, high float64) {
	low, high = math.Inf(1), 0
	for _, c := range curves {
		for _, p := range c.Points {
			if p.Q >= 0.01-1e-9 && p.Q <= 0.999+1e-9 {
				low, high = min(low, p.Us), max(high, p.Us)
			}
		}
	}
	if high == 0 { // every point lies outside
		low, high = curves[0].Points[0].Us, curves[0].Points[len(curves[0].Points)-1].Us
	}
	return low * 0.94, high*1.06 + low*0.01
}

func (c *canvas) latencyAxes(frame plot, x, y scale, low, high float64) {
	most := 10
	if c.form == Narrow {
		most = 5
	}
	ticks := logTicks(low, high, most)
	quantiles := []float64{0.01, 0.10, 0.25, 0.50, 0.75, 0.90, 0.99, 0.999}
	c.group("grid")
	for _, us := range ticks {
		c.line(x(us), frame.top, x(us), frame.bottom)
	}
	for _, q := range quantiles {
		c.line(frame.left, y(q), frame.right, y(q))
	}
	c.end()
	c.group("axis")
	for _, q := range []float64{0.50, 0.99} {
		c.line(frame.left, y(q), frame.right, y(q))
	}
	c.end()
	c.group("muted")
	free := math.Inf(-1)
	for _, us := range ticks {
		text := latencyLabel(us)
		half := textWidth(text, 12) / 2
		if x(us)-half >= free { // a label without room is left out; its line stays
			c.text(x(us), frame.bottom+18, middle, text)
			free = x(us) + half + 6
		}
	}
	for _, q := range quantiles {
		c.text(frame.left-8, y(q)+4, end, quantity.Quantile(q))
	}
	c.text(frame.left, frame.bottom+36, start, "← faster")
	c.text(frame.right, frame.bottom+36, end, "slower →")
	c.end()
	c.group("ink")
	c.title("Latency of all arms", c.width)
	c.end()
}

func (c *canvas) curve(curve Curve, x, y scale) {
	var points []point
	for _, p := range curve.Points {
		points = append(points, point{x(p.Us), y(p.Q)})
	}
	c.series(curve.Style.Color)
	c.empty("path", append([]string{"d", path(points)}, curve.Style.stroke(2.2)...)...)
	for _, at := range []struct {
		q    float64
		text string
	}{{0.50, curve.P50}, {0.99, curve.P99}} {
		if us, ok := At(curve.Points, at.q); ok {
			c.marker(curve.Style.Shape, x(us), y(at.q), curve.Style.markerSize(), curve.Style.Twin, curve.Name+" "+quantity.Quantile(at.q)+": "+at.text)
		}
	}
	c.end()
}

// curveNames names the curves where they leave the frame, if there is room for
// every name; if not, the key alone must do.
func (c *canvas) curveNames(curves []Curve, frame plot, x scale) {
	type name struct {
		text     string
		from, to float64
	}
	var names []name
	for _, curve := range curves {
		us, ok := At(curve.Points, 0.999)
		if curve.Style.Twin || !ok {
			continue
		}
		half := textWidth(curve.Name, 12) / 2
		at := min(x(us), frame.right-half)
		names = append(names, name{curve.Name, at - half, at + half})
	}
	sort.Slice(names, func(i, j int) bool { return names[i].from < names[j].from })
	free := 160.0 // the title
	for _, n := range names {
		if n.from < free+10 {
			return
		}
		free = n.to
	}
	c.group("ink")
	for _, n := range names {
		c.text((n.from+n.to)/2, frame.top-8, middle, n.text)
	}
	c.end()
}

// At reads a distribution at q between its points, along the line that the
// picture draws: straight in the logarithm of the latency over the probit of
// the quantile. It is false outside the points.
func At(points []summary.QuantileUs, q float64) (us float64, ok bool) {
	for i, p := range points {
		if p.Q < q-1e-12 {
			continue
		}
		if i == 0 || p.Q <= q+1e-12 {
			return p.Us, p.Q <= q+1e-12
		}
		before := points[i-1]
		share := (probit(q) - probit(before.Q)) / (probit(p.Q) - probit(before.Q))
		return before.Us * math.Pow(p.Us/before.Us, share), true
	}
	return 0, false
}

const keyNumber = 66 // width of a number's column in the key

func keyWidth(curves []Curve) float64 {
	name := 0.0
	for _, c := range curves {
		name = max(name, min(textWidth(c.Name, 12), 150))
	}
	return 30 + name + 2*keyNumber
}

// latencyKey is a small table: the arm's line and marker, its name, p50 and p99.
func (c *canvas) latencyKey(curves []Curve, x, y float64) {
	width := keyWidth(curves)
	if c.form == Wide {
		c.group("paper")
		c.rect(x-8, y-6, width+16, 20*float64(len(curves)+1)+4, "fill-opacity", "0.9", "rx", "4")
		c.end()
	}
	c.group("muted")
	c.text(x+width-keyNumber, y+10, end, "p50", "font-size", "11")
	c.text(x+width, y+10, end, "p99", "font-size", "11")
	c.end()
	for i, curve := range curves {
		row := y + 20*float64(i+1) + 6
		c.series(curve.Style.Color)
		c.empty("path", append([]string{"d", path([]point{{x, row}, {x + 22, row}})}, curve.Style.stroke(2.2)...)...)
		c.marker(curve.Style.Shape, x+11, row, curve.Style.markerSize(), curve.Style.Twin, "")
		c.end()
		c.group("ink")
		c.text(x+30, row+4, start, shorten(curve.Name, 150, 12))
		c.text(x+width-keyNumber, row+4, end, curve.P50, "class", "digits")
		c.text(x+width, row+4, end, curve.P99, "class", "digits")
		c.end()
	}
}
