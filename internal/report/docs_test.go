package report_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/test/golden"
)

//go:generate go test . -run 'Golden|TestDocs|TestJSONMatches' -count=1 -update

const docs = "../../docs"

var sample = regexp.MustCompile(`(?s)<!-- sample: (\S+)/(\S+) -->\n.*?<!-- end -->`)

// The samples in docs/report.md are what the renderings really write.
func TestDocsSamples(t *testing.T) {
	path := filepath.Join(docs, "report.md")
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	want := sample.ReplaceAllFunc(have, func(block []byte) []byte {
		count++
		m := sample.FindSubmatch(block)
		return []byte("<!-- sample: " + string(m[1]) + "/" + string(m[2]) + " -->\n" + rendering(t, string(m[1]), string(m[2])) + "<!-- end -->")
	})
	if count < 6 {
		t.Errorf("only %d samples were found", count)
	}
	golden.Check(t, path, want)
}

// rendering is a sample with the fence around it.
func rendering(t *testing.T, name, kind string) string {
	t.Helper()
	r := fixtureNamed(name)
	switch kind {
	case "text":
		return "```\n" + text(t, &r.Summary, report.TextOptions{}) + "```\n"
	case "markdown":
		return "````markdown\n" + markdown(t, r) + "````\n"
	case "junit":
		return "```xml\n" + string(junit(t, &r.Summary)) + "```\n"
	}
	t.Fatalf("no rendering is called %q", kind)
	return ""
}

// The pictures in docs/report/ are those of the page, on white paper.
func TestDocsPictures(t *testing.T) {
	for name, fixture := range map[string]string{"paths": "different", "difference": "different",
		"latencies": "different", "windows": "different", "ledger": "four-arms"} {
		svg := regexp.MustCompile(`(?s)<svg[^>]* aria-labelledby="` + name + `-wide-title.*?</svg>`).FindString(string(page(t, fixtureNamed(fixture))))
		if svg == "" {
			t.Fatalf("the page has no picture %s", name)
		}
		svg = strings.Replace(svg, "</desc>\n", "</desc>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", 1) + "\n"
		golden.Check(t, filepath.Join(docs, "report", name+".svg"), []byte(svg))
	}
}
