package report_test

import (
	"bytes"
	"encoding/xml"
	"flag"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/golden"
)

var pages = flag.String("pages", "", "a directory to which TestHTMLPages writes every page, to look at")

func page(t *testing.T, r *summary.Result) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := report.HTML(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHTMLGolden(t *testing.T) {
	golden.Check(t, "testdata/four-arms/report.html", page(t, fixtureNamed("four-arms")))
}

// Every page is small, loads nothing, has unique ids and well-formed pictures.
func TestHTMLPages(t *testing.T) {
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			got := page(t, f.build())
			if *pages != "" {
				if err := os.WriteFile(filepath.Join(*pages, f.name+".html"), got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if len(got) > 400_000 {
				t.Errorf("%d bytes; a report stays under 400 kB", len(got))
			}
			checkLoadsNothing(t, string(got))
			checkIDs(t, string(got))
			checkPictures(t, string(got))
			if again := page(t, f.build()); !bytes.Equal(got, again) {
				t.Error("the same value gave other bytes")
			}
		})
	}
}

// checkLoadsNothing allows links, which the reader follows, and the name of
// the SVG namespace; everything else with an address would be a load.
func checkLoadsNothing(t *testing.T, doc string) {
	t.Helper()
	rest := strings.ReplaceAll(doc, `xmlns="http://www.w3.org/2000/svg"`, "")
	rest = regexp.MustCompile(`<a href="https://[^"]*">`).ReplaceAllString(rest, "")
	for _, bad := range []string{"http://", "https://", "<script", "<iframe", "<img", "@import", "src="} {
		if strings.Contains(rest, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for _, m := range regexp.MustCompile(`url\(([^)]*)\)`).FindAllStringSubmatch(rest, -1) {
		if !strings.HasPrefix(m[1], "#") {
			t.Errorf("the page loads %s", m[1])
		}
	}
}

// checkIDs wants every id once, and every reference to lead somewhere.
func checkIDs(t *testing.T, html string) {
	t.Helper()
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if ids[m[1]] {
			t.Errorf("id %q stands twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:href="#|url\(#)([^")]*)`).FindAllStringSubmatch(html, -1) {
		if !ids[m[1]] {
			t.Errorf("nothing has the id %q that is referred to", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`aria-labelledby="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		for _, id := range strings.Fields(m[1]) {
			if !ids[id] {
				t.Errorf("nothing has the id %q that names a picture", id)
			}
		}
	}
}

// checkPictures reads every SVG as XML and wants a title and a description in it.
func checkPictures(t *testing.T, html string) {
	t.Helper()
	pictures := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(html, -1)
	if strings.Count(html, "<svg") != len(pictures) {
		t.Error("a picture has no end")
	}
	for _, svg := range pictures {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("not well-formed: %v in %.300s", err, svg)
			}
		}
		if !regexp.MustCompile(`^<svg[^>]* role="img"[^>]*>\s*<title id="[^"]*">[^<]+</title>\s*<desc id="[^"]*">[^<]+</desc>`).MatchString(svg) {
			t.Errorf("no text alternative: %.300s", svg)
		}
		if bad := regexp.MustCompile(` [a-z0-9-]+="[^"]*(NaN|Inf)[^"]*"`).FindString(svg); bad != "" {
			t.Errorf("a coordinate is not a number: %s", bad)
		}
	}
}

var sections = []string{"answer", "paths", "difference", "latencies", "windows", "ledger", "numbers", "method", "limits"}

// The nine sections stand in their order, whatever the run.
func TestHTMLSections(t *testing.T) {
	for _, f := range fixtures() {
		html := string(page(t, f.build()))
		at := -1
		for _, id := range sections {
			next := strings.Index(html, `<section id="`+id+`"`)
			if next <= at {
				t.Errorf("%s: section %s is missing or out of order", f.name, id)
			}
			at = next
		}
	}
}

// A refused run shows its contradictions and no latency.
func TestRefusedShowsNoLatency(t *testing.T) {
	r := fixtureNamed("refused")
	html, md, txt := string(page(t, r)), markdown(t, r), text(t, &r.Summary, report.TextOptions{})
	for name, out := range map[string]string{"html": html, "markdown": md, "text": txt, "junit": string(junit(t, &r.Summary))} {
		if regexp.MustCompile(`\d (µs|ms)\b`).MatchString(out) {
			t.Errorf("%s shows a latency: %s", name, regexp.MustCompile(`.{40}\d (µs|ms)\b`).FindString(out))
		}
		if !strings.Contains(out, "replicate 2: 3 requests passed the agent, by its own counter") {
			t.Errorf("%s does not show the contradiction", name)
		}
	}
}

// Every warning, limit, sentence and proof reaches every rendering that speaks to people.
func TestNothingIsLost(t *testing.T) {
	for _, name := range []string{"different", "cannot-tell", "four-arms", "partial", "within"} {
		r := fixtureNamed(name)
		for kind, out := range map[string]string{
			"html": string(page(t, r)), "markdown": markdown(t, r),
			"text": text(t, &r.Summary, report.TextOptions{Width: 4000}), "junit": string(junit(t, &r.Summary)),
		} {
			var wanted []string
			for _, w := range r.Summary.Warnings {
				wanted = append(wanted, w.Text)
			}
			wanted = append(wanted, r.Summary.Sentences...)
			wanted = append(wanted, "not in AWS")
			if r.Summary.Partial != nil {
				wanted = append(wanted, r.Summary.Partial.Resume)
			}
			for _, want := range wanted {
				if !strings.Contains(strings.Join(strings.Fields(html.UnescapeString(out)), " "), want) {
					t.Errorf("%s of %s does not say %q", kind, name, want)
				}
			}
		}
	}
}

// What users and programs name cannot become markup.
func TestHTMLShowsHostileTextAsText(t *testing.T) {
	html := string(page(t, fixtureNamed("hostile")))
	for _, bad := range []string{"<script", "alert(1)</script>", "\x1b", "\x00", "\u202e", "]]>"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if !strings.Contains(html, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the name is not shown at all")
	}
}
