package cli_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/envoybin"
	"github.com/hoplab/hoplab/internal/test/layer"
)

//go:generate go test . -run 'TestManual$|TestStories' -count=1 -update

var update = flag.Bool("update", false, "rewrite the expected output in the scripts and the README")

// TestMain lets scripts call hoplab as a program: the test binary stands in
// for it, also where hoplab starts itself to own a lab, to be a node of one, or
// to keep a core awake.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (slices.Contains([]string{"lab", "node", "spin"}, os.Args[1]) || os.Getenv(asCommand) != "") {
		os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	testscript.Main(m, map[string]func(){
		"hoplab":     func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"small-disk": func() { os.Exit(smallDisk(os.Args[1:])) },
	})
}

// envoyHere says why this machine has no Envoy to measure, and can get none.
func envoyHere() error {
	_, err := envoybin.Get(context.Background(), envoybin.Wanted{})
	return err
}

// TestStories runs one script per story of a user, in testdata/script.
func TestStories(t *testing.T) {
	layer.Full(t, "runs the command in processes of its own")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Defer(func() { endAll(env.WorkDir) })
			// The programs that hoplab builds are kept between runs of the tests.
			env.Setenv("XDG_CACHE_HOME", cache)
			env.Setenv("HOPLAB_REPO", root)
			env.Setenv("REPO", root)
			env.Setenv("EUID", strconv.Itoa(os.Geteuid()))
			env.Setenv("GOLDEN", filepath.Join(root, "stacks", "testdata", "golden"))
			env.Setenv("ARTICLE", filepath.Join(root, "internal", "source", "cfn", "deployment", "testdata", "article"))
			for _, name := range []string{"GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOSUMDB", "CI"} {
				if v, ok := os.LookupEnv(name); ok {
					env.Setenv(name, v)
				}
			}
			if home, err := os.UserHomeDir(); err == nil {
				env.Setenv("HOME", home) // for the Go toolchain's own defaults
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":        exitCode,
			"size":        sizeCheck,
			"ledger":      ledgerCheck,
			"await":       await,
			"kill-k6":     killK6,
			"alone":       alone,
			"hold":        hold,
			"ends-within": endsWithin,

			"stop-lab":  signalLab(syscall.SIGSTOP),
			"go-on-lab": signalLab(syscall.SIGCONT),
		},
		Condition: func(cond string) (bool, error) {
			needs := map[string]func() error{"netns": namespaces, "small-disk": smallDisks, "envoy": envoyHere}
			if need, ok := needs[cond]; ok {
				err := need()
				if os.Getenv("CI") == "true" {
					return err == nil, err
				}
				return err == nil, nil
			}
			if cond == "ci" {
				return os.Getenv("CI") == "true", nil
			}
			return false, nil
		},
	})
}

// exitCode runs a command and checks its exit code, which `exec` alone cannot:
// code 4 hoplab run …  Several codes are separated by commas: a run on a busy
// machine may rightly say that it cannot tell.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if !slices.Contains(strings.Split(args[0], ","), got) {
		ts.Fatalf("%s: exit code %s; want %s\nstderr: %s", strings.Join(args[1:], " "), got, args[0], ts.ReadFile("stderr"))
	}
}
