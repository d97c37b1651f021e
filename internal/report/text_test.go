package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
)

func text(t *testing.T, s *summary.Summary, opts report.TextOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.Text(&out, s, opts); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTextGolden(t *testing.T) {
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			checkGolden(t, f.name+"/text.txt", []byte(text(t, &f.build().Summary, report.TextOptions{})))
		})
	}
	wide := report.TextOptions{Width: 160}
	checkGolden(t, "different/text-wide.txt", []byte(text(t, &fixtureNamed("different").Summary, wide)))
	narrow := report.TextOptions{Width: 40}
	checkGolden(t, "different/text-narrow.txt", []byte(text(t, &fixtureNamed("different").Summary, narrow)))
	color := report.TextOptions{Color: true}
	checkGolden(t, "different/text-color.txt", []byte(text(t, &fixtureNamed("different").Summary, color)))
}

// The widest line of every case fits the terminal, except where one word is
// longer than a line.
func TestTextFitsItsWidth(t *testing.T) {
	for _, f := range fixtures() {
		if f.name == "long-names" || f.name == "hostile" {
			continue // words of 70 columns
		}
		for _, width := range []int{60, 80, 100, 132, 200} {
			for _, line := range strings.Split(text(t, &f.build().Summary, report.TextOptions{Width: width}), "\n") {
				if n := len([]rune(line)); n > width {
					t.Errorf("%s at %d columns: a line of %d: %s", f.name, width, n, line)
				}
			}
		}
	}
}

func TestTextIsPlainUnlessColored(t *testing.T) {
	for _, f := range fixtures() {
		if got := text(t, &f.build().Summary, report.TextOptions{}); strings.ContainsAny(got, "\x1b\x00\u202e") {
			t.Errorf("%s: a control character reached the terminal: %q", f.name, got)
		}
	}
}
