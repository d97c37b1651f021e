package chart

import "slices"

// Waterfall is a ledger: the parts of a latency, the remainder and the total.
type Waterfall struct {
	Title string
	Rows  []WaterfallRow
	Style Style
}

// WaterfallRow is one part. Its bar starts where the one above ends; the
// total's starts at zero.
type WaterfallRow struct {
	Part, By string
	Us       float64
	Text     string // as the table writes it
	Kind     RowKind
}

// RowKind says how a row is drawn.
type RowKind int

// The kinds of row.
const (
	Part      RowKind = iota
	Agent             // the part in question: in the arm's colour
	Remainder         // hatched
	Total             // outlined, from zero
)

// DrawWaterfall draws the parts as bars that continue each other, with the
// remainder hatched and the total below. It returns "" without rows.
func DrawWaterfall(w Waterfall, f Figure, form Form) string {
	if len(w.Rows) == 0 || slices.ContainsFunc(w.Rows, func(r WaterfallRow) bool { return !drawable(r.Us) }) {
		return ""
	}
	step, left, right, top := 48.0, 264.0, 670.0, 46.0
	if form == Narrow {
		step, left, right, top = 66, 0, 270, 40
	}
	height := top + step*float64(len(w.Rows)) + 14
	c := newCanvas(f, form, height)
	hatch := c.hatch()
	c.group("ink")
	c.title(w.Title, c.width)
	c.end()
	low, high := waterfallRange(w.Rows)
	x := linear(low, high, left, right)
	at := 0.0
	for i, row := range w.Rows {
		y := top + step*float64(i)
		from, to := at, at+row.Us
		if row.Kind == Total {
			from, to = 0, row.Us
		} else {
			at = to
		}
		c.waterfallLabel(row, y, left)
		c.bar(w.Style, row, x(min(from, to)), x(max(from, to)), y, hatch)
		c.connector(w.Rows, i, x(to), y, step)
		c.group("ink")
		c.text(x(max(from, to))+8, y+c.barTop()+14, start, row.Text, "class", "digits", "font-weight", weight(row.Kind))
		c.end()
	}
	return c.String()
}

func weight(k RowKind) string {
	if k == Total {
		return "600"
	}
	return "400"
}

// waterfallRange holds zero and every end of a bar.
func waterfallRange(rows []WaterfallRow) (low, high float64) {
	at := 0.0
	for _, r := range rows {
		if r.Kind != Total {
			at += r.Us
		} else {
			at = r.Us
		}
		low, high = min(low, at), max(high, at)
	}
	if high-low <= 0 {
		high = low + 1
	}
	return low, high
}

// barTop is where a bar starts below its row's top: on a phone the labels stand above it.
func (c *canvas) barTop() float64 {
	if c.form == Narrow {
		return 36
	}
	return 0
}

const barHeight = 20

// waterfallLabel names a part, and below it how it was found.
func (c *canvas) waterfallLabel(row WaterfallRow, y, left float64) {
	x, side, room := left-14, end, left-14
	if c.form == Narrow {
		x, side, room = left, start, c.width
	}
	c.group("ink")
	at := y + 9
	for _, line := range lines(row.Part, room, 12, 2) {
		c.text(x, at, side, line, "font-weight", weight(row.Kind))
		at += 14
	}
	c.end()
	c.group("muted")
	c.text(x, at, side, shorten(row.By, room, 11), "font-size", "11")
	c.end()
}

func (c *canvas) bar(s Style, row WaterfallRow, from, to, y float64, hatch string) {
	y += c.barTop()
	width := max(to-from, 1)
	switch row.Kind {
	case Remainder:
		c.group("axis")
		c.rect(from, y, width, barHeight, "fill", hatch)
		c.end()
	case Total:
		c.group("box")
		c.rect(from, y, width, barHeight)
		c.end()
	case Agent:
		c.series(s.Color)
		c.rect(from, y, width, barHeight, "fill", "currentColor")
		c.end()
	default:
		c.group("part")
		c.rect(from, y, width, barHeight)
		c.end()
	}
}

// connector leads from the end of a bar to the row below.
func (c *canvas) connector(rows []WaterfallRow, i int, x, y, step float64) {
	if i+1 >= len(rows) || c.form == Narrow { // where it would cross the labels
		return
	}
	c.group("axis")
	c.line(x, y+c.barTop()+barHeight, x, y+step+c.barTop())
	c.end()
}
