package labtest

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// Again runs this test binary once more with arguments: a test of the package
// with flags that TestMain acts on, such as the fabric, which a process cannot
// change once it has started. What it writes goes to the log, and its failure is
// the test's. Where TestMain refuses the arguments the test is lacking something
// (see layer.Lacking).
func Again(t testing.TB, test string, args ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(self, append([]string{"-test.run=^$"}, args...)); err != nil {
		layer.Lacking(t, strings.TrimSpace(out)+" "+err.Error())
	}
	args = append([]string{"-test.run=^" + test + "$", "-test.v", "-test.count=1"}, args...)
	out, err := run(self, args)
	t.Logf("%s\n%s", strings.Join(args, " "), out)
	if err != nil {
		t.Errorf("%s: %v", strings.Join(args, " "), err)
	} else if !strings.Contains(out, "--- PASS: "+test) {
		t.Errorf("%s: it did not run", strings.Join(args, " "))
	}
}

func run(path string, args []string) (string, error) {
	cmd := exec.Command(path, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := RunChild(cmd)
	return out.String(), err
}
