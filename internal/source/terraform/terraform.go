// Package terraform reads Terraform into a topology: a directory of .tf
// files, or the JSON of `terraform show -json` for a plan or a state.
//
// The work has three steps, each a package: module evaluates .tf files as
// far as that goes without Terraform and AWS, planfile reads Terraform's own
// evaluation, and both give a resource.Set. This package knows the AWS
// provider and turns the set into the model that the rest of hoplab reasons
// over, with resource addresses as IDs.
//
// Nothing is guessed. What only AWS or Terraform can tell is unknown, with
// the file, the line and the reason, and listed in Topology.Unknowns.
package terraform

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/module"
	"github.com/hoplab/hoplab/internal/source/terraform/planfile"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options gives values for the variables of the root module, as Terraform
// takes them. By ascending precedence: Env, terraform.tfvars,
// terraform.tfvars.json, *.auto.tfvars in lexical order, VarFiles in order,
// Vars. A plan has its values inside, so there they are refused.
type Options struct {
	Vars     map[string]string // --var name=value
	VarFiles []string          // --var-file paths
	Env      []string          // the environment, for TF_VAR_name; nil reads none
}

// Load reads path: a directory with .tf or .tf.json files, or the JSON of a
// plan or state. Errors carry fail.Usage, and file and line where there is one.
func Load(path string, o Options) (*topology.Topology, error) {
	set, err := load(path, o)
	if err != nil {
		return nil, err
	}
	return build(set), nil
}

func load(path string, o Options) (*resource.Set, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fail.Newf(fail.Usage, "give a directory with .tf files, or the JSON of `terraform show -json PLAN`", "%w", err)
	case info.IsDir():
		return module.Read(path, module.Inputs{Vars: o.Vars, VarFiles: o.VarFiles, Env: o.Env})
	case module.IsFile(filepath.Base(path)):
		return nil, fail.Newf(fail.Usage, "give the directory "+filepath.Dir(path), "%s is one file of a module; Terraform reads the directory as a whole", path)
	case len(o.Vars)+len(o.VarFiles) > 0:
		return nil, fail.Newf(fail.Usage, "give the variables to `terraform plan`, or read the directory of .tf files instead", "%s: variables are fixed in a plan", path)
	}
	return planfile.Read(path)
}

// Detect reports that path looks like something for Load: a directory with
// .tf or .tf.json files in it, such a file, or a plan, be it JSON or binary.
func Detect(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !info.IsDir() {
		return module.IsFile(filepath.Base(path)) || planfile.Detect(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !e.IsDir() && module.IsFile(e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			return true
		}
	}
	return false
}
