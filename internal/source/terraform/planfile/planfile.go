// Package planfile reads the JSON of `terraform show -json` for a plan or a
// state into resource instances.
//
// A plan holds Terraform's own evaluation: the planned values of every
// resource, with a mark on those that only the apply will tell. For these
// the plan's copy of the configuration says which resources an argument
// refers to, though not how. An unknown argument becomes a reference where
// only one reading is left, and stays unknown otherwise.
package planfile

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

const (
	maxBytes     = 64 << 20
	maxNesting   = 200
	maxInstances = 10_000
	maxModules   = 16 // modules inside each other
)

// plan is the part of the format that is read.
// Source: https://developer.hashicorp.com/terraform/internals/json-format.
type plan struct {
	FormatVersion    string      `json:"format_version"`
	TerraformVersion string      `json:"terraform_version"`
	Planned          *values     `json:"planned_values"`
	Values           *values     `json:"values"` // of a state
	Prior            *priorState `json:"prior_state"`
	Changes          []change    `json:"resource_changes"`
	Configuration    struct {
		Root configModule `json:"root_module"`
	} `json:"configuration"`
}

type values struct {
	Root valueModule `json:"root_module"`
}

type priorState struct {
	Values *values `json:"values"`
}

type valueModule struct {
	Address   string        `json:"address"`
	Resources []value       `json:"resources"`
	Children  []valueModule `json:"child_modules"`
}

type value struct {
	Address string         `json:"address"`
	Mode    string         `json:"mode"`
	Type    string         `json:"type"`
	Name    string         `json:"name"`
	Index   any            `json:"index"`
	Values  map[string]any `json:"values"`
	// DependsOn lists static addresses; a state has it, a plan its configuration.
	DependsOn []string `json:"depends_on"`
}

type change struct {
	Address string `json:"address"`
	Module  string `json:"module_address"`
	Type    string `json:"type"`
	Deposed string `json:"deposed"`
	Change  struct {
		Actions      []string       `json:"actions"`
		Before       map[string]any `json:"before"`
		AfterUnknown any            `json:"after_unknown"`
	} `json:"change"`
}

type configModule struct {
	Resources []configResource        `json:"resources"`
	Calls     map[string]configCall   `json:"module_calls"`
	Outputs   map[string]configOutput `json:"outputs"`
}

type configResource struct {
	Address     string         `json:"address"` // within the module
	Expressions map[string]any `json:"expressions"`
	Count       any            `json:"count_expression"`
	ForEach     any            `json:"for_each_expression"`
	DependsOn   []string       `json:"depends_on"`
}

type configCall struct {
	Expressions map[string]any `json:"expressions"`
	Count       any            `json:"count_expression"`
	ForEach     any            `json:"for_each_expression"`
	DependsOn   []string       `json:"depends_on"`
	Module      configModule   `json:"module"`
}

type configOutput struct {
	Expression any      `json:"expression"`
	DependsOn  []string `json:"depends_on"`
}

// Read reads a plan or state. Errors carry fail.Usage.
func Read(path string) (*resource.Set, error) {
	src, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if isBinary(src) {
		return nil, fail.Newf(fail.Usage, fmt.Sprintf("write its JSON first: terraform show -json %s > plan.json", path), "%s: a plan in Terraform's binary form", path)
	}
	return parse(path, src)
}

func readFile(path string) ([]byte, error) {
	// Before opening: to open a pipe would wait for its writer.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fail.Newf(fail.Usage, "write the plan to a file first", "%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "check the path and its permissions", "%w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fail.Newf(fail.Usage, "check the path and its permissions", "%w", err)
	}
	if len(src) > maxBytes {
		return nil, fail.Newf(fail.Usage, "plan one part of the configuration with -target", "%s: larger than %d MiB", path, maxBytes>>20)
	}
	return src, nil
}

func parse(path string, src []byte) (*resource.Set, error) {
	if resource.JSONDepth(string(src)) > maxNesting {
		return nil, fail.Newf(fail.Usage, showHint, "%s: JSON that nests deeper than %d", path, maxNesting)
	}
	var p plan
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	if err := dec.Decode(&p); err != nil {
		return nil, fail.Newf(fail.Usage, showHint, "%s: not the JSON of a plan: %w", jsonPlace(path, src, err), err)
	}
	if strings.HasPrefix(string(bytes.TrimSpace(src)), `{"@level"`) {
		return nil, fail.Newf(fail.Usage, showHint, "%s: the log of `terraform plan -json`, not a plan", path)
	}
	if major, _, _ := strings.Cut(p.FormatVersion, "."); major != "0" && major != "1" {
		return nil, fail.Newf(fail.Usage, showHint, "%s: format_version %q is not one that hoplab reads (0.x and 1.x)", path, p.FormatVersion)
	}
	if p.Planned == nil && p.Values == nil {
		return nil, fail.Newf(fail.Usage, showHint, "%s: holds neither planned_values nor values", path)
	}
	return newReader(path, &p).read()
}

const showHint = "make the file with: terraform plan -out tfplan && terraform show -json tfplan > plan.json"

// jsonPlace is the path with the line of a syntax or type error.
func jsonPlace(path string, src []byte, err error) string {
	var offset int64
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typ):
		offset = typ.Offset
	default:
		return path
	}
	offset = min(max(offset, 0), int64(len(src)))
	return fmt.Sprintf("%s:%d", path, 1+bytes.Count(src[:offset], []byte("\n")))
}

// Detect reports that the file at path is a plan or state, JSON or binary.
func Detect(path string) bool {
	src, err := readFile(path)
	if err != nil {
		return false
	}
	if isBinary(src) {
		return true
	}
	var head struct {
		FormatVersion    *string         `json:"format_version"`
		TerraformVersion *string         `json:"terraform_version"`
		Planned          json.RawMessage `json:"planned_values"`
	}
	if resource.JSONDepth(string(src)) > maxNesting || json.Unmarshal(src, &head) != nil {
		return false
	}
	return head.FormatVersion != nil && (head.TerraformVersion != nil || head.Planned != nil)
}

// isBinary reports a plan as `terraform plan -out` writes it: a zip archive
// with a member of that name.
func isBinary(src []byte) bool {
	if !bytes.HasPrefix(src, []byte("PK\x03\x04")) {
		return false
	}
	z, err := zip.NewReader(bytes.NewReader(src), int64(len(src)))
	if err != nil {
		return false
	}
	for _, f := range z.File {
		if f.Name == "tfplan" {
			return true
		}
	}
	return false
}
