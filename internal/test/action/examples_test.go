package action

import (
	"archive/tar"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// example is the code block of that form below a heading of docs/ci.md.
func example(t *testing.T, heading, form string) string {
	t.Helper()
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(r.Path("docs", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "\n## "+heading+"\n")
	if ok {
		_, text, ok = strings.Cut(text, "\n```"+form+"\n")
	}
	text, _, closed := strings.Cut(text, "\n```\n")
	if !ok || !closed {
		t.Fatalf("docs/ci.md has no block of %s below %q", form, heading)
	}
	return text
}

// agent is a machine on which somebody's CI runs lines: an empty directory, and
// stand-ins for what the network and the user's app would give.
type agent struct {
	work string
	env  []string
}

// newAgent returns a machine where curl fetches a release of this hoplab,
// `npx cdk synth` makes one of the stacks' assemblies, and apt-get installs nothing.
func newAgent(t *testing.T, variant string) *agent {
	t.Helper()
	layer.Full(t, "runs the lines of the examples in a shell")
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	assembly := r.Path("stacks", "testdata", "golden", variant)
	bin, work := t.TempDir(), t.TempDir()
	archive := filepath.Join(bin, "hoplab.tar.gz")
	writeRelease(t, archive)
	for name, script := range map[string]string{
		"apt-get": "exit 0",
		"curl": `[ "$1" = -fsSL ] && [ "$2" = https://github.com/hoplab/hoplab/releases/latest/download/hoplab_linux_amd64.tar.gz ] ||
  { echo "curl $*: nothing is there" >&2; exit 22; }
exec cat ` + archive,
		"npx": `[ "$*" = "cdk synth -q" ] && cp -r ` + assembly + ` cdk.out`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &agent{work: work, env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))}
}

// writeRelease writes an archive of a release whose hoplab is this test's.
func writeRelease(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip := gzip.NewWriter(f)
	out := tar.NewWriter(zip)
	h := &tar.Header{Name: "hoplab", Typeflag: tar.TypeSymlink, Linkname: filepath.Join(programs, "hoplab"), Mode: 0o755}
	if err := out.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
}

// shell runs a script and returns its exit code and what it wrote.
func (a *agent) shell(program string, args ...string) (code int, log string) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = a.work, a.env
	out, _ := cmd.CombinedOutput() // a script that fails has an exit code; one that cannot be run, -1
	return cmd.ProcessState.ExitCode(), string(out)
}

// left holds what a job left for whoever looks at it.
func (a *agent) left(t *testing.T, finding, log string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.work, "hoplab.sarif"))
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if _, err := sarif.FromBytes(data, sarif.WithStrictValidation()); err != nil {
		t.Error(err)
	}
	if finding != "" && !strings.Contains(string(data), finding) {
		t.Errorf("hoplab.sarif does not have %s", finding)
	}
}

// jobs are variants of the stacks with how a job on them must end.
var jobs = []struct {
	variant string
	code    int
	finding string
}{
	{"no-egress", 1, "alb-egress"},
	{"bypass", 0, ""},
}

// The job of GitLab's example: script in one shell that stops at the first
// failure, then after_script in another, whatever came before.
func TestGitLabExample(t *testing.T) {
	var file map[string]struct {
		Script      []string
		AfterScript []string `yaml:"after_script"`
		Artifacts   struct {
			When  string
			Paths []string
		}
	}
	if err := yaml.Unmarshal([]byte(example(t, "GitLab", "yaml")), &file); err != nil {
		t.Fatal(err)
	}
	job := file["hoplab"]
	for _, c := range jobs {
		a := newAgent(t, c.variant)
		if code, log := a.shell("sh", "-c", "npx cdk synth -q"); code != 0 { // the job before
			t.Fatalf("npx: exit code %d\n%s", code, log)
		}
		bash := func(lines []string) (int, string) {
			return a.shell("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", strings.Join(lines, "\n"))
		}
		code, log := bash(job.Script)
		if code != c.code || c.finding != "" && !strings.Contains(log, c.finding) {
			t.Errorf("%s: the script ended with %d; want %d\n%s", c.variant, code, c.code, log)
		}
		after, log := bash(job.AfterScript)
		if after != 0 {
			t.Errorf("%s: after_script ended with %d\n%s", c.variant, after, log)
		}
		a.left(t, c.finding, log)
		for _, path := range job.Artifacts.Paths {
			if _, err := os.Stat(filepath.Join(a.work, path)); err != nil || job.Artifacts.When != "always" {
				t.Errorf("%s: artifact %s (when: %s): %v", c.variant, path, job.Artifacts.When, err)
			}
		}
	}
}

var (
	jenkinsStep   = regexp.MustCompile(`(?m)^ *sh '([^'\n]+)'$`)
	jenkinsAlways = regexp.MustCompile(`(?m)^ *always \{$`)
)

// The pipeline of Jenkins' example: each step a shell of its own until one
// fails, then those of post.
func TestJenkinsExample(t *testing.T) {
	text := example(t, "Jenkins", "groovy")
	always := jenkinsAlways.FindStringIndex(text)
	if always == nil || strings.Count(text, "{") != strings.Count(text, "}") {
		t.Fatalf("a pipeline without post, or with a block that does not close:\n%s", text)
	}
	steps := jenkinsStep.FindAllStringSubmatch(text[:always[0]], -1)
	post := jenkinsStep.FindAllStringSubmatch(text[always[0]:], -1)
	if len(steps) != 3 || len(post) != 1 || !strings.Contains(text, "pattern: 'hoplab.sarif'") {
		t.Fatalf("%d steps and %d after them; want 3, and 1 that leaves hoplab.sarif", len(steps), len(post))
	}
	for _, c := range jobs {
		a := newAgent(t, c.variant)
		code, log := 0, ""
		for _, s := range steps {
			var said string
			if code, said = a.shell("sh", "-xe", "-c", s[1]); said != "" {
				log += said
			}
			if code != 0 {
				break
			}
		}
		if code != c.code || c.finding != "" && !strings.Contains(log, c.finding) {
			t.Errorf("%s: the stage ended with %d; want %d\n%s", c.variant, code, c.code, log)
		}
		if code, log := a.shell("sh", "-xe", "-c", post[0][1]); code != 0 {
			t.Errorf("%s: post ended with %d\n%s", c.variant, code, log)
		}
		a.left(t, c.finding, log)
	}
}
