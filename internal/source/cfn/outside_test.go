package cfn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
)

// within fails a test that waits: for a pipe, or for a file that never ends.
func within(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: waits", what)
		return nil
	}
}

// TestHostileFiles: what stands in the place of a file of an assembly is
// refused with its name; nothing out of it is read, and nothing without end.
func TestHostileFiles(t *testing.T) {
	const template = `{"Resources":{"Q":{"Type":"AWS::SQS::Queue"},"N":{"Type":"AWS::CloudFormation::Stack","Properties":{"TemplateURL":"child.json"}}}}`
	outside := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(outside, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s.template.json", "child.json", manifestName} {
		for what, c := range map[string]struct {
			put  func(path string) error
			want error
		}{
			"a link to a device": {func(p string) error { return os.Symlink("/dev/zero", p) }, bounded.ErrOutside},
			"a link out":         {func(p string) error { return os.Symlink(outside, p) }, bounded.ErrOutside},
			"a pipe":             {func(p string) error { return syscall.Mkfifo(p, 0o600) }, bounded.ErrNotRegular},
			"a sparse file over the limit": {func(p string) error {
				return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, maxJSON+1))
			}, bounded.ErrTooLarge},
		} {
			dir := t.TempDir()
			write := func(n, text string) {
				if err := os.WriteFile(filepath.Join(dir, n), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(manifestName, `{"artifacts":{"s":{"type":"aws:cloudformation:stack","properties":{"templateFile":"s.template.json"}}}}`)
			write("s.template.json", template)
			write("child.json", `{"Resources":{}}`)
			if _, err := Load([]string{dir}, Options{}); err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(dir, name))
			if err := c.put(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			err := within(t, name+", "+what, func() error { _, err := Load([]string{dir}, Options{}); return err })
			if !errors.Is(err, c.want) || fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), name) {
				t.Errorf("%s is %s: %v", name, what, err)
			}
		}
	}
}

// TestTemplateWithoutEnd: the user may name a link and a pipe, which are read as
// far as the limit.
func TestTemplateWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	zero, pipe := filepath.Join(dir, "x.json"), filepath.Join(dir, "pipe.json")
	if err := errors.Join(os.Symlink("/dev/zero", zero), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load([]string{zero}, Options{}); !errors.Is(err, bounded.ErrTooLarge) || fail.CodeOf(err) != fail.Usage {
		t.Errorf("a template without an end: %v", err)
	}
	go func() {
		if f, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			f.WriteString(`{"Resources":{"Q":{"Type":"AWS::SQS::Queue"}}}`)
			f.Close()
		}
	}()
	if err := within(t, "a pipe with a writer", func() error { _, err := Load([]string{pipe}, Options{}); return err }); err != nil {
		t.Errorf("a pipe with a writer: %v", err)
	}
}
