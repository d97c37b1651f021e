package planfile

import (
	"archive/zip"
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

var update = flag.Bool("update", false, "plan testdata/references again with the terraform on PATH")

const referencesPlan = "testdata/references/plan.json"

func show(v cty.Value) string {
	u, _ := v.UnmarkDeep()
	if !u.IsWhollyKnown() {
		return "unknown: " + resource.Why(v)
	}
	b, err := ctyjson.Marshal(u, u.Type())
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(resource.Render(string(b)), `\"`, `"`)
}

// record plans the references again. Version 1.11.4 made the file in the tree.
func record(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/references")); err != nil {
		t.Fatal(err)
	}
	var plan []byte
	for _, args := range [][]string{{"init"}, {"plan", "-out", "tfplan"}, {"show", "-json", "tfplan"}} {
		cmd := exec.Command("terraform", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
		var err error
		if plan, err = cmd.Output(); err != nil {
			t.Fatalf("terraform %v: %v\n%s", args, err, plan)
		}
	}
	if err := os.WriteFile(referencesPlan, plan, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReferences(t *testing.T) {
	if *update {
		record(t)
	}
	set, err := Read(referencesPlan)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ address, want string }{
		{`terraform_data.counted[0]`, `"x0"`},
		{`terraform_data.keyed["a"]`, `"${terraform_data.counted[0].id}"`},
		{`terraform_data.same_key["c"]`, `"${terraform_data.keyed["c"].id}"`},
		// The key "ab" contains "a", so the index may be made from each.key.
		{`terraform_data.close_keys["a"]`,
			`unknown: terraform_data.close_keys["a"]: one or more of several resources, such as terraform_data.keyed["a"]; a plan does not say which`},
		{`terraform_data.shifted[0]`,
			`unknown: terraform_data.shifted[0]: one or more of several resources, such as terraform_data.counted[0]; a plan does not say which`},
		{`terraform_data.literal_key`, `"${terraform_data.keyed["ab"].id}"`},
		{`terraform_data.splat`, `["${terraform_data.counted[0].id}","${terraform_data.counted[1].id}"]`},
		{`terraform_data.part`,
			`unknown: terraform_data.part: one or more of several resources, such as terraform_data.keyed["a"]; a plan does not say which`},
		{`terraform_data.listed`, `["${terraform_data.counted[0].id}","${terraform_data.counted[1].id}"]`},
		{`terraform_data.optional`, `"${terraform_data.counted[0].id}"`},
		{`terraform_data.choice`,
			`unknown: terraform_data.choice: one or more of several resources, such as terraform_data.counted[0]; a plan does not say which`},
		{`terraform_data.choice_of_lists`,
			`unknown: terraform_data.choice_of_lists: one or more of several resources, such as terraform_data.counted[0]; a plan does not say which`},
		{`terraform_data.through_local`,
			`unknown: terraform_data.through_local: known only after apply: through local.first, which a plan does not hold`},
		{`terraform_data.not_an_id`, `unknown: terraform_data.not_an_id: known only after apply: through terraform_data.counted.output`},
		{`terraform_data.nested`, `{"a":"${terraform_data.counted[0].id}","b":"known"}`},
		{`module.each["c"].terraform_data.inner`, `"${terraform_data.keyed["c"].id}"`},
		{`module.plain.terraform_data.inner`, `"${module.each["c"].terraform_data.inner.id}"`},
		{`terraform_data.output`, `"${module.plain.terraform_data.inner.id}"`},
		{`terraform_data.passed_through`, `"${module.each["c"].terraform_data.inner.id}"`},
	}
	byAddress := map[string]*resource.Instance{}
	for _, inst := range set.Instances {
		byAddress[inst.Address] = inst
	}
	for _, tt := range tests {
		inst := byAddress[tt.address]
		if inst == nil {
			t.Errorf("%s is missing", tt.address)
			continue
		}
		if got := show(inst.Body.Attrs["input"].Value); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.address, got, tt.want)
		}
	}
	reached := map[string]bool{}
	queue := []string{"terraform_data.ordered"}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if !reached[n] {
			reached[n] = true
			queue = append(queue, set.Needs[n]...)
		}
	}
	for _, want := range []string{"terraform_data.nested", "terraform_data.counted", "terraform_data.keyed"} {
		if !reached[want] {
			t.Errorf("terraform_data.ordered does not need %s: %v", want, set.Needs)
		}
	}
	if reached["terraform_data.splat"] {
		t.Error("terraform_data.ordered needs terraform_data.splat")
	}
}

// TestSharedExpressions reads rules of a security group, which a plan gives
// one expression for all.
func TestSharedExpressions(t *testing.T) {
	tests := []struct {
		name, references string
		unknown          string // after_unknown of the ingress rules
		want             string
	}{
		{"one group", `"aws_security_group.a.id", "aws_security_group.a"`, `[{"security_groups": true}]`,
			`[{"security_groups":"${aws_security_group.a.id}"}]`},
		{"one group beside an address", `"aws_vpc.v.cidr_block", "aws_vpc.v", "aws_security_group.a.id", "aws_security_group.a"`,
			`[{"security_groups": true}, {"cidr_blocks": [true], "security_groups": []}]`,
			`[{"security_groups":"${aws_security_group.a.id}"},{"cidr_blocks":["${aws_security_group.a.id}"],"security_groups":[]}]`},
		{"two groups in two rules", `"aws_security_group.a.id", "aws_security_group.a", "aws_security_group.b.id", "aws_security_group.b"`,
			`[{"security_groups": true}, {"security_groups": true}]`,
			`unknown: aws_security_group.c: one or more of several resources, such as aws_security_group.a; a plan does not say which`},
		{"two groups in one rule", `"aws_security_group.a.id", "aws_security_group.a", "aws_security_group.b.id", "aws_security_group.b"`,
			`[{"security_groups": [true, true]}]`,
			`[{"security_groups":["${aws_security_group.a.id}","${aws_security_group.b.id}"]}]`},
		{"a group of a cluster",
			`"aws_eks_cluster.k.vpc_config[0].cluster_security_group_id", "aws_eks_cluster.k.vpc_config[0]", "aws_eks_cluster.k.vpc_config", "aws_eks_cluster.k", "aws_security_group.a.id", "aws_security_group.a"`,
			`[{"security_groups": true}]`,
			`unknown: aws_security_group.c: known only after apply: through aws_eks_cluster.k.vpc_config`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := `{"format_version": "1.2", "planned_values": {"root_module": {"resources": [
				{"address": "aws_security_group.a", "type": "aws_security_group", "name": "a"},
				{"address": "aws_security_group.b", "type": "aws_security_group", "name": "b"},
				{"address": "aws_security_group.c", "type": "aws_security_group", "name": "c"},
				{"address": "aws_vpc.v", "type": "aws_vpc", "name": "v"},
				{"address": "aws_eks_cluster.k", "type": "aws_eks_cluster", "name": "k"}]}},
				"resource_changes": [{"address": "aws_security_group.c", "change": {"after_unknown": {"ingress": ` + tt.unknown + `}}}],
				"configuration": {"root_module": {"resources": [
					{"address": "aws_security_group.c", "expressions": {"ingress": {"references": [` + tt.references + `]}}}]}}}`
			set, err := parse("plan.json", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			for _, inst := range set.Instances {
				if inst.Address == "aws_security_group.c" {
					if got := show(inst.Body.Attrs["ingress"].Value); got != tt.want {
						t.Errorf("\ngot  %s\nwant %s", got, tt.want)
					}
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"not JSON", "{\n\n nope", "plan.json:3: not the JSON of a plan"},
		{"wrong type", "{\n\"format_version\": 1}", "plan.json:2: not the JSON of a plan"},
		{"another document", `{"Resources": {}}`, `plan.json: format_version "" is not one that hoplab reads`},
		{"future format", `{"format_version": "2.0"}`, `plan.json: format_version "2.0" is not one that hoplab reads`},
		{"log", `{"@level":"info","@message":"Terraform 1.11.4"}`, "plan.json: the log of `terraform plan -json`, not a plan"},
		{"no values", `{"format_version": "1.2"}`, "plan.json: holds neither planned_values nor values"},
		{"deep", `{"format_version": "1.2", "x": ` + strings.Repeat("[", 1000), "plan.json: JSON that nests deeper than 200"},
		{"huge number", planOf(`{"n": 1e999999999}`), "plan.json: the number 1e999999999 is too large or too small to be meant"},
		{"long number", planOf(`{"n": ` + strings.Repeat("1", 500) + `}`), "is too long to be meant"},
		{"noncharacter", planOf(`{"n": "\ufdd0"}`), "plan.json: holds a Unicode noncharacter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse("plan.json", []byte(tt.src))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("\ngot  %v\nwant %s", err, tt.want)
			}
			if fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" {
				t.Errorf("code %d, hint %q", fail.CodeOf(err), fail.HintOf(err))
			}
		})
	}
}

func planOf(values string) string {
	return `{"format_version": "1.2", "planned_values": {"root_module": {"resources": [
		{"address": "aws_lb.x", "mode": "managed", "type": "aws_lb", "name": "x", "values": ` + values + `}]}}}`
}

func TestDetect(t *testing.T) {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	if _, err := z.Create("tfplan"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var other bytes.Buffer
	z = zip.NewWriter(&other)
	if _, err := z.Create("index.js"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, content string
		want          bool
	}{
		{"plan", planOf("{}"), true},
		{"state", `{"format_version": "1.0", "terraform_version": "1.11.4", "values": {}}`, true},
		{"binary plan", archive.String(), true},
		{"another archive", other.String(), false},
		{"template", `{"Resources": {}}`, false},
		{"text", "hello", false},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(tt.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := Detect(path); got != tt.want {
			t.Errorf("%s: Detect = %v", tt.name, got)
		}
		if tt.name == "binary plan" {
			if _, err := Read(path); err == nil || !strings.Contains(fail.HintOf(err), "terraform show -json") {
				t.Errorf("Read of a binary plan: %v (%s)", err, fail.HintOf(err))
			}
		}
	}
	if Detect("no/such/file") {
		t.Error("Detect of a missing file")
	}
}
