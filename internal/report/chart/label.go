package chart

import (
	"sort"
	"strings"
	"unicode"
)

// bold is how much wider bold text is than textWidth says.
const bold = 1.14

// textWidth estimates the width of text at a font size. Fonts differ, so it
// errs on the wide side for the common ones.
func textWidth(text string, size float64) float64 {
	width := 0.0
	for _, r := range text {
		switch {
		case r > 0x2E80:
			width += 1.02
		case unicode.In(r, unicode.Mn, unicode.Me):
		case strings.ContainsRune("iljtfrI.,:;'|!()[]/ ", r):
			width += 0.36
		case strings.ContainsRune("mwMW@%−→+<>=~#&", r):
			width += 0.88
		case unicode.IsUpper(r):
			width += 0.70
		default:
			width += 0.61
		}
	}
	return width * size
}

// shorten cuts text to a width and marks the cut.
func shorten(text string, width, size float64) string {
	if textWidth(text, size) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 1 && textWidth(string(runes)+"…", size) > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// lines breaks text between words into at most most lines of a width; what
// does not fit is cut.
func lines(text string, width, size float64, most int) []string {
	var out []string
	words := strings.Fields(text)
	for len(words) > 0 {
		n := 1
		for n < len(words) && textWidth(strings.Join(words[:n+1], " "), size) <= width {
			n++
		}
		if len(out) == most-1 {
			n = len(words)
		}
		out = append(out, shorten(strings.Join(words[:n], " "), width, size))
		words = words[n:]
	}
	return out
}

// box is the room that a text takes.
type box struct{ left, top, right, bottom float64 }

func (b box) meets(others []box) bool {
	for _, o := range others {
		if b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom {
			return true
		}
	}
	return false
}

// label is a text that wants to stand at a height.
type label struct {
	y    float64
	text string
	kv   []string
}

// spread moves labels apart until each has a gap to the next, within [top,
// bottom] if they fit, and returns them from top to bottom.
func spread(labels []label, gap, top, bottom float64) []label {
	sort.SliceStable(labels, func(i, j int) bool { return labels[i].y < labels[j].y })
	for i := range labels {
		if i == 0 {
			labels[i].y = max(labels[i].y, top)
		} else {
			labels[i].y = max(labels[i].y, labels[i-1].y+gap)
		}
	}
	limit := bottom
	for i := len(labels) - 1; i >= 0 && labels[i].y > limit; i-- {
		labels[i].y = limit
		limit -= gap
	}
	return labels
}
