package stacks

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	source "github.com/hoplab/hoplab/internal/source/synth"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// variants are the assemblies under testdata/golden, against which the
// template reader, the checker and the lab are tested, and which hoplab run
// takes as long as what they are made from is as it was.
var variants = map[string]keys{
	"agent":  {},
	"bypass": {"ingressPortOverride": "8080"},
	"both":   {"arms": "both"},

	"no-egress": {"albEgress": "none"},
	"proxy":     {"healthCheck": "alb-proxy,container-combined"},
	"public": {
		"edge": "public", "domainName": "api.example.com", "hostedZoneId": "Z0123456789ABC", "ipAddressType": "dualstack",
	},
	"host": {"host": "ec2-nginx"},
	"load": {"arms": "both", "load": "true", "generators": "20"},
}

func TestGolden(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	if *update {
		t.Cleanup(func() { noteSources(t) })
	}
	for name, k := range variants {
		t.Run(name, func(t *testing.T) {
			got := assembly(t, synth(t, k))
			dir := filepath.Join("testdata", "golden", name)
			if *update {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				for file, v := range got {
					writeJSON(t, filepath.Join(dir, file), v)
				}
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != len(got) {
				t.Errorf("%s has %d files, the synthesized assembly %d", dir, len(entries), len(got))
			}
			for file, v := range got {
				path := filepath.Join(dir, file)
				want, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
					continue
				}
				b, err := json.MarshalIndent(v, "", " ")
				if err != nil {
					t.Fatal(err)
				}
				if b = append(b, '\n'); !bytes.Equal(b, want) {
					t.Errorf("%s differs from what is synthesized: %s\nlook at it with go test ./stacks -run Golden -update and git diff", path, firstDifference(want, b))
				}
			}
		})
	}
}

// noteSources keeps what the golden templates are made from.
func noteSources(t *testing.T) {
	digest, err := source.TemplateSources("..")
	if err == nil {
		err = os.WriteFile(filepath.Join("..", source.MadeFrom), []byte(digest+"\n"), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// assembly reads the templates and the manifest of a cloud assembly, without
// what depends on file hashes, on stack traces or on the feature flags.
func assembly(t *testing.T, dir string) map[string]any {
	t.Helper()
	files := map[string]any{}
	templates, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range templates {
		var v any
		readJSON(t, path, &v)
		files[filepath.Base(path)] = v
	}
	var manifest struct {
		Version   string                    `json:"version"`
		Artifacts map[string]map[string]any `json:"artifacts"`
	}
	readJSON(t, filepath.Join(dir, "manifest.json"), &manifest)
	for id, artifact := range manifest.Artifacts {
		if artifact["type"] != "aws:cloudformation:stack" {
			delete(manifest.Artifacts, id)
			continue
		}
		for key := range artifact {
			switch key {
			case "type", "environment", "properties", "dependencies", "displayName":
			default:
				delete(artifact, key)
			}
		}
		properties := artifact["properties"].(map[string]any)
		artifact["properties"] = map[string]any{
			"templateFile": properties["templateFile"],
			"stackName":    properties["stackName"],
		}
		artifact["dependencies"] = stacksOnly(artifact["dependencies"])
	}
	files["manifest.json"] = manifest
	return files
}

func stacksOnly(dependencies any) []any {
	list, _ := dependencies.([]any)
	out := []any{}
	for _, d := range list {
		if !strings.HasSuffix(d.(string), ".assets") {
			out = append(out, d)
		}
	}
	return out
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range w {
		if i >= len(g) {
			return "golden has more lines"
		}
		if w[i] != g[i] {
			return "golden " + strings.TrimSpace(w[i]) + ", synthesized " + strings.TrimSpace(g[i])
		}
	}
	return "synthesized has more lines"
}
