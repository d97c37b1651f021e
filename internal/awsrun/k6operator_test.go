package awsrun_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/awsrun"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// TestK6OperatorSaysTheSamePlan reads the manifests back, and runs the init
// container's command as runner 3 of 4.
func TestK6OperatorSaysTheSamePlan(t *testing.T) {
	layer.Full(t, "starts processes")
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	p.ForAWS()
	p.Generators = 4
	var b bytes.Buffer
	if err := awsrun.K6Operator(&b, p); err != nil {
		t.Fatal(err)
	}
	type manifest struct {
		Kind     string
		Metadata struct{ Name string }
		Data     map[string]string
		Spec     struct {
			Parallelism int
			Runner      struct {
				InitContainers []struct{ Command []string } `yaml:"initContainers"`
			}
		}
	}
	var configs, tests []manifest
	for d := yaml.NewDecoder(&b); ; {
		var m manifest
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if m.Kind == "ConfigMap" {
			configs = append(configs, m)
		} else {
			tests = append(tests, m)
		}
	}
	if len(configs) != p.Replicates || len(tests) != p.Replicates {
		t.Fatalf("%d ConfigMaps and %d TestRuns; want %d of each", len(configs), len(tests), p.Replicates)
	}
	for i, c := range configs {
		l, err := samplefile.ParseLoad([]byte(c.Data["load.json"]))
		if err != nil {
			t.Fatal(err)
		}
		if l.PlanHash != p.Hash() || l.Replicate != i+1 || l.Generators != 4 || tests[i].Spec.Parallelism != 4 {
			t.Errorf("replicate %d: load %+v, parallelism %d", i+1, l, tests[i].Spec.Parallelism)
		}
		if _, ok := c.Data["main.js"]; !ok || tests[i].Metadata.Name != c.Metadata.Name {
			t.Errorf("replicate %d: no script, or TestRun %s beside ConfigMap %s", i+1, tests[i].Metadata.Name, c.Metadata.Name)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "load.json"), []byte(configs[0].Data["load.json"]), 0o600); err != nil {
		t.Fatal(err)
	}
	command := tests[0].Spec.Runner.InitContainers[0].Command
	script := bytes.ReplaceAll([]byte(command[2]), []byte("/plan/"), []byte(dir+"/"))
	script = bytes.ReplaceAll(script, []byte("/load/load.json"), []byte(dir+"/numbered.json"))
	cmd := exec.Command(command[0], command[1], string(script))
	cmd.Env = append(os.Environ(), "HOSTNAME="+tests[0].Metadata.Name+"-3")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "numbered.json"))
	if err != nil {
		t.Fatal(err)
	}
	var l samplefile.Load
	if err := json.Unmarshal(data, &l); err != nil {
		t.Fatal(err)
	}
	if l.Generator != 2 {
		t.Errorf("runner 3 is generator %d; want 2", l.Generator)
	}
}
