// Package arch keeps hoplab's import rules, each with its reason.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

const module = "github.com/hoplab/hoplab"

// rule forbids the packages below From (path patterns relative to the module,
// "..." for everything below) to depend on Never, directly or through others.
type rule struct {
	from  []string
	never []string // import path prefixes; "./" stands for the module
	but   []string // exceptions among never
	why   string
}

var rules = []rule{
	{
		from: []string{"cmd/...", "internal/..."},
		never: []string{"github.com/aws/aws-cdk-go", "github.com/aws/jsii-runtime-go", "github.com/aws/constructs-go", "github.com/cdklabs/",
			"./stacks"},
		but: []string{"./stacks/testdata"}, // templates, and no code
		why: "the command builds in seconds and runs without Node; only app.go and stacks/ may start a jsii kernel",
	},
	{
		from:  []string{"cmd/...", "internal/...", "service/...", "stacks"},
		never: []string{"go.k6.io/k6", "go.k6.io/xk6"},
		why:   "k6 is built by xk6 as a program of its own; linking it would tie hoplab to its requirements",
	},
	{
		from:  []string{"stacks"},
		never: []string{"./"},
		but:   []string{"./stacks", "./internal/ports"},
		why:   "the stacks share only the port rules with the rest, so that a template stays the whole truth about a deployment",
	},
	{
		from:  []string{"service/..."},
		never: []string{"./", "github.com/", "golang.org/x/"},
		but:   []string{"./service"},
		why:   "the measured app is standard library only: its cost must not move with our dependencies",
	},
	{
		from:  []string{"internal/reach/..."},
		never: []string{"./internal/"},
		but: []string{"./internal/reach", "./internal/topology", "./internal/call", "./internal/semantics", "./internal/ports",
			"./internal/fail", "./internal/printable", "./internal/variant"},
		why: "prediction and observation are independent: one checks the other; and a prediction knows no finding",
	},
	{
		from:  []string{"internal/check"},
		never: []string{"./internal/"},
		but: []string{"./internal/check", "./internal/reach", "./internal/topology", "./internal/call", "./internal/semantics",
			"./internal/ports", "./internal/fail", "./internal/printable", "./internal/variant"},
		why: "findings follow from the source and what is predicted of it, never from what was seen",
	},
	{
		from:  []string{"internal/lab/..."},
		never: []string{"./internal/reach", "./internal/check", "./internal/diagnose", "./internal/experiment", "./internal/learn"},
		why:   "prediction and observation are independent: one checks the other",
	},
	{
		from:  []string{"internal/topology"},
		never: []string{"./", "github.com/", "golang.org/x/", "go.yaml.in/"},
		but:   []string{"./internal/topology"},
		why:   "the model stands on the ground: readers build it and whoever judges reads it, and it knows none of them",
	},
	{
		from:  []string{"internal/variant"},
		never: []string{"./"},
		but:   []string{"./internal/variant", "./internal/topology"},
		why:   "which resources exist at once is a question to the model, whoever asks it",
	},
	{
		from: []string{"internal/ports", "internal/fail", "internal/summary", "internal/stats", "internal/hist", "internal/quantity",
			"internal/semantics", "internal/call", "internal/printable", "internal/bounded"},
		never: []string{"./"},
		but: []string{"./internal/ports", "./internal/fail", "./internal/summary", "./internal/stats", "./internal/hist",
			"./internal/quantity", "./internal/semantics", "./internal/call", "./internal/printable", "./internal/bounded"},
		why: "leaves: everyone may import them because they import nobody",
	},
	{
		from:  []string{"internal/report/..."},
		never: []string{"./internal/"},
		but:   []string{"./internal/report", "./internal/summary", "./internal/quantity", "./internal/printable"},
		why:   "a report is a pure function of one value",
	},
	{
		from:  []string{"internal/page"},
		never: []string{"./internal/"},
		but: []string{"./internal/page", "./internal/change", "./internal/reach", "./internal/topology", "./internal/call",
			"./internal/semantics", "./internal/ports", "./internal/fail", "./internal/printable", "./internal/variant"},
		why: "the page shows what is predicted; what was seen it is told",
	},
	{
		from:  []string{"internal/source/..."},
		never: []string{"./internal/"},
		but: []string{"./internal/source", "./internal/topology", "./internal/fail", "./internal/ports", "./internal/printable",
			"./internal/bounded"},
		why: "reading a template knows nothing of what is later made of it",
	},
	{
		from: []string{"internal/analysis", "internal/compare", "internal/stats", "internal/run", "internal/plan", "internal/sim"},
		never: []string{"./internal/lab", "./internal/reach", "./internal/check", "./internal/topology", "./internal/source",
			"./internal/experiment", "./internal/report", "./internal/cli"},
		why: "data moves one way: samples to intervals, whoever made the samples",
	},
	{
		from: []string{"internal/experiment"},
		never: []string{"./internal/check", "./internal/diagnose", "./internal/source", "./internal/analysis", "./internal/compare",
			"./internal/summary", "./internal/report", "./internal/learn"},
		why: "an experiment measures and counts; it may ask what is predicted, and judges nothing",
	},
	{
		from:  []string{"internal/cloud/..."},
		never: []string{"./internal/reach", "./internal/awsrun", "./internal/experiment"},
		why:   "the local endpoint shows what the lab does; it knows neither what is predicted nor who measures",
	},
	{
		from:  []string{"internal/cloud/wire"},
		never: []string{"./", "github.com/aws/aws-sdk-go-v2/service/"},
		but:   []string{"./internal/cloud/wire"},
		why:   "protocols know no service: the operations are registered with them",
	},
	{
		from:  []string{"internal/cloud/stack"},
		never: []string{"./internal/", "github.com/aws/"},
		but: []string{"./internal/cloud/stack", "./internal/source/cfn", "./internal/topology", "./internal/fail", "./internal/printable",
			"./internal/bounded"},
		why: "what CloudFormation does with resources is the same whatever they are: no service, no SDK and no lab",
	},
	{
		from:  []string{"internal/cloud/account", "internal/cloud/resource", "internal/cloud/objects"},
		never: []string{"./internal/cloud/wire", "./internal/cloud/cdk", "github.com/aws/"},
		why:   "what the account holds does not depend on how clients ask for it",
	},
	{
		from: []string{"internal/learn"},
		never: []string{"./internal/experiment", "./internal/plan", "./internal/run", "./internal/analysis", "./internal/report",
			"./internal/awsrun", "github.com/aws/"},
		why: "a lesson shows a deployment on the lab in seconds; it measures nothing and needs no account",
	},
	{
		from:  []string{"internal/..."},
		never: []string{"./internal/cli"},
		but:   []string{"./internal/cli"},
		why:   "the parts meet in the command line, and nothing is downstream of it",
	},
	{
		from: []string{"internal/analysis", "internal/source/...", "internal/experiment", "internal/learn", "internal/compare",
			"internal/lab/...", "internal/plan", "internal/reach/...", "internal/check", "internal/report/...", "internal/run", "internal/stats",
			"internal/topology", "internal/summary"},
		never: []string{"github.com/spf13/"},
		but:   []string{"./internal/cli"},
		why:   "flags and commands are the command line's business",
	},
}

// badNames are package names that say nothing of the package's job.
var badNames = []string{"util", "utils", "common", "types", "models", "helpers", "misc", "base"}

type pkg struct {
	ImportPath, Name string
	Deps, Imports    []string
}

func load(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Deps,Imports", module+"/...")
	cmd.Dir = "../../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportRules(t *testing.T) {
	layer.Full(t, "asks go list")
	all := load(t)
	for _, r := range rules {
		var matched int
		for _, p := range all {
			rel := strings.TrimPrefix(p.ImportPath, module+"/")
			if !anyMatch(r.from, rel) {
				continue
			}
			matched++
			for _, dep := range p.Deps {
				if dep == p.ImportPath || !forbidden(r, dep) || strings.HasPrefix(dep, module+"/loadtest/samplefile") {
					continue
				}
				if exceptSelf(r, p, dep) {
					continue
				}
				t.Errorf("%s depends on %s\n\twhich is ruled out because %s", rel, dep, r.why)
			}
		}
		if matched == 0 && !strings.Contains(strings.Join(r.from, " "), "...") {
			t.Errorf("the rule on %v matches no package: mend or delete it", r.from)
		}
	}
}

// exceptSelf lets internal/cli be itself in the rule that nothing imports it.
func exceptSelf(r rule, p pkg, dep string) bool {
	for _, b := range r.but {
		if under(p.ImportPath, b) && under(dep, b) {
			return true
		}
	}
	return false
}

func forbidden(r rule, dep string) bool {
	for _, b := range r.but {
		if under(dep, b) {
			return false
		}
	}
	for _, n := range r.never {
		if under(dep, n) {
			return true
		}
	}
	return false
}

// under reports whether an import path is the prefix itself or below it.
func under(dep, prefix string) bool {
	prefix = strings.TrimSuffix(strings.Replace(prefix, "./", module+"/", 1), "/")
	return dep == prefix || strings.HasPrefix(dep, prefix+"/")
}

func anyMatch(patterns []string, rel string) bool {
	for _, p := range patterns {
		if base, ok := strings.CutSuffix(p, "/..."); ok {
			if rel == base || strings.HasPrefix(rel, base+"/") {
				return true
			}
		} else if rel == p {
			return true
		}
	}
	return false
}

func TestPackageNamesSayTheirJob(t *testing.T) {
	layer.Full(t, "asks go list")
	for _, p := range load(t) {
		for _, bad := range badNames {
			if path.Base(p.ImportPath) == bad || p.Name == bad {
				t.Errorf("%s: a package called %q says nothing of its job", p.ImportPath, bad)
			}
		}
	}
}

func TestRulesCanFail(t *testing.T) {
	r := rule{never: []string{"./internal/lab", "github.com/aws/jsii-runtime-go"}, but: []string{"./internal/lab/fabric"}}
	for dep, want := range map[string]bool{
		module + "/internal/lab":                   true,
		module + "/internal/lab/relay":             true,
		module + "/internal/lab/fabric":            false,
		module + "/internal/labour":                false,
		"github.com/aws/jsii-runtime-go/runtime":   true,
		"github.com/aws/aws-sdk-go-v2/service/ecs": false,
	} {
		if got := forbidden(r, dep); got != want {
			t.Errorf("forbidden(%s) = %v; want %v", dep, got, want)
		}
	}
}
