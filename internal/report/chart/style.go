package chart

// Style is how an arm looks in every picture. The colour never stands alone:
// each arm has its own line and its own marker as well.
type Style struct {
	Color string
	Dash  string // stroke-dasharray; "" for a full line
	Shape Shape
	Twin  bool // an A/A twin: the colour of its arm, a thin line, a hollow marker
}

// Shape is the marker of an arm.
type Shape int

// The markers.
const (
	Circle Shape = iota
	Square
	Triangle
	Diamond
	up // beyond the upper edge
	down
)

// Colours of the light and of the dark page, against which the palette is
// checked: 3:1 for marks, 4.5:1 for text (WCAG 2.2, 1.4.11 and 1.4.3).
const (
	LightPaper = "#ffffff"
	DarkPaper  = "#15181b"
)

// palette gives the arms their looks. The colours are those of Okabe and
// Ito (2008), which people with any colour vision can tell apart; the grey is
// a neutral of medium lightness. The last is for a further arm.
var palette = []struct {
	arm   string
	style Style
}{
	{"agent", Style{Color: "#D55E00", Shape: Circle}},
	{"bypass", Style{Color: "#0072B2", Dash: "8 3", Shape: Square}},
	{"mesh", Style{Color: "#009E73", Dash: "2 3", Shape: Triangle}},
	{"direct", Style{Color: "#7F7F7F", Dash: "9 3 2 3", Shape: Diamond}},
	{"mesh-tls", Style{Color: "#B65F93", Dash: "5 2 1 2 1 2", Shape: Circle}},
	{"", Style{Color: "#8F7A12", Dash: "12 3", Shape: Square}},
}

// Styles gives every arm its looks. names are in the order of the summary;
// twinOf maps a twin to its arm. An arm that hoplab knows has always the same
// colour; others take what is left, in order.
func Styles(names []string, twinOf map[string]string) map[string]Style {
	styles := map[string]Style{}
	taken := map[int]bool{}
	for _, name := range names {
		for i, p := range palette {
			if name == p.arm {
				styles[name], taken[i] = p.style, true
			}
		}
	}
	for _, name := range names {
		if _, known := styles[name]; known || twinOf[name] != "" {
			continue
		}
		styles[name] = palette[firstFree(taken)].style
	}
	for _, name := range names {
		if arm := twinOf[name]; arm != "" {
			twin, known := styles[arm]
			if !known {
				twin = palette[firstFree(taken)].style
			}
			twin.Twin = true
			styles[name] = twin
		}
	}
	return styles
}

// firstFree takes the first look that is not taken; when all are, the last one.
func firstFree(taken map[int]bool) int {
	for i := range palette {
		if !taken[i] {
			taken[i] = true
			return i
		}
	}
	return len(palette) - 1
}

// marker draws an arm's marker in the series' colour; hollow has the paper inside.
func (c *canvas) marker(s Shape, x, y, r float64, hollow bool, tooltip string) {
	kv := []string{"fill", "currentColor", "stroke", "currentColor"}
	if hollow {
		kv = []string{"class", "paper", "fill", LightPaper, "stroke", "currentColor", "stroke-width", "1.5"}
	}
	tag := "path"
	switch s {
	case Circle:
		tag = "circle"
		kv = append(kv, "cx", num(x), "cy", num(y), "r", num(r))
	case Square:
		kv = append(kv, "d", path([]point{{x - r, y - r}, {x + r, y - r}, {x + r, y + r}, {x - r, y + r}})+"Z")
	case Triangle:
		kv = append(kv, "d", path([]point{{x, y - 1.2*r}, {x + 1.1*r, y + 0.8*r}, {x - 1.1*r, y + 0.8*r}})+"Z")
	case up:
		kv = append(kv, "d", path([]point{{x - r, y + r}, {x, y - r}, {x + r, y + r}})+"Z")
	case down:
		kv = append(kv, "d", path([]point{{x - r, y - r}, {x, y + r}, {x + r, y - r}})+"Z")
	case Diamond:
		kv = append(kv, "d", path([]point{{x, y - 1.3*r}, {x + 1.3*r, y}, {x, y + 1.3*r}, {x - 1.3*r, y}})+"Z")
	}
	if tooltip == "" {
		c.empty(tag, kv...)
		return
	}
	c.open(tag, kv...)
	c.tooltip(tooltip)
	c.close(tag)
}

// markerSize is larger for a twin, so that it shows around its arm's marker.
func (s Style) markerSize() float64 {
	if s.Twin {
		return 6
	}
	return 4
}

// stroke returns the attributes of a line in the arm's look.
func (s Style) stroke(width float64) []string {
	if s.Twin {
		width /= 2
	}
	kv := []string{"fill", "none", "stroke", "currentColor", "stroke-width", num(width), "stroke-linejoin", "round"}
	if s.Dash != "" {
		kv = append(kv, "stroke-dasharray", s.Dash)
	}
	return kv
}
