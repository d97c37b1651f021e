package cli_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// named is a server that says its name.
func named(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", name)
		w.Header().Set("X-Method", r.Method+" "+r.Header.Get("Authorization"))
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// command runs hoplab and returns its exit code and both outputs.
func command(args ...string) (code fail.Code, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = fail.Code(cli.Main(args, strings.NewReader(""), &out, &errs))
	return code, out.String(), errs.String()
}

// A dry run shows what was seen and measures nothing; flags that say nothing
// are refused; load to another machine is asked for.
func TestRunArmWithoutLoad(t *testing.T) {
	t.Setenv("HOPLAB_TEST_TOKEN", "s3cret")
	a, b := "a="+named(t, "one"), "b="+named(t, "two")
	out := filepath.Join(t.TempDir(), "r")
	for _, c := range []struct {
		args  []string
		code  fail.Code
		wants []string
	}{
		{[]string{"--arm", a, "--arm", b, "--dry-run"}, fail.OK, []string{"10 of 10: HTTP/1.1, status 200",
			"every response: server = one, no via, no x-envoy-upstream-service-time", "told apart by: server.", "Nothing was measured",
			"199 requests/s over 3 arms"}},
		{[]string{"--arm", a, "--arm", b, "--dry-run", "--method", "PUT", "--header", "Authorization: ${HOPLAB_TEST_TOKEN}",
			"--proof", "a: header x-method = PUT s3cret"},
			fail.OK, []string{"x-method = PUT s3cret"}},
		{[]string{"--arm", a, "--arm", b, "--dry-run", "--proof", "a: header server = envoy"},
			fail.Refused, []string{"server = one", "10 of 10"}},
		{[]string{"--arm", a, "--arm", "b=" + strings.TrimPrefix(a, "a=")}, fail.Refused, []string{"look alike", "--alike"}},
		{[]string{"--arm", a}, fail.Usage, []string{"a comparison needs two"}},
		{[]string{"--arm", a, "--arm", b, "--arms", "agent"}, fail.Usage, []string{"--arms says nothing to the addresses of --arm"}},
		{[]string{"--arm", a, "--arm", b, "--profile", "article"}, fail.Usage, []string{"endpoints are"}},
		{[]string{"--proof", "a: header via"}, fail.Usage, []string{"--proof says nothing without --arm"}},
		{[]string{"--arm", a, "--arm", b, "--ca", "nowhere.pem"}, fail.Usage, []string{"cannot read the certificates"}},
		{[]string{"--arm", a, "--arm", b, "--body", "@nowhere"}, fail.Usage, []string{"cannot read the body"}},
		{[]string{"--arm", a, "--arm", b, "--method", "get"}, fail.Usage, []string{"method"}},
		{[]string{"--arm", a, "--arm", b, "--header", "Authorization: ${HOPLAB_TEST_NONE}"}, fail.Usage, []string{"HOPLAB_TEST_NONE is not set"}},
		{[]string{"--arm", a, "--arm", "b=http://127.0.0.1:1"}, fail.Environment, []string{"arm b does not answer"}},
	} {
		code, stdout, stderr := command(append([]string{"run", "--out", out}, c.args...)...)
		if code != c.code {
			t.Errorf("%q: exit code %d; want %d\n%s%s", c.args, code, c.code, stdout, stderr)
		}
		for _, want := range c.wants {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%q: no %q in\n%s%s", c.args, want, stdout, stderr)
			}
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a run directory was made although nothing was measured")
	}
}

// A run at two addresses ends in a report that says what was held and what was
// not restarted, can be rendered again, and keeps no secret.
func TestRunArm(t *testing.T) {
	layer.Full(t, "needs the built k6, and measures for seconds")
	t.Setenv("HOPLAB_TEST_TOKEN", "s3cret")
	r := filepath.Join(t.TempDir(), "r")
	code, stdout, stderr := command("run", "--arm", "old="+named(t, "one"), "--arm", "new="+named(t, "two"), "--out", r, "--profile", "quick",
		"--replicates", "2", "--duration", "2s", "--as-deployed", "--header", "Authorization: Bearer ${HOPLAB_TEST_TOKEN}")
	if code != fail.OK && code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"at addresses that hoplab did not start", "of these", "said server = one", "A/A twin of new", "old − new"} {
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	again, rendered, stderr := command("report", r)
	if again != code || !strings.HasPrefix(stdout, strings.TrimSuffix(rendered, "\n")) {
		t.Errorf("rendered again: exit code %d\n%s%s\nwas\n%s", again, rendered, stderr, stdout)
	}
	err := filepath.WalkDir(r, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var data []byte
			if data, err = os.ReadFile(path); bytes.Contains(data, []byte("s3cret")) {
				t.Errorf("%s holds the secret", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What counts is what is dialled, not the name in the URL.
func TestRunArmConnect(t *testing.T) {
	a := named(t, "one")
	code, stdout, stderr := command("run", "--arm", "a="+a, "--arm", "b=http://app.example/",
		"--connect", "b="+strings.TrimPrefix(a, "http://"), "--dry-run", "--alike")
	if code != fail.OK {
		t.Errorf("exit code %d: what is dialled is this machine\n%s%s", code, stdout, stderr)
	}
}
