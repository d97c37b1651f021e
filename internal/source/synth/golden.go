package synth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// goldenDir holds the templates that the repository keeps.
const goldenDir = "stacks/testdata/golden"

// MadeFrom is the file, below the repository's root, that holds the
// TemplateSources of when the golden templates were last made.
const MadeFrom = "stacks/testdata/golden-made-from.txt"

// golden are the folders of the golden templates by the contexts that make them.
var golden = map[string]string{
	`{"arms":"both"}`:                "both",
	`{}`:                             "agent",
	`{"ingressPortOverride":"8080"}`: "bypass",
}

// goldenFor returns the golden assembly for a context, if there is one and it
// is what the app below root would synthesize.
func goldenFor(root string, values map[string]string) (Assembly, bool, error) {
	if values == nil {
		values = map[string]string{}
	}
	key, err := json.Marshal(values)
	if err != nil {
		return Assembly{}, false, err
	}
	name, ok := golden[string(key)]
	if !ok {
		return Assembly{}, false, nil
	}
	now, err := TemplateSources(root)
	if err != nil {
		return Assembly{}, false, err
	}
	made, err := os.ReadFile(filepath.Join(root, MadeFrom))
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(bytes.TrimSpace(made)) != now {
		return Assembly{}, false, nil
	}
	if err != nil {
		return Assembly{}, false, fail.Newf(fail.Environment, "make it readable", "cannot read what the golden templates were made from: %w", err)
	}
	return Assembly{
		Dir:    filepath.Join(root, filepath.FromSlash(goldenDir), name),
		Source: "the golden templates of app.go as it is, with " + describe(values),
	}, true, nil
}

// TemplateSources names by one digest everything below root that decides the
// golden templates: the code of app.go, stacks and internal/ports, cdk.json,
// and the versions of the CDK's modules. Content hashes of image assets are not
// in the golden templates, so the images' sources do not count.
func TemplateSources(root string) (string, error) {
	h := sha256.New()
	add := func(name string, data []byte) {
		fmt.Fprintf(h, "\x00%s\x00%d\x00", name, len(data))
		h.Write(data)
	}
	names := []string{"app.go", "cdk.json"}
	for _, dir := range []string{"stacks", "internal/ports"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return "", noSources(err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), "_test.go") {
				names = append(names, dir+"/"+e.Name())
			}
		}
	}
	sort.Strings(names)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", noSources(err)
		}
		add(name, data)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", noSources(err)
	}
	for line := range strings.Lines(string(mod)) {
		if f := strings.Fields(line); len(f) > 1 && cdkModule(f[0]) {
			add("go.mod", []byte(f[0]+" "+f[1]))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// cdkModule reports whether the CDK app is built from the module.
func cdkModule(path string) bool {
	for _, owner := range []string{
		"github.com/aws/aws-cdk-go/", "github.com/aws/constructs-go/", "github.com/aws/jsii-runtime-go", "github.com/cdklabs/",
	} {
		if strings.HasPrefix(path, owner) {
			return true
		}
	}
	return false
}

func noSources(err error) error {
	return fail.Newf(fail.Environment, "set HOPLAB_REPO to a hoplab checkout", "cannot read the CDK app: %w", err)
}
