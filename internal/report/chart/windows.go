package chart

import (
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// Windows is the difference at the median over time.
type Windows struct {
	Name       string
	Style      Style
	Windows    []summary.Window // those to draw; see Thin
	Replicates []summary.Replicate
	// The headline interval, drawn across; HasInterval is false when there is none.
	EstimateUs, LowUs, HighUs float64
	HasInterval               bool
	EstimateText              string // "+171 µs", or "cannot tell"
	Source                    string
}

// MostWindows is how many windows are drawn at most.
const MostWindows = 500

// Thin keeps at most MostWindows windows, evenly spaced, and returns of how
// many each one drawn is the first: 1 when all are kept.
func Thin(windows []summary.Window) (kept []summary.Window, every int) {
	every = max(1, (len(windows)+MostWindows-1)/MostWindows)
	for i := 0; i < len(windows); i += every {
		kept = append(kept, windows[i])
	}
	return kept, every
}

// DrawWindows draws each window's difference as a dot, replicate by replicate:
// windows that were voided hollow, with their reason; the replicate's own
// estimate as a bar; a replicate that does not count hatched. It returns ""
// when there is neither a window nor a replicate.
func DrawWindows(w Windows, f Figure, form Form) string {
	w.Windows = slices.DeleteFunc(slices.Clone(w.Windows), func(win summary.Window) bool { return !drawable(win.DiffUs) })
	w.HasInterval = w.HasInterval && drawable(w.EstimateUs, w.LowUs, w.HighUs)
	w.Replicates = allReplicates(w)
	if len(w.Replicates) == 0 {
		return ""
	}
	frame, height := plot{left: 60, right: 650, top: 40, bottom: 276}, 338.0
	if form == Narrow {
		frame, height = plot{left: 56, right: 352, top: 62, bottom: 284}, 346
	}
	c := newCanvas(f, form, height)
	low, high := windowRange(w)
	frame.left = labelRoom(roundTicks(low, high, 6))
	y := linear(low, high, frame.bottom, frame.top)
	c.windowAxes(w, frame, y, low, high)
	c.headline(w, frame, y)
	band := (frame.right - frame.left) / float64(len(w.Replicates))
	for i, r := range w.Replicates {
		c.replicate(w, r, plot{frame.left + band*float64(i), frame.left + band*float64(i+1), frame.top, frame.bottom}, y)
	}
	c.windowLabels(w, frame, y)
	c.source(w.Source, height)
	return c.String()
}

// allReplicates adds those that only windows speak of, ascending by index.
func allReplicates(w Windows) []summary.Replicate {
	all := slices.Clone(w.Replicates)
	for i := range all {
		if !drawable(all[i].DiffUs) {
			all[i].DiffUs, all[i].Missing = 0, "no result"
		}
	}
	for _, win := range w.Windows {
		if !slices.ContainsFunc(all, func(r summary.Replicate) bool { return r.Index == win.Replicate }) {
			all = append(all, summary.Replicate{Index: win.Replicate, Missing: "no result"})
		}
	}
	slices.SortStableFunc(all, func(a, b summary.Replicate) int { return a.Index - b.Index })
	return all
}

// windowRange holds zero, the interval, every replicate and the middle 96 % of
// the windows that count; the others are drawn at the edge.
func windowRange(w Windows) (low, high float64) {
	hold := func(us float64) { low, high = min(low, us), max(high, us) }
	var counted []float64
	for _, win := range w.Windows {
		if win.Void == "" {
			counted = append(counted, win.DiffUs)
		}
	}
	slices.Sort(counted)
	if n := len(counted); n > 0 {
		hold(counted[n*2/100])
		hold(counted[n-1-n*2/100])
	}
	for _, r := range w.Replicates {
		if r.Missing == "" {
			hold(r.DiffUs)
		}
	}
	if w.HasInterval {
		hold(w.LowUs)
		hold(w.HighUs)
	}
	if high-low <= 0 {
		return -1, 1
	}
	return pad(low, high, 0.08)
}

func (c *canvas) windowAxes(w Windows, frame plot, y scale, low, high float64) {
	ticks := roundTicks(low, high, 6)
	c.group("grid")
	for _, us := range ticks {
		c.line(frame.left, y(us), frame.right, y(us))
	}
	c.end()
	c.group("rule")
	c.line(frame.left, y(0), frame.right, y(0), "stroke-width", "1.5")
	c.end()
	c.group("muted")
	for i, text := range signedLabels(ticks) {
		c.text(frame.left-8, y(ticks[i])+4, end, text)
	}
	c.text((frame.left+frame.right)/2, frame.bottom+36, middle, "replicate: one start of everything")
	c.end()
	c.group("ink")
	if c.form == Wide {
		c.title(w.Name+" at p50, window by window", c.width-windowKeyWidth-16)
	} else {
		c.title(w.Name+" at p50", c.width)
	}
	c.end()
}

// headline draws the interval across all replicates.
func (c *canvas) headline(w Windows, frame plot, y scale) {
	if !w.HasInterval {
		return
	}
	c.series(w.Style.Color)
	c.rect(frame.left, y(w.HighUs), frame.right-frame.left, y(w.LowUs)-y(w.HighUs), "fill", "currentColor", "fill-opacity", "0.16")
	c.end()
}

// replicate draws one replicate's windows inside its share of the frame.
func (c *canvas) replicate(w Windows, r summary.Replicate, area plot, y scale) {
	width := area.right - area.left
	c.group("muted")
	if name := fmt.Sprint(r.Index); width >= textWidth(name, 12)+5 || r.Index%5 == 0 {
		c.text((area.left+area.right)/2, area.bottom+18, middle, name)
	}
	c.end()
	c.group("grid")
	c.line(area.right, area.top, area.right, area.bottom)
	c.end()
	if r.Missing != "" {
		c.missing(r, area)
	}
	var own []summary.Window
	for _, win := range w.Windows {
		if win.Replicate == r.Index {
			own = append(own, win)
		}
	}
	c.series(w.Style.Color)
	crowded := len(own)*6 > int(width)
	opacity := "1"
	if crowded {
		opacity = "0.45"
	} else {
		c.own(r, area, y)
	}
	c.open("g", "opacity", opacity)
	for i, win := range own {
		x := area.left + width*(float64(i)+1)/(float64(len(own))+1)
		c.window(win, x, area, y, crowded)
	}
	c.end()
	if crowded { // where dots run into each other, the bar lies on top of them
		c.own(r, area, y)
	}
	c.end()
}

// own draws a replicate's own estimate as a bar in the colour around it.
func (c *canvas) own(r summary.Replicate, area plot, y scale) {
	if r.Missing != "" {
		return
	}
	half, center := (area.right-area.left)*0.36, (area.left+area.right)/2
	at := clampTo(y(r.DiffUs), area)
	c.rect(center-half-1, at-2.5, 2*half+2, 5, "class", "paper", "fill", LightPaper)
	c.open("rect", "x", num(center-half), "y", num(at-1.5), "width", num(2*half), "height", "3", "fill", "currentColor")
	c.tooltip(fmt.Sprintf("replicate %d: %s", r.Index, differenceText(r.DiffUs)))
	c.close("rect")
}

// radius is the size of a dot; smaller where they would run into each other.
func radius(form Form, crowded bool) float64 {
	switch {
	case crowded:
		return 1.7
	case form == Narrow:
		return 2.6
	}
	return 3.2
}

func (c *canvas) missing(r summary.Replicate, area plot) {
	c.group("band")
	c.open("rect", "x", num(area.left+2), "y", num(area.top), "width", num(area.right-area.left-4), "height", num(area.bottom-area.top))
	c.tooltip(fmt.Sprintf("replicate %d does not count: %s", r.Index, r.Missing))
	c.close("rect")
	c.end()
	c.group("muted")
	x, y := (area.left+area.right)/2+4, (area.top+area.bottom)/2
	c.text(x, y, middle, "not counted", "transform", "rotate(-90 "+num(x)+" "+num(y)+")", "font-size", "11")
	c.end()
}

// window draws one dot; one beyond the frame is an arrowhead at its edge.
func (c *canvas) window(win summary.Window, x float64, area plot, y scale, crowded bool) {
	text := fmt.Sprintf("replicate %d, window %d: %s", win.Replicate, win.Index, differenceText(win.DiffUs))
	if win.Void != "" {
		text += "; voided: " + win.Void
	}
	r := radius(c.form, crowded)
	at, shape := y(win.DiffUs), Circle
	switch inside := clampTo(at, area); {
	case inside > at:
		at, shape = inside, up
	case inside < at:
		at, shape = inside, down
	}
	c.marker(shape, x, at, r, win.Void != "", text)
}

func clampTo(y float64, area plot) float64 { return min(max(y, area.top+4), area.bottom-4) }

func differenceText(us float64) string {
	unit := quantity.UnitFor(us)
	return unit.With(unit.Signed(us, quantity.SignificantStep(us, 3)))
}

// windowLabels names the interval and the zero line, and shows what dots and bars are.
func (c *canvas) windowLabels(w Windows, frame plot, y scale) {
	labels := []label{{y: y(0), text: "no difference"}}
	if w.HasInterval {
		labels = append(labels, label{y: y((w.LowUs + w.HighUs) / 2), text: w.EstimateText, kv: []string{"font-weight", "600"}})
	}
	if c.form == Wide {
		c.group("ink")
		for _, l := range spread(labels, 16, frame.top+4, frame.bottom-4) {
			c.text(frame.right+8, l.y+4, start, l.text, l.kv...)
		}
		c.end()
	}
	c.windowKey(w)
}

const windowKeyWidth = 384.0

func (c *canvas) windowKey(w Windows) {
	x, y := c.width-windowKeyWidth, 16.0
	if c.form == Narrow {
		x, y = 0, 42
	}
	c.series(w.Style.Color)
	c.marker(Circle, x+4, y, 3.2, false, "")
	c.marker(Circle, x+94, y, 3.2, true, "")
	c.line(x+164, y, x+182, y, "stroke", "currentColor", "stroke-width", "3")
	c.end()
	c.group("ink")
	c.text(x+13, y+4, start, "a window")
	c.text(x+103, y+4, start, "voided")
	c.text(x+189, y+4, start, "a replicate's own")
	c.end()
}
