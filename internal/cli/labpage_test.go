package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestLabPage uses the page of a lab beside the shell in a browser. The lab goes
// down under it and up again: the page says so, goes on at the same address, and
// no event is lost or comes twice.
func TestLabPage(t *testing.T) {
	layer.Full(t, "needs a browser, runs the command in processes of its own")
	chromium := labtest.Driven(t)
	s := newShell(t)
	up := []string{"lab", "up", s.golden("bypass"), "--scale", "20"}
	s.hoplab(t, up...)
	url, end := s.page(t)
	in, err := json.Marshal(map[string]any{"browser": chromium, "url": url, "hoplab": s.self, "up": up})
	if err != nil {
		t.Fatal(err)
	}
	drive := s.command("node", filepath.Join("testdata", "labpage.mjs"))
	var found bytes.Buffer
	drive.Stdin, drive.Stdout = bytes.NewReader(in), &found
	if err := labtest.RunChild(drive); err != nil || found.Len() > 0 {
		t.Errorf("labpage.mjs: %v\n%s", err, &found)
	}
	end()
}

// shell is where a test uses the command as people do, with labs of its own.
type shell struct{ self, run, root string }

// newShell ends the lab called "default" with the test.
func newShell(t *testing.T) *shell {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{root: r.Root}
	if s.self, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	if s.run, err = os.MkdirTemp("/tmp", "hoplab"); err != nil { // a socket's path is short; t.TempDir's may not be
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", s.run)
	t.Setenv("HOPLAB_REPO", s.root)
	t.Cleanup(func() {
		down := s.command(s.self, "lab", "down")
		down.Stderr = nil
		_ = labtest.RunChild(down) // it may be down already
		os.RemoveAll(s.run)
	})
	return s
}

func (s *shell) golden(variant string) string {
	return filepath.Join(s.root, "stacks", "testdata", "golden", variant)
}

// command is a program in whose environment the test binary is hoplab.
func (s *shell) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	cmd.Stderr = os.Stderr
	return cmd
}

// hoplab runs the command to its end and returns what it printed.
func (s *shell) hoplab(t *testing.T, args ...string) string {
	t.Helper()
	cmd := s.command(s.self, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := labtest.RunChild(cmd); err != nil {
		t.Fatalf("hoplab %s: %v", strings.Join(args, " "), err)
	}
	return out.String()
}

// page serves the lab's page until end, which is Ctrl-C.
func (s *shell) page(t *testing.T) (url string, end func()) {
	t.Helper()
	cmd := s.command(s.self, "lab", "page")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := labtest.StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	if url, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url), func() {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the page's command ends on Ctrl-C with %v", err)
		}
	}
}
