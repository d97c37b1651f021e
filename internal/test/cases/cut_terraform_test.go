package cases

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/source/terraform"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// The cutting test for Terraform: a resource is taken out, and stands now in a
// module that is not at hand and is given all that the resource used, or is
// looked up by a data source.

// seriousTerraform returns the errors and warnings of a directory by rule and
// resource, and what they say.
func seriousTerraform(dir string, vars map[string]string) (map[string]check.Severity, map[string]string, error) {
	top, err := terraform.Load(dir, terraform.Options{Vars: vars})
	if err != nil {
		return nil, nil, err
	}
	findings, err := check.Run(top, check.Options{})
	if err != nil {
		return nil, nil, err
	}
	out, messages := map[string]check.Severity{}, map[string]string{}
	for _, f := range findings {
		if f.Severity > check.Note && f.Suppressed == nil {
			out[fmt.Sprintf("%s %s", f.Rule, f.Origin.ID)] = f.Severity
			messages[fmt.Sprintf("%s %s", f.Rule, f.Origin.ID)] = f.Message
		}
	}
	return out, messages, nil
}

// lookedUp are resource types that the provider has a data source for, which
// gives what its users here need.
var lookedUp = []string{
	"aws_vpc", "aws_subnet", "aws_security_group", "aws_lb", "aws_alb", "aws_lb_target_group", "aws_alb_target_group", "aws_lb_listener",
	"aws_alb_listener", "aws_ecs_cluster", "aws_ecs_task_definition", "aws_iam_role", "aws_service_discovery_http_namespace",
}

// block is a resource block of a file.
type block struct {
	file, typ, name string
	from, to        int
	uses            []string // what it refers to
	counted         bool
}

// blocks lists the resource blocks of the .tf files of a directory.
func blocks(t *testing.T, dir string) []block {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, diags := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		if diags.HasErrors() {
			return nil // an input that is refused
		}
		for _, b := range f.Body.(*hclsyntax.Body).Blocks {
			if b.Type != "resource" || len(b.Labels) != 2 {
				continue
			}
			uses := map[string]bool{}
			collect(b.Body, text, uses)
			_, count := b.Body.Attributes["count"]
			_, each := b.Body.Attributes["for_each"]
			r := b.Range()
			out = append(out, block{file: file, typ: b.Labels[0], name: b.Labels[1], from: r.Start.Byte, to: b.CloseBraceRange.End.Byte,
				uses: slices.Sorted(maps.Keys(uses)), counted: count || each})
		}
	}
	return out
}

// collect adds the references of a body.
func collect(body *hclsyntax.Body, text []byte, uses map[string]bool) {
	for _, a := range body.Attributes {
		if a.Name == "depends_on" {
			continue
		}
		for _, v := range a.Expr.Variables() {
			switch root := v.RootName(); {
			case root == "var" || root == "local" || root == "module" || root == "data" || strings.HasPrefix(root, "aws_"):
				r := v.SourceRange()
				uses[string(text[r.Start.Byte:r.End.Byte])] = true
			}
		}
	}
	for _, b := range body.Blocks {
		collect(b.Body, text, uses)
	}
}

// replacement is what stands in the place of a block, and how it is referred to.
type replacement struct{ name, text, ref string }

func replacements(b block) []replacement {
	given := ""
	for i, u := range b.uses {
		if !strings.Contains(u, "each.") && !strings.Contains(u, "count.") {
			given += fmt.Sprintf("  given%d = %s\n", i, u)
		}
	}
	out := []replacement{{"module", "module \"cut\" {\n  source = \"example/none/aws\"\n" + given + "}", "module.cut"}}
	if slices.Contains(lookedUp, b.typ) && !b.counted {
		out = append(out, replacement{"data", fmt.Sprintf("data %q %q {}", b.typ, b.name), "data." + b.typ + "." + b.name})
	}
	return out
}

// cutTerraform writes the directory with the replacement to another place.
func cutTerraform(t *testing.T, root, dir string, b block, r replacement) string {
	t.Helper()
	to := t.TempDir()
	ref := regexp.MustCompile(`(^|[^.\w])` + b.typ + `\.` + b.name + `\b`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if path == b.file {
			text = slices.Concat(text[:b.from], []byte(r.text), text[b.to:])
		}
		if filepath.Dir(path) == dir && filepath.Ext(path) == ".tf" {
			text = ref.ReplaceAll(text, []byte("${1}"+r.ref))
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// withTerraform lists the directories below root that hold .tf files, and root.
func withTerraform(t *testing.T, root string) []string {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".tf" {
			seen[filepath.Dir(path)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestCuttingTerraformAddsNoFinding(t *testing.T) {
	layer.Full(t, "reads hundreds of configurations")
	type input struct {
		path string
		vars map[string]string
	}
	var inputs []input
	for _, r := range rows(t) {
		if strings.HasPrefix(r.Path, "testdata/tf/") && r.Error == "" {
			inputs = append(inputs, input{r.Path, r.Vars})
		}
	}
	fixtures, err := filepath.Glob("../../source/terraform/testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures {
		inputs = append(inputs, input{path: f})
	}
	configurations, cuts := 0, 0
	seen := map[string]bool{}
	for _, in := range inputs {
		if info, err := os.Stat(in.path); err != nil || !info.IsDir() || seen[in.path] {
			continue
		}
		seen[in.path] = true
		whole, _, err := seriousTerraform(in.path, in.vars)
		if err != nil {
			continue // an input that is refused
		}
		configurations++
		for _, dir := range withTerraform(t, in.path) {
			for _, b := range blocks(t, dir) {
				for _, r := range replacements(b) {
					got, messages, err := seriousTerraform(cutTerraform(t, in.path, dir, b, r), in.vars)
					if err != nil && strings.Contains(err.Error(), "is declared twice") {
						continue // it is looked up already
					}
					if err != nil {
						t.Errorf("%s without %s.%s (%s): %v", in.path, b.typ, b.name, r.name, err)
						continue
					}
					cuts++
					for k, severity := range got {
						if severity > whole[k] { // a note is the least
							t.Errorf("%s without %s.%s (%s): %s %s: %s", in.path, b.typ, b.name, r.name, severity, k, messages[k])
						}
					}
				}
			}
		}
	}
	t.Logf("%d configurations, %d cuts", configurations, cuts)
	if configurations < 40 || cuts < 500 {
		t.Errorf("%d configurations and %d cuts: too few to say anything", configurations, cuts)
	}
}
