// Package action runs the steps of action.yml as GitHub would, on the templates
// of the two articles and against a server that answers as its API does, and the
// examples for GitLab and Jenkins as those would.
package action

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// step is one of action.yml's.
type step struct {
	Name, ID, If, Uses, Run string
	Env, With               map[string]string
}

type definition struct {
	Inputs map[string]struct {
		Default string
	}
	Runs struct{ Steps []step }
}

func read(t *testing.T, root string) definition {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var d definition
	if err := yaml.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// api is GitHub's, as far as comments go.
type api struct {
	mu       sync.Mutex
	comments []string
	writes   int
	refuse   bool
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer t0ken" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	const list = "/repos/o/r/issues/7/comments"
	var body struct{ Body string }
	if r.Method != http.MethodGet {
		if a.refuse {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"message":"Resource not accessible by integration"}`)
			return
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		a.writes++
	}
	one := func(i int) map[string]any {
		return map[string]any{"id": i + 1, "body": a.comments[i], "html_url": fmt.Sprint("https://github.example/", i+1)}
	}
	switch id, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/repos/o/r/issues/comments/")); {
	case r.Method == http.MethodGet && r.URL.Path == list:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		each, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
		out := []any{}
		for i := (page - 1) * each; i < min(page*each, len(a.comments)); i++ {
			out = append(out, one(i))
		}
		_ = json.NewEncoder(w).Encode(out)
	case r.Method == http.MethodPost && r.URL.Path == list:
		a.comments = append(a.comments, body.Body)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(one(len(a.comments) - 1))
	case r.Method == http.MethodPatch && id > 0 && id <= len(a.comments):
		a.comments[id-1] = body.Body
		_ = json.NewEncoder(w).Encode(one(id - 1))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// workflow is a job of GitHub's on this machine.
type workflow struct {
	t         *testing.T
	root, dir string
	action    definition
	api       *api
	env       []string
	work      string
	hoplab    string
}

// programs is the directory of a hoplab, which is this test's own binary.
var programs string

// TestMain lets the test binary be hoplab, where it is called by that name:
// linking another one takes longer than all the tests.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "hoplab" {
		os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(withHoplab(m))
}

func withHoplab(m *testing.M) int {
	self, err := os.Executable()
	if err == nil {
		programs, err = os.MkdirTemp("", "hoplab-action-")
	}
	if err == nil {
		defer os.RemoveAll(programs)
		err = os.Symlink(self, filepath.Join(programs, "hoplab"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func newWorkflow(t *testing.T) *workflow {
	t.Helper()
	layer.Full(t, "runs the steps of the action in a shell")
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	w := &workflow{t: t, root: r.Root, dir: t.TempDir(), action: read(t, r.Root), api: &api{}, work: t.TempDir(), hoplab: programs}
	server := httptest.NewServer(w.api)
	t.Cleanup(server.Close)
	event := filepath.Join(w.dir, "event.json")
	if err := os.WriteFile(event, []byte(`{"pull_request":{"number":7}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = append(os.Environ(), "PATH="+w.hoplab+":"+os.Getenv("PATH"), "GITHUB_API_URL="+server.URL, "GITHUB_REPOSITORY=o/r",
		"GITHUB_EVENT_PATH="+event, "RUNNER_TEMP="+w.dir, "GITHUB_PATH="+filepath.Join(w.dir, "path"), "GITHUB_BASE_REF=", "GITHUB_STEP_SUMMARY=")
	return w
}

var expression = regexp.MustCompile(`\$\{\{ *([^}]*?) *\}\}`)

// run runs the action's steps and returns the exit code of the job, its
// outputs by step, and its log. Steps with uses are GitHub's and are named.
func (w *workflow) run(inputs map[string]string) (code int, outputs map[string]string, uses []string, log string) {
	w.t.Helper()
	values := map[string]string{"github.action_path": w.root, "github.action_ref": "main", "github.event_name": "pull_request",
		"github.token": "t0ken"}
	for name, in := range w.action.Inputs {
		values["inputs."+name] = expression.ReplaceAllStringFunc(in.Default, func(e string) string {
			return values[expression.FindStringSubmatch(e)[1]]
		})
	}
	for name, v := range inputs {
		values["inputs."+name] = v
	}
	expand := func(text string) string {
		return expression.ReplaceAllStringFunc(text, func(e string) string {
			v, ok := values[expression.FindStringSubmatch(e)[1]]
			if !ok {
				w.t.Fatalf("action.yml: %s is nothing that this test knows", e)
			}
			return v
		})
	}
	for _, s := range w.action.Runs.Steps {
		if s.If != "" && !holds(w.t, s.If, values) {
			continue
		}
		if s.Uses != "" {
			uses = append(uses, s.Uses+" "+expand(s.With["sarif_file"]))
			continue
		}
		out := filepath.Join(w.dir, "output")
		if err := os.WriteFile(out, nil, 0o600); err != nil {
			w.t.Fatal(err)
		}
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", expand(s.Run))
		cmd.Dir, cmd.Env = w.work, append(w.env, "GITHUB_OUTPUT="+out)
		for name, v := range s.Env {
			cmd.Env = append(cmd.Env, name+"="+expand(v))
		}
		text, err := cmd.CombinedOutput()
		log += string(text)
		data, rerr := os.ReadFile(out)
		if rerr != nil {
			w.t.Fatal(rerr)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			if name, v, ok := strings.Cut(line, "="); ok {
				values["steps."+s.ID+".outputs."+name] = v
			}
		}
		if err != nil {
			return cmd.ProcessState.ExitCode(), values, uses, log
		}
	}
	return 0, values, uses, log
}

// holds evaluates a condition that is comparisons joined by &&.
func holds(t *testing.T, text string, values map[string]string) bool {
	t.Helper()
	for _, part := range strings.Split(text, "&&") {
		name, want, ok := strings.Cut(part, "==")
		v, known := values[strings.TrimSpace(name)]
		if !ok || !known {
			t.Fatalf("action.yml: the condition %q is nothing that this test knows", part)
		}
		if v != strings.Trim(strings.TrimSpace(want), "'") {
			return false
		}
	}
	return true
}

// The first article's template has an error, the second's has one, the first's
// corrected form none: exit codes as documented, SARIF that validates, and one
// comment that each run replaces.
func TestActionOnTheArticlesTemplates(t *testing.T) {
	w := newWorkflow(t)
	article := filepath.Join(w.root, "internal", "source", "cfn", "deployment", "testdata", "article")
	terraform := filepath.Join(w.root, "internal", "source", "terraform", "testdata", "seed-health-check")
	w.api.comments = make([]string, 130) // ours comes on the second page
	for i, c := range []struct {
		inputs map[string]string
		code   int
		says   string
	}{
		{map[string]string{"path": filepath.Join(article, "override-closed.template.json")}, 1, "ingress-port-closed"},
		{map[string]string{"path": filepath.Join(article, "override-closed.template.json"), "fail-on": "never"}, 0, "ingress-port-closed"},
		{map[string]string{"path": terraform, "args": "--var enable_alb_egress=false"}, 1, "alb-egress"},
		{map[string]string{"path": filepath.Join(article, "override-open.template.json")}, 0, "### hoplab check:"},
		{map[string]string{"path": filepath.Join(article, "override-open.template.json"), "fail-on": "warning"}, -1, "### hoplab check:"},
	} {
		code, values, uses, log := w.run(c.inputs)
		if c.code >= 0 && code != c.code {
			t.Errorf("%v: exit code %d; want %d\n%s", c.inputs, code, c.code, log)
		}
		if len(w.api.comments) != 131 || w.api.writes != i+1 {
			t.Fatalf("%v: %d comments, %d writes; want one comment, replaced each time\n%s", c.inputs, len(w.api.comments)-130, w.api.writes, log)
		}
		if body := w.api.comments[130]; !strings.Contains(body, c.says) {
			t.Errorf("%v: the comment does not say %q:\n%s", c.inputs, c.says, body)
		}
		file := values["steps.check.outputs.sarif-file"]
		if len(uses) != 1 || !strings.HasPrefix(uses[0], "github/codeql-action/upload-sarif@") || !strings.HasSuffix(uses[0], file) {
			t.Errorf("%v: GitHub's own steps: %q; want the upload of %s", c.inputs, uses, file)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sarif.FromBytes(data, sarif.WithStrictValidation()); err != nil {
			t.Errorf("%v: %v", c.inputs, err)
		}
	}
}

// What cannot be checked fails the job, whatever fail-on says, without a
// comment; a comment that is refused does not.
func TestActionThatCannotCheckOrComment(t *testing.T) {
	w := newWorkflow(t)
	code, _, uses, log := w.run(map[string]string{"path": "nowhere.json", "fail-on": "never"})
	if code != 2 || len(uses) > 0 || w.api.writes > 0 {
		t.Errorf("exit code %d, %q, %d comments; want 2 and nothing written\n%s", code, uses, w.api.writes, log)
	}
	if err := os.WriteFile(filepath.Join(w.work, "empty.json"), []byte(`{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, _, log := w.run(map[string]string{"path": "empty.json"}); code != 3 {
		t.Errorf("exit code %d; want 3 for nothing to check\n%s", code, log)
	}
	w.api.refuse = true
	open := filepath.Join(w.root, "internal", "source", "cfn", "deployment", "testdata", "article", "override-open.template.json")
	if code, _, _, log := w.run(map[string]string{"path": open}); code != 0 || !strings.Contains(log, "::warning::") {
		t.Errorf("exit code %d; want 0 with a warning where no comment may be written\n%s", code, log)
	}
	code, _, uses, log = w.run(map[string]string{"path": open, "comment": "false", "sarif": "false"})
	if code != 0 || len(uses) > 0 || strings.Contains(log, "::warning::") {
		t.Errorf("exit code %d, %q; want neither upload nor comment\n%s", code, uses, log)
	}
}

// On a pull request the template of the base branch is what the change is from.
func TestActionChecksTheChangeFromTheBase(t *testing.T) {
	w := newWorkflow(t)
	article := filepath.Join(w.root, "internal", "source", "cfn", "deployment", "testdata", "article")
	put := func(name string) {
		data, err := os.ReadFile(filepath.Join(article, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.work, "app.template.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		t.Helper()
		who := []string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"}
		cmd := exec.Command("git", append(who, args...)...)
		cmd.Dir = w.work
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	put("default.template.json")
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "base")
	git("remote", "add", "origin", w.work)
	git("checkout", "-qb", "change")
	put("override-open.template.json")
	w.env = append(w.env, "GITHUB_BASE_REF=main")
	code, _, _, log := w.run(map[string]string{"path": "app.template.json"})
	if code > 1 || !strings.Contains(log, "checking the change from") {
		t.Errorf("exit code %d; want the base's template found\n%s", code, log)
	}
	w.env = append(w.env, "GITHUB_BASE_REF=none")
	code, _, _, log = w.run(map[string]string{"path": "app.template.json"})
	if code > 1 || strings.Contains(log, "checking the change from") {
		t.Errorf("exit code %d; want no base where the branch is not to be had\n%s", code, log)
	}
}

// The hooks for pre-commit call the command as it is.
func TestPreCommitHooks(t *testing.T) {
	w := newWorkflow(t)
	data, err := os.ReadFile(filepath.Join(w.root, ".pre-commit-hooks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct{ ID, Entry, Language, Files string }
	if err := yaml.Unmarshal(data, &hooks); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.root, "internal", "source", "cfn", "deployment", "testdata", "article", "override-closed.template.json")
	for _, h := range hooks {
		if !regexp.MustCompile(h.Files).MatchString(file) || regexp.MustCompile(h.Files).MatchString("package.json") {
			t.Errorf("%s: files %q", h.ID, h.Files)
		}
		entry := strings.Fields(h.Entry)
		cmd := exec.Command(filepath.Join(w.hoplab, entry[0]), append(entry[1:], file)...)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "ingress-port-closed") {
			t.Errorf("%s: exit code %d\n%s", h.ID, cmd.ProcessState.ExitCode(), out)
		}
	}
	if len(hooks) != 2 {
		t.Errorf("%d hooks", len(hooks))
	}
}
