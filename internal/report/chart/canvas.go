// Package chart draws the pictures of a report as SVG: the paths with their
// proof, the difference by quantile, the latency distributions, the windows
// over time and the ledger.
//
// The pictures are drawn by hand because no chart library for Go has a
// probability axis, an interval band with a noise floor, or voided windows,
// and because they must work inside a page: themed by its style sheet, with
// text alternatives, safe for any arm name, and the same bytes every time.
// Each picture comes in two forms, since text in an SVG shrinks with it.
//
// An SVG stands on its own as well: colours are given as attributes, in the
// light theme, and the page's style sheet overrides them by class.
package chart

import (
	"html"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Form is the shape that a picture is drawn for.
type Form struct {
	Name  string // suffix of the picture's ids, and its class
	Width float64
}

// The forms: Wide for a desk and for paper, Narrow for a phone.
var (
	Wide   = Form{"wide", 760}
	Narrow = Form{"narrow", 360}
)

// Figure names a picture for those who do not see it.
type Figure struct {
	ID    string // unique in the page
	Title string
	Desc  string
}

// canvas collects the elements of one SVG.
type canvas struct {
	out           strings.Builder
	id            string
	form          Form
	width, height float64
}

// roles are the parts of a picture that the theme colours: class → attributes
// that hold without a style sheet.
var roles = map[string]string{
	"grid":  `stroke="#e3e6ea"`,
	"axis":  `stroke="#8b949e"`,
	"rule":  `stroke="#59616b"`,
	"muted": `fill="#59616b"`,
	"ink":   `fill="#1a1d21"`,
	"paper": `fill="#ffffff"`,
	"band":  `fill="#f3f5f7"`,
	"ghost": `fill="none" stroke="#8b949e" stroke-dasharray="3 3"`,
	"part":  `fill="#8b949e"`,
	"box":   `fill="#f3f5f7" stroke="#8b949e"`,
}

func newCanvas(f Figure, form Form, height float64) *canvas {
	c := &canvas{id: f.ID + "-" + form.Name, form: form, width: form.Width, height: height}
	c.open("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "picture "+form.Name, "role", "img",
		"viewBox", "0 0 "+num(c.width)+" "+num(height), "width", num(c.width), "height", num(height),
		"aria-labelledby", c.id+"-title "+c.id+"-desc",
		"font-family", "system-ui, sans-serif", "font-size", "12", "fill", "#1a1d21")
	c.open("title", "id", c.id+"-title")
	c.write(f.Title)
	c.close("title")
	c.open("desc", "id", c.id+"-desc")
	c.write(f.Desc)
	c.close("desc")
	return c
}

// String closes the SVG and returns it.
func (c *canvas) String() string {
	c.close("svg")
	return c.out.String()
}

// open starts an element; kv are attribute names and values.
func (c *canvas) open(tag string, kv ...string) { c.tag(tag, ">", kv) }

// empty writes an element without content.
func (c *canvas) empty(tag string, kv ...string) { c.tag(tag, "/>", kv) }

func (c *canvas) tag(tag, end string, kv []string) {
	c.out.WriteString("<" + tag)
	for i := 0; i+1 < len(kv); i += 2 {
		c.out.WriteString(" " + kv[i] + `="` + escape(kv[i+1]) + `"`)
	}
	c.out.WriteString(end)
}

func (c *canvas) close(tag string) { c.out.WriteString("</" + tag + ">\n") }

// write adds text content.
func (c *canvas) write(text string) { c.out.WriteString(escape(text)) }

// group opens a <g> with a role.
func (c *canvas) group(role string) {
	c.out.WriteString(`<g class="` + role + `" ` + roles[role] + ">\n")
}

// series opens a <g> in a colour: its elements are painted in currentColor.
func (c *canvas) series(color string) { c.open("g", "color", color) }

func (c *canvas) end() { c.close("g") }

// line draws in the stroke of the group around it.
func (c *canvas) line(x1, y1, x2, y2 float64, kv ...string) {
	c.empty("line", append([]string{"x1", num(x1), "y1", num(y1), "x2", num(x2), "y2", num(y2)}, kv...)...)
}

func (c *canvas) rect(x, y, w, h float64, kv ...string) {
	c.empty("rect", append([]string{"x", num(x), "y", num(y), "width", num(math.Max(w, 0)), "height", num(math.Max(h, 0))}, kv...)...)
}

// anchor says which part of a text stands at its x.
type anchor string

const (
	start  anchor = "start"
	middle anchor = "middle"
	end    anchor = "end"
)

// text writes one line of text.
func (c *canvas) text(x, y float64, a anchor, text string, kv ...string) {
	attributes := []string{"x", num(x), "y", num(y)}
	if a != start {
		attributes = append(attributes, "text-anchor", string(a))
	}
	c.open("text", append(attributes, kv...)...)
	c.write(text)
	c.close("text")
}

// halo writes text that stays readable on top of lines and bands.
func (c *canvas) halo(x, y float64, a anchor, text string, kv ...string) {
	c.text(x, y, a, text, append(kv, "class", "halo", "stroke", LightPaper, "stroke-width", "4", "stroke-linejoin", "round", "paint-order", "stroke")...)
}

// tooltip gives the element that is open a text to hover over.
func (c *canvas) tooltip(text string) {
	c.open("title")
	c.write(text)
	c.close("title")
}

// clip defines a rectangle and returns the attribute value that clips to it.
func (c *canvas) clip(x, y, w, h float64) string {
	id := c.id + "-clip"
	c.open("clipPath", "id", id)
	c.rect(x, y, w, h)
	c.close("clipPath")
	return "url(#" + id + ")"
}

// hatch defines diagonal lines and returns the fill that paints them.
func (c *canvas) hatch() string {
	id := c.id + "-hatch"
	c.open("pattern", "id", id, "width", "6", "height", "6", "patternUnits", "userSpaceOnUse", "patternTransform", "rotate(45)")
	c.rect(0, 0, 6, 6, "fill", "#8b949e", "fill-opacity", "0.10")
	c.line(0, 0, 0, 6, "stroke", "#8b949e", "stroke-width", "2.4", "stroke-opacity", "0.55")
	c.close("pattern")
	return "url(#" + id + ")"
}

// point is a place on the canvas.
type point struct{ x, y float64 }

// path joins points by straight lines.
func path(points []point) string {
	var b strings.Builder
	for i, p := range points {
		if i == 0 {
			b.WriteString("M")
		} else {
			b.WriteString("L")
		}
		b.WriteString(num(p.x) + " " + num(p.y))
	}
	return b.String()
}

// ribbon is the closed outline between an upper and a lower edge.
func ribbon(upper, lower []point) string {
	outline := append([]point{}, upper...)
	for i := len(lower) - 1; i >= 0; i-- {
		outline = append(outline, lower[i])
	}
	return path(outline) + "Z"
}

// num writes a coordinate to a tenth of a unit, which is finer than a pixel.
func num(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	text := strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
	if text == "-0" {
		return "0"
	}
	return text
}

// escape makes text safe in XML, as content and as an attribute. Control
// characters, which XML cannot carry at all, become question marks.
func escape(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF {
			return '?'
		}
		return r
	}, text)
	return html.EscapeString(text)
}
