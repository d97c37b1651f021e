package carried

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/source/synth"
)

func TestTemplates(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	dir, err := Templates(Both)
	if err != nil {
		t.Fatal(err)
	}
	same := func(when string) {
		t.Helper()
		want, err := synth.Digest([]string{"../../stacks/testdata/golden/both"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := synth.Digest([]string{dir}); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s, that of the golden templates", when, got, err, want)
		}
	}
	same("at first")
	if err := os.WriteFile(filepath.Join(dir, "More.template.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Templates(Both)
	if err != nil || again != dir {
		t.Fatalf("%s, %v; want %s again", again, err, dir)
	}
	same("after somebody put another template there")
}
