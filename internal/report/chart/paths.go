package chart

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/quantity"
	"github.com/hoplab/hoplab/internal/summary"
)

// PathRow is one arm's way.
type PathRow struct {
	Arm   string
	Style Style
	Boxes []summary.Box
	// Around is what is written into an agent of other arms that this arm goes
	// around: "not passed", or how many requests passed it all the same.
	Around string
}

// DrawPaths draws every arm's way as boxes and arrows, one column for each
// process that any arm passes, with the ports in the box and the proof below
// it. An agent that an arm goes around is drawn as a dashed outline, because
// that it is there and not passed is the point of the experiment. It returns
// "" without rows.
func DrawPaths(rows []PathRow, f Figure, form Form) string {
	if len(rows) == 0 {
		return ""
	}
	order := columnOrder(rows)
	if form == Narrow {
		return drawPathsDown(rows, order, f)
	}
	const rowHeight = 148
	c := newCanvas(f, form, rowHeight*float64(len(rows)))
	for i, row := range rows {
		c.pathAcross(row, order, rowHeight*float64(i))
	}
	return c.String()
}

// columnOrder merges the paths into one order of processes: the longest path
// first, others' own boxes after the box that they follow.
func columnOrder(rows []PathRow) []string {
	longest := rows[0]
	for _, r := range rows {
		if len(r.Boxes) > len(longest.Boxes) {
			longest = r
		}
	}
	order := boxKeys(longest.Boxes)
	for _, r := range rows {
		at := -1
		for _, key := range boxKeys(r.Boxes) {
			if i := indexOf(order, key); i >= 0 {
				at = i
				continue
			}
			at++
			order = append(order[:at], append([]string{key}, order[at:]...)...)
		}
	}
	return order
}

// boxKeys names boxes so that one that is passed twice has two names.
func boxKeys(boxes []summary.Box) []string {
	seen := map[string]int{}
	keys := make([]string, len(boxes))
	for i, b := range boxes {
		keys[i] = fmt.Sprintf("%s#%d", b.Name, seen[b.Name])
		seen[b.Name]++
	}
	return keys
}

func indexOf(list []string, key string) int {
	for i, have := range list {
		if have == key {
			return i
		}
	}
	return -1
}

// goneAround returns the columns between two boxes that are agents of other arms.
func goneAround(order []string, from, to int) []int {
	var columns []int
	for i := from + 1; i < to; i++ {
		if nameOf(order[i]) == "agent" {
			columns = append(columns, i)
		}
	}
	return columns
}

func nameOf(key string) string { return key[:strings.LastIndexByte(key, '#')] }

// Counted tells whether a stop has a count of its own: one that nothing
// counted says so in By ("not counted").
func Counted(b summary.Box) bool {
	return b.By != "" && !(b.Proved == 0 && strings.HasPrefix(b.By, "not "))
}

// proofLines says how many requests passed a box, and what proves it.
func proofLines(b summary.Box, width float64) []string {
	by := lines(b.By, width, 11, 2)
	if !Counted(b) {
		return by
	}
	return append([]string{quantity.Count(b.Proved) + " requests"}, by...)
}

// pathAcross draws a row from left to right.
func (c *canvas) pathAcross(row PathRow, order []string, top float64) {
	column := c.width / float64(max(len(order), 1))
	boxWidth := min(column-34, 140)
	const boxTop, boxHeight = 40.0, 54.0
	pitch := (c.width - 2 - boxWidth) / float64(max(len(order)-1, 1))
	left := func(i int) float64 { return 1 + pitch*float64(i) }
	middleY := top + boxTop + boxHeight/2
	c.pathTitle(row, top+16)
	before := -1
	for i, key := range boxKeys(row.Boxes) {
		at := indexOf(order, key)
		if before >= 0 {
			around := goneAround(order, before, at)
			c.arrowAcross(row.Style, left(before)+boxWidth, left(at), middleY, top+boxTop-8, len(around) > 0)
			for _, g := range around {
				c.ghost(left(g), top+boxTop+6, boxWidth, boxHeight-12, nameOf(order[g]), row.Around)
			}
		}
		c.box(row.Boxes[i], left(at), top+boxTop, boxWidth, boxHeight)
		c.group("muted")
		for n, line := range proofLines(row.Boxes[i], boxWidth+4) {
			c.text(left(at)+boxWidth/2, top+boxTop+boxHeight+16+14*float64(n), middle, line, "font-size", "11")
		}
		c.end()
		before = at
	}
}

func (c *canvas) pathTitle(row PathRow, y float64) {
	c.series(row.Style.Color)
	c.empty("path", append([]string{"d", path([]point{{0, y - 4}, {26, y - 4}})}, row.Style.stroke(2.2)...)...)
	c.marker(row.Style.Shape, 13, y-4, 4.5, row.Style.Twin, "")
	c.end()
	c.group("ink")
	c.text(34, y, start, shorten(row.Arm, c.width-40, 13*bold), "font-size", "13", "font-weight", "600")
	c.end()
}

func (c *canvas) box(b summary.Box, x, y, w, h float64) {
	c.group("box")
	c.rect(x, y, w, h, "rx", "6")
	c.end()
	ports := lines(b.Ports, w-10, 11, 2)
	first := y + h/2 + 4.5 - 7*float64(len(ports))
	c.group("ink")
	c.text(x+w/2, first, middle, shorten(b.Name, w-10, 13*bold), "font-size", "13", "font-weight", "600")
	c.end()
	c.group("muted")
	for i, p := range ports {
		c.text(x+w/2, first+15+13*float64(i), middle, p, "font-size", "11")
	}
	c.end()
}

func (c *canvas) ghost(x, y, w, h float64, name, around string) {
	c.group("ghost")
	c.rect(x, y, w, h, "rx", "6")
	c.end()
	c.group("muted")
	c.text(x+w/2, y+h/2-2, middle, name, "font-size", "12")
	c.text(x+w/2, y+h/2+13, middle, shorten(around, w-8, 11), "font-size", "11")
	c.end()
}

// arrowAcross leads from one box to the next, over what it goes around.
func (c *canvas) arrowAcross(s Style, from, to, y, above float64, around bool) {
	c.series(s.Color)
	d := path([]point{{from + 2, y}, {to - 8, y}})
	if around {
		d = fmt.Sprintf("M%s %sC%s %s %s %s %s %sL%s %sC%s %s %s %s %s %s",
			num(from+2), num(y), num(from+18), num(y), num(from+10), num(above), num(from+34), num(above),
			num(to-34), num(above), num(to-12), num(above), num(to-22), num(y), num(to-8), num(y))
	}
	c.empty("path", append([]string{"d", d}, s.stroke(2)...)...)
	c.empty("path", "d", path([]point{{to - 10, y - 5}, {to - 1, y}, {to - 10, y + 5}})+"Z", "fill", "currentColor")
	c.end()
}

// drawPathsDown draws the same for a phone: boxes below each other, the proof beside them.
func drawPathsDown(rows []PathRow, order []string, f Figure) string {
	const title, gap = 34.0, 18.0
	height := 0.0
	for _, r := range rows {
		height += title + gap
		for _, step := range downSteps(r, order) {
			height += step.height() + 22
		}
		height -= 22
	}
	c := newCanvas(f, Narrow, height)
	y := 0.0
	for _, r := range rows {
		c.pathTitle(r, y+16)
		y = c.pathDown(r, downSteps(r, order), y+title) + gap
	}
	return c.String()
}

// downStep is a box, or an agent that is gone around.
type downStep struct {
	box   summary.Box
	ghost bool
}

func (s downStep) height() float64 {
	if s.ghost {
		return 38
	}
	return 52
}

func downSteps(row PathRow, order []string) []downStep {
	var steps []downStep
	before := -1
	for i, key := range boxKeys(row.Boxes) {
		at := indexOf(order, key)
		if before >= 0 {
			for _, g := range goneAround(order, before, at) {
				steps = append(steps, downStep{summary.Box{Name: nameOf(order[g])}, true})
			}
		}
		steps = append(steps, downStep{box: row.Boxes[i]})
		before = at
	}
	return steps
}

// pathDown draws a column of steps from y and returns where it ends.
func (c *canvas) pathDown(row PathRow, steps []downStep, y float64) float64 {
	const left, width = 22.0, 146.0
	from, around := 0.0, false
	for i, step := range steps {
		if step.ghost {
			c.ghost(left, y, width, step.height(), step.box.Name, row.Around)
			around = true
			y += step.height() + 22
			continue
		}
		if i > 0 {
			c.arrowDown(row.Style, left+width/2, from, y, around)
		}
		c.box(step.box, left, y, width, step.height())
		proof := proofLines(step.box, c.width-left-width-16)
		c.group("muted")
		for n, line := range proof {
			c.text(left+width+12, y+step.height()/2+4-7*float64(len(proof)-1)+14*float64(n), start, line, "font-size", "11")
		}
		c.end()
		y += step.height()
		from, around = y, false
		y += 22
	}
	return y - 22
}

func (c *canvas) arrowDown(s Style, x, from, to float64, around bool) {
	c.series(s.Color)
	d := path([]point{{x, from + 2}, {x, to - 8}})
	if around {
		const side = 4.0
		d = fmt.Sprintf("M%s %sC%s %s %s %s %s %sL%s %sC%s %s %s %s %s %s",
			num(x), num(from+1), num(x), num(from+16), num(side), num(from+4), num(side), num(from+24),
			num(side), num(to-26), num(side), num(to-4), num(x), num(to-20), num(x), num(to-8))
	}
	c.empty("path", append([]string{"d", d}, s.stroke(2)...)...)
	c.empty("path", "d", path([]point{{x - 5, to - 10}, {x, to - 1}, {x + 5, to - 10}})+"Z", "fill", "currentColor")
	c.end()
}
