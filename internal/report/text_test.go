package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/golden"
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
			golden.Check(t, "testdata/"+f.name+"/text.txt", []byte(text(t, &f.build().Summary, report.TextOptions{})))
		})
	}
	wide := report.TextOptions{Width: 160}
	golden.Check(t, "testdata/different/text-wide.txt", []byte(text(t, &fixtureNamed("different").Summary, wide)))
	narrow := report.TextOptions{Width: 40}
	golden.Check(t, "testdata/different/text-narrow.txt", []byte(text(t, &fixtureNamed("different").Summary, narrow)))
	color := report.TextOptions{Color: true}
	golden.Check(t, "testdata/different/text-color.txt", []byte(text(t, &fixtureNamed("different").Summary, color)))
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

// TestPlanSaysWhatWasVaried: bodies, what was deployed beyond the templates, and
// Envoy's workers stand beside the numbers in every rendering.
func TestPlanSaysWhatWasVaried(t *testing.T) {
	r := fixtureNamed("different")
	p := &r.Summary.Plan
	p.RequestBytes, p.ResponseBytes, p.AppProtocol, p.AccessLog, p.EnvoyWorkers = 1000, 16384, "http2", "OFF", 1
	want := "request bodies of 1,000 bytes; response bodies of 16 KiB; appProtocol http2; no agent with an access log; Envoy with 1 worker"
	for name, got := range map[string]string{
		"text": text(t, &r.Summary, report.TextOptions{}), "markdown": markdown(t, r), "HTML": string(page(t, r)),
	} {
		if got = strings.Join(strings.Fields(got), " "); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", name, want, got)
		}
	}
}
