package cfn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
)

// TestRefusals checks that an input that cannot be used gives an error with
// place and next step, and exit code 2.
func TestRefusals(t *testing.T) {
	deepJSON := `{"Resources":` + strings.Repeat(`{"a":`, 300) + `1` + strings.Repeat(`}`, 300) + `}`
	deepYAML := "Resources: " + strings.Repeat("[", 300) + strings.Repeat("]", 300)
	tests := []struct{ name, file, text, want string }{
		{"empty", "t.json", "", "t.json:1: the file is empty"},
		{"blank", "t.json", " \n\n", "t.json:1: the file is empty"},
		{"comment only", "t.yaml", "# nothing\n", "t.yaml:1: the file is empty"},
		{"cut JSON", "t.json", "{\n \"Resources\": {\n  \"A\": {\"Type\": \"X\", \"Properties\": {\"L\": [1,",
			"t.json:3: the JSON ends after 62 bytes inside /Resources/A/Properties/L, with values still open"},
		{"cut in a string", "t.json", "{\"Resources\": {\"A", "t.json:1: the JSON ends after 17 bytes"},
		{"not JSON", "t.json", "{\"Resources\": {\n\"A\": nope}}", "t.json:2: not JSON inside /Resources/A"},
		{"two values", "t.json", "{\"Resources\":{}}\n{}", "t.json:2: text after the end of the template"},
		{"twice in JSON", "t.json", "{\"Resources\":{\n\"A\":{\"Type\":\"X\"},\n\"A\":{\"Type\":\"X\"}}}",
			"t.json:3: /Resources/A is defined twice"},
		{"bad UTF-8", "t.json", "{\"Resources\":{\"\xff\":1}}", "t.json:1: not JSON"},
		{"cut YAML", "t.yaml", "Resources:\n  A: {Type: X,", "t.yaml:2: not YAML: did not find expected node content; the file ends at line 2"},
		{"cut YAML quote", "t.yaml", "Resources:\n  A: \"abc\n\n", "; the file ends at line 2"},
		{"YAML tab", "t.yaml", "Resources:\n\tA: 1", "not YAML: found character that cannot start any token"},
		{"twice in YAML", "t.yaml", "Resources:\n  A: {Type: X}\n  A: {Type: X}", "t.yaml:3: A is defined twice, first at line 2"},
		{"two documents", "t.yaml", "Resources: {}\n---\nResources: {}", "a second YAML document"},
		{"list as key", "t.yaml", "Resources:\n  ? [a]\n  : b", "t.yaml:2: a key that is a list or a map"},
		{"merged text", "t.yaml", "Resources:\n  <<: text\n", "<< with something else than a map"},
		{"anchor in itself", "t.yaml", "Resources: &a\n  A: *a", "t.yaml:2: *a stands inside its own anchor"},
		{"unknown alias", "t.yaml", "Resources: *b", "unknown anchor 'b' referenced"},
		{"deep JSON", "t.json", deepJSON, "t.json:1: values are nested more than 200 deep"},
		{"deep YAML", "t.yaml", deepYAML, "values are nested more than 200 deep"},
		{"deep aliases", "t.yaml", chain(250), "values are nested more than 200 deep"},
		{"billion laughs", "t.yaml", laughs(10, 10), "the aliases expand to more than 4194304 values"},
		{"no template", "t.json", `{"a": 1, "b": 2}`, "t.json:1: not a CloudFormation template: it has no Resources, but a, b"},
		{"text", "t.yaml", "hello", "t.yaml:1: not a CloudFormation template"},
		{"appspec", "t.yaml", "version: 0.0\nResources: []", "t.yaml:2: this is an AppSpec file of CodeDeploy"},
		{"resources list", "t.yaml", "Resources: []", "t.yaml:1: Resources is not a map"},
		{"cut resource", "t.yaml", "Resources:\n  A:\n", "t.yaml:2: resource A has no body"},
		{"resource text", "t.yaml", "Resources:\n  A: b\n", "t.yaml:2: resource A is not a map"},
		{"condition cycle", "t.yaml",
			"Conditions:\n  A: !Not [!Condition B]\n  B: !Not [!Condition A]\nResources:\n  R: {Type: X, Condition: A}",
			"condition A refers to itself"},
		{"output cycle", "t.yaml",
			"Resources: {}\nOutputs:\n  A: {Value: !ImportValue b, Export: {Name: a}}\n  B: {Value: !ImportValue a, Export: {Name: b}}",
			"output A refers to itself"},
		{"resource cycle", "t.yaml",
			"Resources:\n  A: {Type: X, Properties: {P: !Ref B}}\n  B: {Type: X, Properties: {P: !Sub '${C.Arn}'}}\n  C: {Type: X, DependsOn: A}",
			"t.yaml:2: circular dependency: A (line 2) waits for itself by way of B (line 3), C (line 4)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.file, []byte(tt.text), Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
			if fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" {
				t.Errorf("code %d, hint %q; want code %d and a hint", fail.CodeOf(err), fail.HintOf(err), fail.Usage)
			}
		})
	}
}

// chain nests n maps through aliases.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("Metadata:\n  a0: &a0 {x: 1}\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d {x: *a%d}\n", i, i, i-1)
	}
	b.WriteString("Resources: {}\n")
	return b.String()
}

// laughs multiplies a list width times, levels deep.
func laughs(levels, width int) string {
	var b strings.Builder
	b.WriteString("Metadata:\n  a0: &a0 [x]\n")
	for i := 1; i <= levels; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), width-1), i-1)
	}
	b.WriteString("Resources: {}\n")
	return b.String()
}

// TestCostIsBounded gives the evaluator what multiplies without aliases.
func TestCostIsBounded(t *testing.T) {
	long := strings.Repeat("x,", 1<<19)
	text := "Parameters:\n  P: {Type: String, Default: \"" + long + "\"}\nResources:\n  A:\n    Type: X\n    Properties:\n      S: !Split [\",\", !Ref P]\n      J: !Join [\"\", [" + strings.Repeat("!Ref P, ", 5000) + "]]\n" +
		"      B: " + strings.Repeat("{\"Fn::Base64\": ", 100) + "x" + strings.Repeat("}", 100) + "\n"
	a, err := Parse("t.yaml", []byte(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := a.Stacks[0].Resource("A")
	for _, p := range []string{"S", "J", "B"} {
		if v := r.Prop(p); !v.IsUnknown() {
			t.Errorf("%s: %s; want unknown", p, v.describe())
		}
	}
	a.work = 0
	if v := r.Prop("J"); !strings.Contains(v.Why(), "too long to resolve") {
		t.Errorf("without work left: %q", v.Why())
	}
}

// TestLongChains follows references that lead from one to the next far
// beyond the limit: unknown, without exhausting the stack.
func TestLongChains(t *testing.T) {
	const n = 50000
	chains := map[string]func(b *strings.Builder, i int){
		"Conditions": func(b *strings.Builder, i int) { fmt.Fprintf(b, "  C%d: !Not [!Condition C%d]\n", i, i+1) },
		"Resources": func(b *strings.Builder, i int) {
			fmt.Fprintf(b, "  P%d: {Type: AWS::SSM::Parameter, Properties: {Name: /p%d, Value: \"{{resolve:ssm:/p%d}}\"}}\n", i, i, i+1)
		},
		"Outputs": func(b *strings.Builder, i int) {
			fmt.Fprintf(b, "  O%d: {Value: {\"Fn::ImportValue\": o%d}, Export: {Name: o%d}}\n", i, i+1, i)
		},
	}
	for section, entry := range chains {
		t.Run(section, func(t *testing.T) {
			var b strings.Builder
			fmt.Fprintf(&b, "%s:\n", section)
			for i := range n {
				entry(&b, i)
			}
			if section != "Resources" {
				b.WriteString("Resources:\n")
			}
			b.WriteString("  R: {Type: X, Properties: {C: !If [C0, a, b], P: \"{{resolve:ssm:/p0}}\", O: !ImportValue o0}}\n")
			a, err := Parse("t.yaml", []byte(b.String()), Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{"C", "P", "O"} {
				if v := a.Stacks[0].Resource("R").Prop(p); !v.IsUnknown() {
					t.Errorf("%s: %s", p, show(v))
				}
			}
		})
	}
}

func TestUnknownParameterIsRefused(t *testing.T) {
	text := []byte("Parameters: {Port: {Type: Number}, BootstrapVersion: {Type: String}}\nResources: {}")
	_, err := Parse("t.yaml", text, Options{Params: map[string]string{"Prot": "80"}})
	want := "parameter Prot: no template here declares it; there are Port"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, ok := range []string{"Port", "t:Port", "AWS::Region", "t:AWS::StackName"} {
		if _, err := Parse("t.yaml", text, Options{Params: map[string]string{ok: "80"}}); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
}

// write puts files below a new directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestUnreadable(t *testing.T) {
	dir := write(t, map[string]string{
		"empty/x.txt":         "",
		"bad/manifest.json":   `{"version": "1"}`,
		"out/manifest.json":   `{"artifacts": {"A": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "../x.json"}}}}`,
		"lost/manifest.json":  `{"artifacts": {"A": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "x.json"}}}}`,
		"loop/manifest.json":  `{"artifacts": {"A": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "."}}}}`,
		"cut/manifest.json":   `{"artifacts": {"A"`,
		"nonsense/App.t.json": `[1]`,
	})
	tests := []struct{ path, want string }{
		{"", "no template given"},
		{"nowhere.json", "cannot read"},
		{"empty", "holds no manifest.json and no .tf files"},
		{"bad", "bad/manifest.json:1: no artifacts"},
		{"out", `artifact A: templateFile "../x.json" is no path inside the assembly`},
		{"lost", "cannot read"},
		{"loop", "assemblies nest more than 16 deep"},
		{"cut", "cut/manifest.json:1: the JSON ends"},
		{"nonsense/App.t.json", "not a CloudFormation template"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			var paths []string
			if tt.path != "" {
				paths = []string{filepath.Join(dir, tt.path)}
			}
			_, err := Load(paths, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
			if fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" {
				t.Errorf("code %d, hint %q", fail.CodeOf(err), fail.HintOf(err))
			}
		})
	}
}

func TestTooLargeIsNotRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.json")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(maxJSON + 1); err != nil { // a hole: takes no space
		t.Fatal(err)
	}
	f.Close()
	if _, err := Load([]string{file}, Options{}); err == nil || !strings.Contains(err.Error(), "more than the limit") {
		t.Errorf("got %v", err)
	}
	if _, err := Parse("t.yaml", make([]byte, maxYAML+1), Options{}); err == nil || !strings.Contains(err.Error(), "more than the limit") {
		t.Errorf("got %v", err)
	}
}
