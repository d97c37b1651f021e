package cases

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// The cutting test: take one resource out of a template and put a loop in its
// place whose collection is not settled. Whatever the loop makes may be what
// was cut, so no error and no warning may appear that the whole template does
// not also have.

// serious returns the errors and warnings of a template: severity, rule and resource.
func serious(text []byte) (map[string]string, error) {
	a, err := cfn.Parse("t.yaml", text, cfn.Options{})
	if err != nil {
		return nil, err
	}
	top, err := deployment.FromTemplates(a)
	if err != nil {
		return nil, err
	}
	findings, err := check.Run(top, check.Options{})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range findings {
		if f.Severity > check.Note && f.Suppressed == nil {
			out[fmt.Sprintf("%s %s %s", f.Severity, f.Rule, f.Origin.ID)] = f.Message
		}
	}
	return out, nil
}

// entry returns the value under a key of a mapping node and its index, or nil.
func entry(n *yaml.Node, key string) (*yaml.Node, int) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1], i
		}
	}
	return nil, -1
}

const loop = `
Parameters:
  CutNames: {Type: CommaDelimitedList}
Resources:
  Fn::ForEach::Cut: [CutName, !Ref CutNames, {"Cut${CutName}": {Type: "${CutName}", Properties: {Name: !Ref CutName}}}]
`

// cut returns the template without the i-th resource, its place open, and the
// name of the resource; "" when there is none.
func cut(text []byte, i int) ([]byte, string) {
	var doc, add yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 || yaml.Unmarshal([]byte(loop), &add) != nil {
		return nil, ""
	}
	root := doc.Content[0]
	res, _ := entry(root, "Resources")
	if res == nil || 2*i >= len(res.Content) {
		return nil, ""
	}
	name := res.Content[2*i].Value
	kept := append([]*yaml.Node(nil), res.Content[:2*i]...)
	kept = append(kept, res.Content[2*i+2:]...)
	for _, section := range []string{"Resources", "Parameters"} {
		from, _ := entry(add.Content[0], section)
		to, _ := entry(root, section)
		switch {
		case section == "Resources":
			res.Content = append(kept, from.Content...)
		case to == nil:
			root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: section}, from)
		default:
			to.Content = append(to.Content, from.Content...)
		}
	}
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return nil, ""
	}
	return out, name
}

// appear reports what a cut template has that the whole one has not.
func appear(t *testing.T, file, name string, whole map[string]string, text []byte) {
	t.Helper()
	got, err := serious(text)
	if err != nil {
		if strings.Contains(err.Error(), "unknown anchor") { // it was in the resource that was cut
			return
		}
		t.Errorf("%s without %s: %v", file, name, err)
		return
	}
	for k, message := range got {
		if _, ok := whole[k]; !ok {
			t.Errorf("%s without %s: %s: %s", file, name, k, message)
		}
	}
}

func TestCuttingAddsNoFinding(t *testing.T) {
	layer.Full(t, "reads thousands of templates")
	templates, cuts := 0, 0
	for _, root := range []string{"testdata/cfn", "../../source/cfn/deployment/testdata", "../../../stacks/testdata"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, ".golden") || strings.Contains(path, "fuzz") {
				return err
			}
			if ext := filepath.Ext(path); ext != ".yaml" && !strings.HasSuffix(path, ".template.json") && !(ext == ".json" && strings.Contains(path, "shapes")) {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			whole, err := serious(text)
			if err != nil {
				return nil // an input that is refused
			}
			templates++
			for i := 0; ; i++ {
				without, name := cut(text, i)
				if name == "" {
					return nil
				}
				cuts++
				appear(t, path, name, whole, without)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d templates, %d cuts", templates, cuts)
	if templates < 60 || cuts < 600 {
		t.Errorf("%d templates and %d cuts: too few to say anything", templates, cuts)
	}
}

func TestCuttingGeneratedDeployments(t *testing.T) {
	layer.Full(t, "reads thousands of templates")
	n := 2000
	if testing.Short() {
		n = 200
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		text := generated(r)
		file := fmt.Sprintf("seed-%d.yaml", seed)
		whole, err := serious(text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		for k, message := range whole {
			if strings.HasPrefix(k, "error") {
				t.Fatalf("seed %d is not sound: %s: %s\n%s", seed, k, message, text)
			}
		}
		count := strings.Count(string(text), "    Type: AWS::")
		without, name := cut(text, r.IntN(count))
		if name == "" {
			t.Fatalf("seed %d: nothing was cut", seed)
		}
		appear(t, file, name, whole, without)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
