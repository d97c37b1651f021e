package render_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/topology"
)

//go:generate go test . -count=1 -update

var update = flag.Bool("update", false, "rewrite the golden files under testdata")

const article = "../../source/cfn/deployment/testdata/article/"

// read builds the topology of templates.
func read(t testing.TB, paths ...string) *topology.Topology {
	t.Helper()
	a, err := cfn.Load(paths, cfn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	top, err := deployment.FromTemplates(a)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func findings(t testing.TB, top *topology.Topology) []reach.Finding {
	t.Helper()
	fs, err := reach.Check(top, reach.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func report(t testing.TB, top *topology.Topology) *reach.Report {
	t.Helper()
	r, err := reach.Predict(top, reach.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

// inputs are the article's template in its three forms and our own two arms.
var inputs = []struct{ name, path string }{
	{"article-default", article + "default.template.json"},
	{"article-override-closed", article + "override-closed.template.json"},
	{"article-override-open", article + "override-open.template.json"},
	{"stacks-both", "../../../stacks/testdata/golden/both"},
}

func TestGolden(t *testing.T) {
	for _, in := range inputs {
		t.Run(in.name, func(t *testing.T) {
			top := read(t, in.path)
			fs, r := findings(t, top), report(t, top)
			var b bytes.Buffer
			out := func(suffix string, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				golden(t, in.name+suffix, b.Bytes())
				b.Reset()
			}
			out(".check.txt", render.Check(&b, fs, render.TextOptions{}))
			out(".explain.txt", render.Explain(&b, r, render.TextOptions{}))
			out(".mmd", render.Mermaid(&b, r, false))
			if in.name != "article-override-closed" {
				return
			}
			out(".check.json", render.CheckJSON(&b, top.Name, fs))
			out(".explain.json", render.ExplainJSON(&b, r))
			out(".sarif", render.SARIF(&b, fs, render.SARIFOptions{Version: "1.2.3", Root: "../.."}))
		})
	}
}

func TestTextKeepsItsWidth(t *testing.T) {
	for _, in := range inputs {
		top := read(t, in.path)
		for _, width := range []int{0, 80, 100, 200} {
			limit := min(max(width, 80), 100)
			var b bytes.Buffer
			o := render.TextOptions{Width: width, All: true}
			if err := render.Check(&b, findings(t, top), o); err != nil {
				t.Fatal(err)
			}
			if err := render.Explain(&b, report(t, top), o); err != nil {
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
	top := read(t, inputs[1].path)
	var plain, colour bytes.Buffer
	if err := render.Check(&plain, findings(t, top), render.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := render.Check(&colour, findings(t, top), render.TextOptions{Color: true}); err != nil {
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
	for _, in := range inputs {
		fs := findings(t, read(t, in.path))
		var b bytes.Buffer
		if err := render.SARIF(&b, fs, render.SARIFOptions{Root: "../../.."}); err != nil {
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
	if err := render.SARIF(&b, nil, render.SARIFOptions{}); err != nil {
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
	if run.Tool.Driver.Name != "hoplab" || len(run.Tool.Driver.Rules) != len(reach.Rules()) || len(run.Results) != results {
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

func TestJSONSaysEverything(t *testing.T) {
	top := read(t, inputs[1].path)
	var b bytes.Buffer
	if err := render.ExplainJSON(&b, report(t, top)); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Schema      string
		Ports       []map[string]any
		Predictions []struct {
			ID      string
			Outcome struct {
				Class  string
				Status int
				Body   string
				AfterS *float64 `json:"after_s"`
			}
			Blocks []struct{ Open map[string]any }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, p := range doc.Predictions {
		if !strings.HasPrefix(p.ID, "mesh/") {
			continue
		}
		o := p.Outcome
		if o.Class != "http-error" || o.Status != 504 || o.Body != "upstream request timeout" || o.AfterS == nil || *o.AfterS != 15 {
			t.Errorf("the client's outcome is %+v", o)
		}
		if len(p.Blocks) != 1 || p.Blocks[0].Open["port"] != 8080.0 {
			t.Errorf("the blocked path does not name port 8080: %+v", p.Blocks)
		}
		return
	}
	t.Error("no mesh prediction")
}
