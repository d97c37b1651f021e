package check_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/golden"
)

// fromTestdata is where the article's templates are for a test that runs in
// testdata, as those with inputs do: the paths stand in the golden files.
const fromTestdata = "../../source/cfn/deployment/testdata/article/"

// inputs are the article's template in its three forms and our own two arms.
var inputs = []struct{ name, path string }{
	{"article-default", fromTestdata + "default.template.json"},
	{"article-override-closed", fromTestdata + "override-closed.template.json"},
	{"article-override-open", fromTestdata + "override-open.template.json"},
	{"stacks-both", "../../../stacks/testdata/golden/both"},
}

func TestGolden(t *testing.T) {
	t.Chdir("testdata")
	for _, in := range inputs {
		t.Run(in.name, func(t *testing.T) {
			top := cfntest.Read(t, in.path)
			fs := checkAll(t, top)
			var b bytes.Buffer
			out := func(suffix string, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				golden.Check(t, in.name+suffix, b.Bytes())
				b.Reset()
			}
			out(".check.txt", check.Text(&b, fs, render.TextOptions{}))
			if in.name != "article-override-closed" {
				return
			}
			out(".check.json", check.JSON(&b, top.Name, fs))
			out(".sarif", check.SARIF(&b, fs, check.SARIFOptions{Version: "1.2.3", Root: "../.."}))
		})
	}
}

func TestTextKeepsItsWidth(t *testing.T) {
	t.Chdir("testdata")
	for _, in := range inputs {
		fs := checkAll(t, cfntest.Read(t, in.path))
		for _, width := range []int{0, 80, 100, 200} {
			limit := min(max(width, 80), 100)
			var b bytes.Buffer
			if err := check.Text(&b, fs, render.TextOptions{Width: width, All: true}); err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.Split(b.String(), "\n") {
				if n := utf8.RuneCountInString(line); n > limit && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%s at width %d: %d columns: %s", in.name, width, n, line)
				}
				if strings.ContainsRune(line, '\x1b') {
					t.Errorf("%s: an escape sequence without colour: %q", in.name, line)
				}
			}
		}
	}
}

func TestColour(t *testing.T) {
	t.Chdir("testdata")
	top := cfntest.Read(t, inputs[1].path)
	var plain, colour bytes.Buffer
	if err := check.Text(&plain, checkAll(t, top), render.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := check.Text(&colour, checkAll(t, top), render.TextOptions{Color: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(colour.String(), "\x1b[31merror\x1b[0m") {
		t.Error("an error is not red")
	}
	bare := strings.NewReplacer("\x1b[31m", "", "\x1b[33m", "", "\x1b[32m", "", "\x1b[2m", "", "\x1b[0m", "").Replace(colour.String())
	if bare != plain.String() {
		t.Error("colour changes more than colour")
	}
}

// TestSARIF validates the log against the SARIF 2.1.0 schema that go-sarif
// carries, and against what GitHub's code scanning needs beyond it.
func TestSARIF(t *testing.T) {
	t.Chdir("testdata")
	for _, in := range inputs {
		fs := checkAll(t, cfntest.Read(t, in.path))
		var b bytes.Buffer
		if err := check.SARIF(&b, fs, check.SARIFOptions{Root: "../../.."}); err != nil {
			t.Fatal(err)
		}
		log, err := sarif.FromBytes(b.Bytes(), sarif.WithStrictValidation())
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Validate(); err != nil {
			t.Errorf("%s: %v", in.name, err)
		}
		uploadable(t, in.name, b.Bytes(), len(fs))
	}
}

func TestSARIFWithoutFindings(t *testing.T) {
	var b bytes.Buffer
	if err := check.SARIF(&b, nil, check.SARIFOptions{}); err != nil {
		t.Fatal(err)
	}
	log, err := sarif.FromBytes(b.Bytes(), sarif.WithStrictValidation())
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Validate(); err != nil {
		t.Error(err)
	}
	uploadable(t, "empty", b.Bytes(), 0)
}

// uploadable checks the properties that code scanning requires of a log.
func uploadable(t *testing.T, name string, text []byte, results int) {
	t.Helper()
	var log struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID               string
						ShortDescription struct{ Text string }
						FullDescription  struct{ Text string }
						Help             struct{ Text string }
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
				PartialFingerprints map[string]string
			}
		}
	}
	if err := json.Unmarshal(text, &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || log.Schema == "" || len(log.Runs) != 1 {
		t.Fatalf("%s: version %q, schema %q, %d runs", name, log.Version, log.Schema, len(log.Runs))
	}
	run := log.Runs[0]
	if run.Tool.Driver.Name != "hoplab" || len(run.Tool.Driver.Rules) != len(check.Rules()) || len(run.Results) != results {
		t.Errorf("%s: driver %q with %d rules, %d results", name, run.Tool.Driver.Name, len(run.Tool.Driver.Rules), len(run.Results))
	}
	for _, r := range run.Tool.Driver.Rules {
		if r.ID == "" || r.ShortDescription.Text == "" || r.FullDescription.Text == "" || r.Help.Text == "" || len(r.ShortDescription.Text) > 1024 {
			t.Errorf("%s: rule %+v lacks a text", name, r)
		}
	}
	for _, r := range run.Results {
		if r.RuleIndex < 0 || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s: rule index of %s points elsewhere", name, r.RuleID)
		}
		if r.Message.Text == "" || len(r.Locations) == 0 || len(r.PartialFingerprints) == 0 {
			t.Errorf("%s: result of %s lacks message, location or fingerprint", name, r.RuleID)
			continue
		}
		at := r.Locations[0].PhysicalLocation
		if at.ArtifactLocation.URI == "" || filepath.IsAbs(at.ArtifactLocation.URI) || strings.HasPrefix(at.ArtifactLocation.URI, "..") || at.Region.StartLine < 1 {
			t.Errorf("%s: %s is at %+v; an upload needs a file in the repository and a line", name, r.RuleID, at)
		}
	}
}
