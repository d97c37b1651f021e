package module

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
)

// TestLinksOutOfAConfiguration: a configuration from elsewhere shows nobody's
// files, whatever it calls a link to them. Only one .tf file may be a link to
// another one outside.
func TestLinksOutOfAConfiguration(t *testing.T) {
	outside := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	put(outside+"/secret", "v = \"topsecret\"\n")
	put(outside+"/modules.json", `{"Modules":[{"Key":"m","Dir":"topsecret"}]}`)
	put(outside+"/secret.tfvars", "v = \"topsecret\"\n")
	put(outside+"/shared.tf", "resource \"aws_lb\" \"shared\" {}\n")
	const main = "variable \"v\" {\n default = \"own\"\n}\nresource \"aws_lb\" \"x\" {\n name = \"${var.v}-${terraform.workspace}\"\n}\n"
	for _, tt := range []struct {
		link, to string
		refused  bool
	}{
		{"terraform.tfvars", "secret.tfvars", true},
		{"terraform.tfvars.json", "secret.tfvars", true},
		{"a.auto.tfvars", "secret", true},
		{"a.tf", "secret", true},
		{"a.tf.json", "secret.tfvars", true},
		{"a.tf", "", true}, // a directory
		{"a.tf", "shared.tf", false},
		{".terraform/environment", "secret", false},
		{".terraform/modules/modules.json", "modules.json", false},
	} {
		dir := t.TempDir()
		put(dir+"/main.tf", main)
		link := filepath.Join(dir, tt.link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o700), os.Symlink(filepath.Join(outside, tt.to), link)); err != nil {
			t.Fatal(err)
		}
		set, err := Read(dir, Inputs{})
		if tt.refused {
			if !errors.Is(err, bounded.ErrOutside) || fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), tt.link) {
				t.Errorf("%s to %q: %v", tt.link, tt.to, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s to %q: %v", tt.link, tt.to, err)
		}
		for _, in := range set.Instances {
			if name := in.Body.String("name").Or("own-default"); name != "own-default" {
				t.Errorf("%s to %q: %s", tt.link, tt.to, name)
			}
		}
		if want := 1 + strings.Count(tt.to, ".tf"); len(set.Instances) != want {
			t.Errorf("%s to %q: %d resources; want %d", tt.link, tt.to, len(set.Instances), want)
		}
	}
	dir := t.TempDir()
	put(dir+"/main.tf", main)
	if set, err := Read(dir, Inputs{VarFiles: []string{outside + "/secret.tfvars"}}); err != nil || len(set.Instances) != 1 {
		t.Errorf("a file that the user names is read wherever it is: %v", err)
	}
	if err := syscall.Mkfifo(dir+"/pipe.tf", 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, Inputs{}); !errors.Is(err, bounded.ErrNotRegular) {
		t.Errorf("a pipe: %v", err)
	}
}
