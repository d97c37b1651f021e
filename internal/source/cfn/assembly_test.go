package cfn

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// load loads paths below a directory.
func load(t *testing.T, dir string, params map[string]string, paths ...string) *Assembly {
	t.Helper()
	for i := range paths {
		paths[i] = filepath.Join(dir, paths[i])
	}
	a, err := Load(paths, Options{Params: params})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func stackNames(a *Assembly) string {
	var out []string
	for _, s := range a.Stacks {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

func stack(t *testing.T, a *Assembly, name string) *Stack {
	t.Helper()
	for _, s := range a.Stacks {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no stack %s among %s", name, stackNames(a))
	return nil
}

// TestStages loads an assembly of two stages in two environments: exports of
// one stage are not visible to the other, construct paths come from the
// manifest and the order from the dependencies of the stages.
func TestStages(t *testing.T) {
	inner := func(env string) string {
		return `{"artifacts": {
 "Assets": {"type": "cdk:asset-manifest"},
 "` + env + `-Net": {"type": "aws:cloudformation:stack", "environment": "aws://111122223333/` + env + `",
  "properties": {"templateFile": "Net.json", "stackName": "net", "parameters": {"P": "from manifest"}},
  "metadata": {"/` + env + `/Net/Group": [{"type": "aws:cdk:logicalId", "data": "Group"}]}},
 "` + env + `-App": {"type": "aws:cloudformation:stack", "environment": "aws://111122223333/` + env + `",
  "dependencies": ["Assets", "` + env + `-Net"], "additionalMetadataFile": "more.json",
  "properties": {"templateFile": "App.json"}}}}`
	}
	net := `{"Parameters": {"P": {"Type": "String"}}, "Resources": {"Group": {"Type": "G", "Properties": {"R": {"Ref": "AWS::Region"}, "N": {"Ref": "AWS::StackName"}, "A": {"Ref": "AWS::AccountId"}, "P": {"Ref": "P"}}}},
 "Outputs": {"G": {"Value": {"Ref": "Group"}, "Export": {"Name": "group"}}}}`
	app := `{"Resources": {"Use": {"Type": "G", "Properties": {"G": {"Fn::ImportValue": "group"}, "W": {"Fn::GetStackOutput": {"StackName": "net", "OutputName": "G"}}}}}}`
	files := map[string]string{
		"cdk.out/manifest.json": `{"artifacts": {
 "assembly-Two": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "two"}, "dependencies": ["assembly-One"]},
 "assembly-One": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "one"}},
 "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}}}}`,
		"cdk.out/one/manifest.json": inner("eu-west-1"),
		"cdk.out/two/manifest.json": inner("us-east-1"),
	}
	for _, d := range []string{"one", "two"} {
		files["cdk.out/"+d+"/Net.json"] = net
		files["cdk.out/"+d+"/App.json"] = app
		files["cdk.out/"+d+"/more.json"] = `{"/App/Use": [{"type": "aws:cdk:logicalId", "data": "Use"}]}`
	}
	dir := write(t, files)
	for _, path := range []string{"", "cdk.out", "cdk.out/manifest.json"} {
		a := load(t, dir, nil, path)
		if got, want := stackNames(a), "us-east-1-Net us-east-1-App eu-west-1-Net eu-west-1-App"; got != want {
			t.Fatalf("%s: stacks %s, want %s", path, got, want)
		}
		for _, env := range []string{"eu-west-1", "us-east-1"} {
			use := stack(t, a, env+"-App").Resource("Use")
			for _, p := range []string{"G", "W"} {
				ref, ok := use.Prop(p).Ref()
				if !ok || ref.String() != env+"-Net/Group" {
					t.Errorf("%s %s: %s (%s)", env, p, show(use.Prop(p)), use.Prop(p).Why())
				}
			}
			g := stack(t, a, env+"-Net").Resource("Group")
			if got, want := show(g.Prop()), "{R:"+env+" N:net A:111122223333 P:from manifest}"; got != want {
				t.Errorf("%s: %s, want %s", env, got, want)
			}
			if g.Path != env+"/Net/Group" || use.Path != "App/Use" {
				t.Errorf("paths %q and %q", g.Path, use.Path)
			}
		}
		before := a.Before("G")[stack(t, a, "us-east-1-App").Resource("Use")]
		if got, want := fmt.Sprint(names(before)), "[us-east-1-Net/Group eu-west-1-Net/Group eu-west-1-App/Use]"; got != want {
			t.Errorf("before us-east-1-App/Use: %s, want %s", got, want)
		}
	}
}

func names(list []*Resource) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.Name())
	}
	return out
}

// TestNestedStacks follows parameters down, outputs up, and finds the child
// by asset metadata, by a relative URL and by the asset manifest.
func TestNestedStacks(t *testing.T) {
	const child = `{"Parameters": {"In": {"Type": "String"}, "Ports": {"Type": "CommaDelimitedList"}, "D": {"Type": "String", "Default": "d"}},
 "Resources": {"R": {"Type": "T", "Properties": {"In": {"Ref": "In"}, "Ports": {"Ref": "Ports"}, "D": {"Ref": "D"}}}},
 "Outputs": {"Out": {"Value": {"Ref": "R"}}, "Back": {"Value": {"Ref": "In"}}}}`
	parent := func(extra, url string) string {
		return `{"Resources": {
 "First": {"Type": "T"},
 "Child": {"Type": "AWS::CloudFormation::Stack"` + extra + `, "Properties": {"TemplateURL": ` + url + `, "Parameters": {"In": {"Fn::GetAtt": "First.Arn"}, "Ports": "80,81"}}},
 "Last": {"Type": "T", "Properties": {"V": {"Fn::GetAtt": ["Child", "Outputs.Out"]}, "B": {"Fn::GetAtt": ["Child", "Outputs.Back"]}, "N": {"Fn::GetAtt": ["Child", "Outputs.None"]}}}}}`
	}
	dir := write(t, map[string]string{
		"sub/child.json":         child,
		"meta.json":              parent(`, "Metadata": {"aws:asset:path": "sub/child.json"}`, `"https://example.com/x.json"`),
		"relative.json":          parent("", `"sub/child.json"`),
		"hash.template.json":     parent("", `{"Fn::Sub": "https://s3.${AWS::Region}.amazonaws.com/assets/0a1b.json"}`),
		"hash.assets.json":       `{"files": {"0a1b": {"source": {"path": "sub/child.json"}}}}`,
		"elsewhere.json":         parent("", `"https://example.com/x.json"`),
		"outside.json":           parent("", `"../child.json"`),
		"gone.json":              parent("", `"gone/child.json"`),
		"self.json":              parent("", `"self.json"`),
		"hash-lost.template.yml": `{"Resources": {"C": {"Type": "AWS::CloudFormation::Stack"}}}`,
	})
	for _, file := range []string{"meta.json", "relative.json", "hash.template.json"} {
		t.Run(file, func(t *testing.T) {
			a := load(t, dir, nil, file)
			root := a.Stacks[0]
			name := root.Name
			if got, want := stackNames(a), name+" "+name+"/Child"; got != want {
				t.Fatalf("stacks %s, want %s", got, want)
			}
			if got, want := show(a.Stacks[1].Resource("R").Prop()), "{In:@"+name+"/First.Arn Ports:[80 81] D:d}"; got != want {
				t.Errorf("child: %s, want %s", got, want)
			}
			want := fmt.Sprintf("{V:@%[1]s/Child/R B:@%[1]s/First.Arn N:?${%[1]s/Child.Outputs.None}}", name)
			if got := show(root.Resource("Last").Prop()); got != want {
				t.Errorf("parent: %s, want %s", got, want)
			}
			before := a.Before("T")
			if got, want := fmt.Sprint(names(before[root.Resource("Last")])), fmt.Sprintf("[%[1]s/First %[1]s/Child/R]", name); got != want {
				t.Errorf("before Last: %s, want %s", got, want)
			}
			if got, want := fmt.Sprint(names(before[a.Stacks[1].Resource("R")])), fmt.Sprintf("[%s/First]", name); got != want {
				t.Errorf("before the child's R: %s, want %s", got, want)
			}
		})
	}
	for _, file := range []string{"elsewhere.json", "outside.json", "gone.json", "self.json"} {
		a := load(t, dir, nil, file)
		v := a.Stacks[0].Resource("Last").Prop("V")
		if len(a.Stacks) != 1 || len(a.Notes) != 1 || !v.IsUnknown() {
			t.Errorf("%s: stacks %s, notes %v, value %s", file, stackNames(a), a.Notes, show(v))
		}
	}
	load(t, dir, nil, "hash-lost.template.yml")

	a := load(t, dir, map[string]string{"meta/Child:D": "given"}, "meta.json")
	if got, _ := a.Stacks[1].Resource("R").Prop("D").Text(); got != "given" {
		t.Errorf("a parameter given to the nested stack by name: %q", got)
	}
	_, err := Load([]string{filepath.Join(dir, "meta.json")}, Options{Params: map[string]string{"In": "x"}})
	if err == nil || !strings.Contains(err.Error(), "no template here declares it") {
		t.Errorf("a parameter that only the parent may set: %v", err)
	}
}

// TestCrossRegion resolves CDK's pair of custom resources that carry a value
// from one region to another.
func TestCrossRegion(t *testing.T) {
	dir := write(t, map[string]string{
		"a.json": `{"Resources": {"G": {"Type": "T"}, "W": {"Type": "Custom::CrossRegionExportWriter", "Properties": {"WriterProps": {"region": "x", "exports": {"/cdk/exports/b/a": {"Ref": "G"}}}}}}}`,
		"b.json": `{"Resources": {"R": {"Type": "Custom::CrossRegionExportReader"}, "U": {"Type": "T", "Properties": {"V": {"Fn::GetAtt": ["R", "/cdk/exports/b/a"]}, "N": {"Fn::GetAtt": ["R", "/cdk/exports/b/none"]}}}}}`,
	})
	a := load(t, dir, nil, "a.json", "b.json")
	if got, want := show(a.Stacks[1].Resource("U").Prop()), "{V:@a/G N:@b/R./cdk/exports/b/none}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExportsMeetOnce(t *testing.T) {
	export := `{"Resources": {"G": {"Type": "T"}}, "Outputs": {"G": {"Value": {"Ref": "G"}, "Export": {"Name": "g"}}}}`
	dir := write(t, map[string]string{
		"one/a.json": export, "two/a.json": export,
		"use.json": `{"Resources": {"U": {"Type": "T", "Properties": {"V": {"Fn::ImportValue": "g"}}}}}`,
	})
	a := load(t, dir, nil, "one/a.json", "use.json")
	if got := show(stack(t, a, "use").Resource("U").Prop("V")); got != "@a/G" {
		t.Errorf("one export: %s", got)
	}
	if got := names(a.Before("T")[stack(t, a, "use").Resource("U")]); len(got) != 1 || got[0] != "a/G" {
		t.Errorf("before the importer: %v", got)
	}
	a = load(t, dir, nil, "one/a.json", "use.json", "two/a.json")
	v := stack(t, a, "use").Resource("U").Prop("V")
	if !v.IsUnknown() || !strings.Contains(v.Why(), "is defined by a and by") {
		t.Errorf("two exports: %s (%s)", show(v), v.Why())
	}
}

// TestMutualImports loads stacks that use each other: no order between them,
// a remark, and no error.
func TestMutualImports(t *testing.T) {
	text := func(own, other string) string {
		return fmt.Sprintf(`{"Resources": {"G": {"Type": "T"}, "U": {"Type": "T", "Properties": {"V": {"Fn::ImportValue": "%s"}}}}, "Outputs": {"G": {"Value": {"Ref": "G"}, "Export": {"Name": "%s"}}}}`, other, own)
	}
	dir := write(t, map[string]string{"a.json": text("a", "b"), "b.json": text("b", "a")})
	a := load(t, dir, nil, "a.json", "b.json")
	if got := show(a.Stacks[0].Resource("U").Prop("V")); got != "@b/G" {
		t.Errorf("import: %s", got)
	}
	if len(a.Notes) != 1 || !strings.Contains(a.Notes[0].Text, "in a circle") {
		t.Errorf("notes: %v", a.Notes)
	}
	if got := a.Before("T")[a.Stacks[0].Resource("U")]; len(got) != 0 {
		t.Errorf("before: %v", names(got))
	}
}

// TestBefore follows every kind of edge and leaves out what is not certain.
func TestBefore(t *testing.T) {
	a, err := Parse("t.yaml", []byte(`
Parameters: {Open: {Type: String}}
Conditions: {Perhaps: !Equals [!Ref Open, x], Never: !Equals [a, b]}
Resources:
  A: {Type: S}
  ViaRef: {Type: X, Properties: {P: !Ref A}}
  B: {Type: S, DependsOn: ViaRef}
  C: {Type: S, Properties: {P: [{Q: !GetAtt [B, Arn]}]}}
  D: {Type: S, Properties: {P: !Sub ["${X} ${!A}", {X: !GetAtt C.Arn}]}}
  E: {Type: S, Properties: {P: !If [Perhaps, !Ref A, x]}}
  F: {Type: S, Properties: {P: !If [Never, !Ref A, !Ref B]}}
  G: {Type: S, Condition: Never, DependsOn: A}
  H: {Type: S, DependsOn: [G, I]}
  I: {Type: S, Condition: Perhaps}
  J: {Type: S, DependsOn: [J, Nobody], Metadata: {P: !Ref A}}
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": "", "B": "A", "C": "A B", "D": "A B C", "E": "", "F": "A B", "H": "", "I": "", "J": ""}
	got := a.Before("S")
	if len(got) != len(want) {
		t.Errorf("%d resources, want %d", len(got), len(want))
	}
	for r, list := range got {
		var ids []string
		for _, b := range list {
			ids = append(ids, b.LogicalID)
		}
		if g := strings.Join(ids, " "); g != want[r.LogicalID] {
			t.Errorf("before %s: %q, want %q", r.LogicalID, g, want[r.LogicalID])
		}
	}
}

func TestNotes(t *testing.T) {
	tests := []struct{ text, want string }{
		{"Transform: AWS::LanguageExtensions\nResources: {}", ""},
		{"Transform: [Ours]\nResources: {}", "transform Ours rewrites the template"},
		{"Transform: {Name: AWS::Include}\nResources: {}", "transform AWS::Include rewrites the template"},
		{"Fn::Transform: {Name: AWS::Include}\nResources: {}", "Fn::Transform adds to the template"},
		{"Resources: {Fn::ForEach::X: [A, !Ref B, {}]}", "Fn::ForEach::X in Resources is not expanded"},
		{"Resources: {A: {}}", "resource A has no Type"},
	}
	for _, tt := range tests {
		a, err := Parse("t.yaml", []byte(tt.text), Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		got := ""
		for _, n := range a.Notes {
			got += n.Text
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: notes %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestPositions(t *testing.T) {
	json := "{\n\"Resources\": {\n \"A\": {\n  \"Type\": \"T\",\n  \"Properties\": {\n   \"L\": [\n    1,\n    {\"K\": \"v\"}\n   ]\n  }\n }\n}}"
	yaml := "Resources:\n\n  A:\n    Type: T\n    Properties:\n      L:\n        - 1\n        - K: v\n"
	for file, text := range map[string]string{"t.json": json, "t.yaml": yaml} {
		a, err := Parse(file, []byte(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := a.Stacks[0].Resource("A")
		k := r.Prop("L").Items()[1].Get("K")
		if r.Pos().String() != file+":3" || k.Pos().String() != file+":8" {
			t.Errorf("%s: resource at %s, value at %s; want lines 3 and 8", file, r.Pos(), k.Pos())
		}
	}
}
