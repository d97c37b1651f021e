package chart

import (
	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// Difference is the difference of two arms over all quantiles.
type Difference struct {
	Name     string // "agent − bypass"
	Interval string // "95 % interval"; "" when there is none, and then no band
	Style    Style  // of the first arm
	Points   []summary.CurvePoint
	Marks    []Mark
	Source   string // where it was measured, written into the picture, which travels alone
}

// Mark is a quantile that was asked for.
type Mark struct {
	Q, EstimateUs, LowUs, HighUs float64
	Text                         string // "+171 µs", or "cannot tell"
	Weak                         bool   // a warning weakens it: drawn hollow
}

// DrawDifference draws quantiles on a probability axis and the difference in
// time on a linear one around zero: the estimate, its interval as a band, and
// the A/A floor hatched around zero. Where the tail's interval is so much wider
// than the rest that it would flatten the picture, the band leaves the frame
// and says how far it goes. It returns "" when there is nothing to draw.
func DrawDifference(d Difference, f Figure, form Form) string {
	d.Points = finitePoints(d.Points)
	if len(d.Points) < 2 {
		return ""
	}
	frame, height := plot{left: 60, right: 650, top: 44, bottom: 330}, 392.0
	if form == Narrow {
		frame, height = plot{left: 56, right: 352, top: 66, bottom: 318}, 380
	}
	c := newCanvas(f, form, height)
	low, high := differenceRange(d.Points)
	frame.left = labelRoom(roundTicks(low, high, 7))
	x := probability(d.Points[0].Q, d.Points[len(d.Points)-1].Q, frame.left, frame.right)
	y := linear(low, high, frame.bottom, frame.top)
	c.differenceAxes(d, frame, x, y, low, high)
	c.open("g", "clip-path", c.clip(frame.left, frame.top, frame.right-frame.left, frame.bottom-frame.top))
	c.floor(d.Points, x, y)
	c.group("rule")
	c.line(frame.left, y(0), frame.right, y(0), "stroke-width", "1.5")
	c.end()
	c.estimate(d, x, y)
	c.end()
	c.beyond(d, frame, low, high)
	c.markDifferences(d, frame, x, y)
	if form == Wide {
		c.differenceLabels(d, frame, y)
	} else {
		c.differenceKey(d, frame)
	}
	c.source(d.Source, height)
	return c.String()
}

// plot is the rectangle of the axes.
type plot struct{ left, right, top, bottom float64 }

// labelRoom is the width that the labels of an axis of differences take.
func labelRoom(ticks []float64) float64 {
	widest := 0.0
	for _, text := range signedLabels(ticks) {
		widest = max(widest, textWidth(text, 12))
	}
	return widest + 8
}

func finitePoints(points []summary.CurvePoint) []summary.CurvePoint {
	var kept []summary.CurvePoint
	for _, p := range points {
		ok := p.Q > 0 && p.Q < 1 && drawable(p.EstimateUs, p.LowUs, p.HighUs, p.AAHalfUs)
		if ok && (len(kept) == 0 || p.Q > kept[len(kept)-1].Q) {
			kept = append(kept, p)
		}
	}
	return kept
}

// differenceRange holds zero, every estimate's interval and the floor, unless
// the tail would flatten p5 to p95 below a third of the height.
func differenceRange(points []summary.CurvePoint) (low, high float64) {
	const most = 3
	var all, core struct{ low, high float64 }
	for _, p := range points {
		l, h := min(p.LowUs, -p.AAHalfUs), max(p.HighUs, p.AAHalfUs)
		all.low, all.high = min(all.low, l), max(all.high, h)
		if p.Q >= 0.05 && p.Q <= 0.95 {
			core.low, core.high = min(core.low, l), max(core.high, h)
		}
	}
	room := most * (core.high - core.low)
	if room > 0 && all.high-all.low > room {
		spare := (room - (core.high - core.low)) / 2
		all.low, all.high = max(all.low, core.low-spare), min(all.high, core.high+spare)
	}
	if all.high-all.low <= 0 {
		all.low, all.high = -1, 1
	}
	return pad(all.low, all.high, 0.06)
}

func (c *canvas) differenceAxes(d Difference, frame plot, x, y scale, low, high float64) {
	ticks := roundTicks(low, high, 7)
	c.group("grid")
	for _, us := range ticks {
		c.line(frame.left, y(us), frame.right, y(us))
	}
	for _, q := range c.quantileTicks(d.Points[0].Q, d.Points[len(d.Points)-1].Q) {
		c.line(x(q), frame.top, x(q), frame.bottom)
	}
	c.end()
	c.group("muted")
	for i, text := range signedLabels(ticks) {
		c.text(frame.left-8, y(ticks[i])+4, end, text)
	}
	for _, q := range c.quantileTicks(d.Points[0].Q, d.Points[len(d.Points)-1].Q) {
		name := quantity.Quantile(q)
		c.text(min(x(q), c.width-textWidth(name, 12)/2), frame.bottom+18, middle, name)
	}
	c.text(frame.left, frame.bottom+36, start, "← faster requests")
	c.text(frame.right, frame.bottom+36, end, "slower requests →")
	c.end()
	c.group("ink")
	title := d.Name + " at each quantile"
	if c.form == Narrow {
		title = d.Name
	}
	c.title(title, c.width)
	c.end()
}

// quantileTicks are the quantiles with a label of their own.
func (c *canvas) quantileTicks(from, to float64) []float64 {
	all := []float64{0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999, 0.9999}
	if c.form == Narrow {
		all = []float64{0.01, 0.10, 0.50, 0.90, 0.99, 0.999}
	}
	var ticks []float64
	for _, q := range all {
		if q >= from-1e-9 && q <= to+1e-9 {
			ticks = append(ticks, q)
		}
	}
	return ticks
}

// floor hatches what two identical arms differ by.
func (c *canvas) floor(points []summary.CurvePoint, x, y scale) {
	if !hasFloor(points) {
		return
	}
	fill := c.hatch()
	var upper, lower []point
	for _, p := range points {
		upper = append(upper, point{x(p.Q), y(p.AAHalfUs)})
		lower = append(lower, point{x(p.Q), y(-p.AAHalfUs)})
	}
	c.empty("path", "d", ribbon(upper, lower), "fill", fill)
}

func hasFloor(points []summary.CurvePoint) bool {
	for _, p := range points {
		if p.AAHalfUs > 0 {
			return true
		}
	}
	return false
}

func (c *canvas) estimate(d Difference, x, y scale) {
	var upper, lower, center []point
	for _, p := range d.Points {
		upper = append(upper, point{x(p.Q), y(p.HighUs)})
		lower = append(lower, point{x(p.Q), y(p.LowUs)})
		center = append(center, point{x(p.Q), y(p.EstimateUs)})
	}
	c.series(d.Style.Color)
	if d.Interval != "" {
		c.empty("path", "d", ribbon(upper, lower), "fill", "currentColor", "fill-opacity", "0.22")
	}
	c.empty("path", "d", path(center), "fill", "none", "stroke", "currentColor", "stroke-width", "2", "stroke-linejoin", "round")
	c.end()
}

// beyond says how far the interval, or without one the line, reaches where the frame cuts it.
func (c *canvas) beyond(d Difference, frame plot, low, high float64) {
	var least, most float64
	for _, p := range d.Points {
		least, most = min(least, p.LowUs), max(most, p.HighUs)
	}
	write := func(y float64, arrow string, us float64) {
		unit := quantity.UnitFor(us)
		what := "interval"
		if d.Interval == "" {
			what = "line"
		}
		text := arrow + " the " + what + " goes on to " + unit.With(unit.Signed(us, quantity.SignificantStep(us, 2)))
		c.halo(frame.left+6, y, start, text, "font-size", "11")
	}
	if most > high {
		write(frame.top+14, "↑", most)
	}
	if least < low {
		write(frame.bottom-8, "↓", least)
	}
}

// markDifferences marks the quantiles that were asked for, with their numbers
// above or below, where there is room; without room the tooltip and the table tell.
func (c *canvas) markDifferences(d Difference, frame plot, x, y scale) {
	inside := func(v float64) float64 { return min(max(v, frame.top), frame.bottom) }
	var taken []box
	for _, m := range d.Marks {
		if !drawable(m.EstimateUs, m.LowUs, m.HighUs) || m.Q < d.Points[0].Q || m.Q > d.Points[len(d.Points)-1].Q {
			continue
		}
		px, py := x(m.Q), inside(y(m.EstimateUs))
		c.series(d.Style.Color)
		c.line(px, inside(y(m.LowUs)), px, inside(y(m.HighUs)), "stroke", "currentColor", "stroke-width", "1.5")
		c.marker(d.Style.Shape, px, py, 4, m.Weak, quantity.Quantile(m.Q)+": "+m.Text)
		c.end()
		half := textWidth(m.Text, 12.5*bold) / 2
		px = min(max(px, frame.left+half+2), frame.right-half-2)
		above, below := inside(y(m.HighUs))-9, inside(y(m.LowUs))+18
		for _, ty := range []float64{above, below, above - 17, below + 17, above - 34, below + 34} {
			at := box{px - half - 3, ty - 12, px + half + 3, ty + 3}
			if at.top < frame.top || at.bottom > frame.bottom || at.meets(taken) {
				continue
			}
			taken = append(taken, at)
			c.halo(px, ty, middle, m.Text, "font-size", "12.5", "font-weight", "600")
			break
		}
	}
}

// differenceLabels names line, band, floor and zero at the right edge.
func (c *canvas) differenceLabels(d Difference, frame plot, y scale) {
	last := d.Points[len(d.Points)-1]
	labels := []label{
		{y: y(last.EstimateUs), text: "difference", kv: []string{"font-weight", "600"}},
		{y: y(0), text: "no difference"},
	}
	if d.Interval != "" {
		labels = append(labels, label{y: y(last.HighUs), text: d.Interval})
	}
	if hasFloor(d.Points) {
		labels = append(labels, label{y: y(-last.AAHalfUs), text: "A/A floor"})
	}
	c.group("ink")
	for _, l := range spread(labels, 16, frame.top+4, frame.bottom-4) {
		c.text(frame.right+8, l.y+4, start, l.text, l.kv...)
	}
	c.end()
}

// differenceKey does the same above the picture, where the edge has no room.
func (c *canvas) differenceKey(d Difference, frame plot) {
	x, y := 0.0, 42.0
	c.series(d.Style.Color)
	c.line(x, y, x+18, y, "stroke", "currentColor", "stroke-width", "2")
	if d.Interval != "" {
		c.rect(x+96, y-6, 18, 12, "fill", "currentColor", "fill-opacity", "0.22")
	}
	c.end()
	if hasFloor(d.Points) {
		c.rect(x+222, y-6, 18, 12, "fill", "url(#"+c.id+"-hatch)")
	}
	c.group("ink")
	c.text(x+24, y+4, start, "difference")
	if d.Interval != "" {
		c.text(x+120, y+4, start, d.Interval)
	}
	if hasFloor(d.Points) {
		c.text(x+246, y+4, start, "A/A floor")
	}
	c.end()
}

// title writes what the picture shows above it, in at most width.
func (c *canvas) title(text string, width float64) {
	c.text(0, 20, start, shorten(text, width, 13*bold), "font-size", "13", "font-weight", "600")
}

// source writes where the numbers come from into the picture's lower edge.
func (c *canvas) source(text string, height float64) {
	c.group("muted")
	c.text(0, height-6, start, shorten(text, c.width-8, 10.5), "font-size", "10.5")
	c.end()
}
