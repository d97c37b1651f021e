package report_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report/chart"
)

// Marks are told from the paper by 3:1 or more (WCAG 2.2, 1.4.11), and arms
// from each other by their line as well as by their colour.
func TestArmsCanBeToldApart(t *testing.T) {
	names := []string{"agent", "bypass", "mesh", "direct", "fifth", "sixth"}
	colors, dashes := map[string]bool{}, map[string]bool{}
	for _, style := range chart.Styles(names, nil) {
		for _, paper := range []string{chart.LightPaper, chart.DarkPaper} {
			if got := contrast(t, style.Color, paper); got < 3 {
				t.Errorf("%s on %s has a contrast of %.2f", style.Color, paper, got)
			}
		}
		colors[style.Color], dashes[style.Dash] = true, true
	}
	if len(colors) != len(names) || len(dashes) != len(names) {
		t.Errorf("%d arms have %d colours and %d lines", len(names), len(colors), len(dashes))
	}
}

// Text has 4.5:1 or more (WCAG 2.2, 1.4.3) on its paper in both themes, and
// the pictures know the papers of the page.
func TestTextContrast(t *testing.T) {
	css, err := os.ReadFile("page/page.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(css), 2)
	for i, paper := range []string{chart.LightPaper, chart.DarkPaper} {
		theme := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(themes[i][1], -1) {
			theme[m[1]] = m[2]
		}
		if theme["paper"] != paper {
			t.Errorf("the page's paper is %s, the pictures' %s", theme["paper"], paper)
		}
		for _, pair := range [][2]string{{"ink", "paper"}, {"muted", "paper"}, {"link", "paper"}, {"warn-ink", "paper"},
			{"warn-ink", "warn-paper"}, {"ink", "band"}, {"muted", "band"}} {
			if got := contrast(t, theme[pair[0]], theme[pair[1]]); got < 4.5 {
				t.Errorf("%s on %s has a contrast of %.2f in theme %d", pair[0], pair[1], got, i)
			}
		}
		for _, mark := range []string{"axis", "rule"} {
			if got := contrast(t, theme[mark], paper); got < 3 {
				t.Errorf("%s has a contrast of %.2f in theme %d", mark, got, i)
			}
		}
	}
}

// contrast is the ratio of WCAG 2.2 between two colours written as #rrggbb.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, color string) float64 {
	t.Helper()
	v, err := strconv.ParseUint(strings.TrimPrefix(color, "#"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, weight := range []float64{0.0722, 0.7152, 0.2126} { // blue, green, red
		c := float64(v>>(8*i)&0xff) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
