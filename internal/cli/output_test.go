package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
)

// full takes so many bytes and then none, as a disk does.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		n := f.left
		f.left = 0
		return n, errors.New("no space left on device")
	}
	f.left -= len(p)
	return len(p), nil
}

// TestLostOutput: whatever a command prints, help too, and whatever its answer
// is, it does not end as if it had been printed when it was not.
func TestLostOutput(t *testing.T) {
	closed := "../source/cfn/deployment/testdata/article/override-closed.template.json"
	for _, args := range [][]string{
		{"version"}, {"version", "--format", "json"}, {"--help"}, {"check", "--help"}, {"help", "lab"}, {"check", closed},
		{"check", closed, "--format", "sarif"}, {"explain", closed}, {"explain", closed, "--format", "html"}, {"diagnose", closed},
		{"cost", closed}, {"learn"}, {"plan"}, {"completion", "bash"},
		{"report", "../../docs/sample-run"},
	} {
		var whole, errOut bytes.Buffer
		Main(args, strings.NewReader(""), &whole, &errOut)
		if whole.Len() == 0 {
			t.Fatalf("%v prints nothing: %s", args, errOut.String())
		}
		for _, room := range []int{0, whole.Len() - 1} {
			errOut.Reset()
			code := Main(args, strings.NewReader(""), &full{room}, &errOut)
			if code != int(fail.Environment) || strings.Count(errOut.String(), "no space left on device") != 1 {
				t.Errorf("%v with room for %d bytes: code %d, %q", args, room, code, errOut.String())
			}
		}
	}
}
