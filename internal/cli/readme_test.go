package cli_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// block is a fenced block that shows a command and what it prints.
var block = regexp.MustCompile("(?s)```console\n\\$ hoplab ([^\n]*)\n(.*?)```")

// TestManual runs every command that the README and the guides show with its
// output, and compares the two.
func TestManual(t *testing.T) {
	layer.Full(t, "runs the command in processes of its own")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	prepareLab(t)
	shown := 0
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		renewed := block.ReplaceAllFunc(text, func(b []byte) []byte {
			shown++
			m := block.FindSubmatch(b)
			var out bytes.Buffer
			cli.Main(strings.Fields(string(m[1])), strings.NewReader(""), &out, &out)
			if n := out.Len(); n > 0 && out.Bytes()[n-1] != '\n' {
				out.WriteByte('\n') // the fence needs a line of its own
			}
			if got := out.String(); got != string(m[2]) && !*update {
				t.Errorf("%s: hoplab %s prints\n%s\nthe manual shows\n%s\n(renew it with -update)", filepath.Base(file), m[1], got, m[2])
			}
			return []byte("```console\n$ hoplab " + string(m[1]) + "\n" + out.String() + "```")
		})
		if *update && !bytes.Equal(renewed, text) {
			if err := os.WriteFile(file, renewed, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if shown < 3 {
		t.Errorf("the manual shows %d commands with their output; expected 3 or more", shown)
	}
}

// prepareLab gives the manual's labs a place of their own, and builds the app
// before a command would tell of it.
func prepareLab(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Cleanup(func() {
		cli.Main([]string{"lab", "down"}, strings.NewReader(""), io.Discard, io.Discard) // if a guide's lab is still up
	})
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.BuildService(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
}

// TestManualLinks checks that every relative link of a document leads somewhere,
// and to one heading only.
func TestManualLinks(t *testing.T) {
	links := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, m := range regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]+))?\)`).FindAllStringSubmatch(read(t, file), -1) {
				links++
				to := file
				if m[1] != "" {
					to = filepath.Join(filepath.Dir(file), m[1])
				}
				if _, err := os.Stat(to); err != nil {
					t.Errorf("%s links to %s, which is not there", file, m[1])
				} else if m[2] != "" && anchors(read(t, to))[m[2]] != 1 {
					t.Errorf("%s links to %s#%s, which is not one heading", file, m[1], m[2])
				}
			}
		}
	}
	if links < 80 {
		t.Errorf("found %d links; expected 80 or more", links)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	heading     = regexp.MustCompile("(?m)^#+ (.*)$")
	notInAnchor = regexp.MustCompile(`[^\pL\pN_ -]`)
)

// anchors counts the headings of a document by the anchor that GitHub gives them.
func anchors(markdown string) map[string]int {
	out := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(markdown, -1) {
		bare := notInAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(bare, " ", "-")]++
	}
	return out
}

// elsewhere matches what would tell a reader where the sample run was recorded.
var elsewhere = regexp.MustCompile(`/(home|root|Users|tmp|var|work|mnt)/`)

// TestSampleRun checks that the run which the README shows, and those of
// docs/hop-cost.md, are small, complete and of no particular machine.
func TestSampleRun(t *testing.T) {
	kept, err := filepath.Glob("../../docs/hop-cost/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(kept, "../../docs/sample-run") {
		t.Run(filepath.Base(dir), func(t *testing.T) { checkKept(t, dir) })
	}
}

func checkKept(t *testing.T, dir string) {
	d, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := d.Left(); n != 0 {
		t.Errorf("%d replicates are missing; record it with scripts/sample-run.sh or scripts/hop-cost.sh", n)
	}
	names := []*regexp.Regexp{elsewhere}
	if host, err := os.Hostname(); err == nil && len(host) > 3 {
		names = append(names, regexp.MustCompile(`\b`+regexp.QuoteMeta(host)+`\b`))
	}
	size := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch e.Name() {
		case run.SummaryFile, run.HTMLFile, run.MarkdownFile:
			return nil // made from the rest, and not kept
		}
		size += len(data)
		for _, n := range names {
			if m := n.Find(data); m != nil {
				t.Errorf("%s names this machine: %q", path, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 1<<20 {
		t.Errorf("the run has %d bytes; at most 1 MiB belongs into the repository", size)
	}
}
