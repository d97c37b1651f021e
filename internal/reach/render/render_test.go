package render_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/topology"
)

//go:generate go test . -count=1 -update

const article = "../../source/cfn/deployment/testdata/article/"

func report(t testing.TB, top *topology.Topology) *reach.Report {
	t.Helper()
	r, err := reach.Predict(top, reach.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
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
			top := cfntest.Read(t, in.path)
			r := report(t, top)
			var b bytes.Buffer
			out := func(suffix string, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				golden.Check(t, filepath.Join("testdata", in.name+suffix), b.Bytes())
				b.Reset()
			}
			out(".explain.txt", render.Explain(&b, r, slices.Values(r.Predictions), render.TextOptions{}))
			out(".mmd", render.Mermaid(&b, slices.Values(r.Predictions), false))
			if in.name != "article-override-closed" {
				return
			}
			out(".explain.json", render.ExplainJSON(&b, r, slices.Values(r.Predictions)))
		})
	}
}

func TestTextKeepsItsWidth(t *testing.T) {
	for _, in := range inputs {
		top := cfntest.Read(t, in.path)
		for _, width := range []int{0, 80, 100, 200} {
			limit := min(max(width, 80), 100)
			var b bytes.Buffer
			o := render.TextOptions{Width: width, All: true}
			r := report(t, top)
			if err := render.Explain(&b, r, slices.Values(r.Predictions), o); err != nil {
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

func TestJSONSaysEverything(t *testing.T) {
	top := cfntest.Read(t, inputs[1].path)
	var b bytes.Buffer
	r := report(t, top)
	if err := render.ExplainJSON(&b, r, slices.Values(r.Predictions)); err != nil {
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

// TestRollout: an update that succeeds and then breaks, and one that nobody notices.
func TestRollout(t *testing.T) {
	stack := func(variant string) *topology.Topology {
		return cfntest.Read(t, "../../../stacks/testdata/golden/"+variant)
	}
	for name, to := range map[string]string{"no-egress": "no-egress", "override": "bypass"} {
		timeline, err := rollout.Follow(stack("agent"), stack(to), reach.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var text, doc bytes.Buffer
		if err := render.Rollout(&text, timeline, render.TextOptions{}); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", "rollout-"+name+".txt"), text.Bytes())
		if err := render.RolloutJSON(&doc, timeline); err != nil {
			t.Fatal(err)
		}
		var back struct {
			Schema string
			Phases []string
			Paths  []struct{ Seen []any }
		}
		if err := json.Unmarshal(doc.Bytes(), &back); err != nil || back.Schema != render.RolloutSchema || len(back.Paths) != len(timeline.Paths) {
			t.Errorf("%s: %v: %s", name, err, doc.String())
		}
		for _, w := range back.Paths {
			if len(w.Seen) != len(back.Phases) {
				t.Errorf("%s: a way with %d phases of %d", name, len(w.Seen), len(back.Phases))
			}
		}
	}
}

func TestRolloutOfNothing(t *testing.T) {
	top := cfntest.Read(t, "../../../stacks/testdata/golden/agent")
	timeline, err := rollout.Follow(top, top, reach.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := render.Rollout(&b, timeline, render.TextOptions{}); err != nil || !strings.HasPrefix(b.String(), "Every caller sees the same") {
		t.Errorf("%v: %q", err, b.String())
	}
}
