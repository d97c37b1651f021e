package module

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ctyjson "github.com/zclconf/go-cty/cty/json"
)

var update = flag.Bool("update", false, "rewrite testdata/expressions.golden by asking the terraform on PATH")

// given are the locals that the expressions of the oracle test refer to.
const given = `
locals {
  n        = 3
  list     = ["a", "b", "c"]
  map      = { a = "1", b = "2" }
  objects  = [{ name = "x" }, { name = "y" }]
  null     = null
  cidr     = "10.0.0.0/16"
  template = "hello $${name}: %%{ for i in items }$${i},%%{ endfor }"
}
`

// TestExpressions compares the evaluation of each expression with that of
// Terraform itself, as recorded in the golden file (by version 1.11.4).
func TestExpressions(t *testing.T) {
	src, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var exprs []string
	for _, line := range strings.Split(string(src), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			exprs = append(exprs, line)
		}
	}
	if *update {
		record(t, exprs)
	}
	golden, err := os.Open("testdata/expressions.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	want := map[string]string{}
	for sc := bufio.NewScanner(golden); sc.Scan(); {
		if expr, value, ok := strings.Cut(sc.Text(), "\t=> "); ok {
			want[expr] = value
		}
	}
	for _, expr := range exprs {
		t.Run(expr, func(t *testing.T) {
			w, ok := want[expr]
			if !ok {
				t.Fatal("not in the golden file; record it with -update")
			}
			if got := evaluated(t, expr); got != w {
				t.Errorf("got  %s\nwant %s", got, w)
			}
		})
	}
}

// evaluated renders what this package makes of an expression.
func evaluated(t *testing.T, expr string) string {
	t.Helper()
	s := rootScope(t, memory{"main.tf": given + "\noutput \"x\" {\n value = " + expr + "\n}\n"}, Inputs{})
	v, diags := s.evalDiags(s.tree.config.outputs["x"].expr, nil)
	v, _ = v.UnmarkDeep()
	switch {
	case diags.HasErrors():
		return "error"
	case !v.IsWhollyKnown():
		return "unknown"
	}
	b, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// record asks Terraform for the value of each expression.
func record(t *testing.T, exprs []string) {
	t.Helper()
	dir := t.TempDir()
	var config strings.Builder
	config.WriteString(given)
	for i, e := range exprs {
		fmt.Fprintf(&config, "output \"e%d\" {\n  value = try(jsonencode(%s), \"error\")\n}\n", i, e)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(config.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		cmd := exec.Command("terraform", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("terraform %s: %v\n%s%s", args[0], err, out, stderr.Bytes())
		}
		return out
	}
	run("init", "-no-color")
	run("plan", "-no-color", "-out", "plan")
	var plan struct {
		Planned struct {
			Outputs map[string]struct{ Value string } `json:"outputs"`
		} `json:"planned_values"`
	}
	if err := json.Unmarshal(run("show", "-json", "plan"), &plan); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, e := range exprs {
		fmt.Fprintf(&out, "%s\t=> %s\n", e, plan.Planned.Outputs[fmt.Sprintf("e%d", i)].Value)
	}
	if err := os.WriteFile("testdata/expressions.golden", []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rootScope reads a configuration from memory up to its root scope.
func rootScope(t testing.TB, f memory, in Inputs) *scope {
	t.Helper()
	r, tr, _, err := open(f, ".", in)
	if err != nil {
		t.Fatal(err)
	}
	return r.newScope(tr, nil, "")
}
