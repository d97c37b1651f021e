// Package layer tells the two layers of hoplab's tests apart, and what a test
// does where it cannot run.
//
// The fast layer, go test -short ./..., starts no process and needs no Node,
// no root and no network; it takes half a minute. Everything else calls Full
// and runs in the full layer, go test ./..., which is what a change must pass.
// scripts/fast.sh runs the first layer under internal/test/nofork, where a
// test that starts a process fails.
//
// Only tests import this package.
package layer

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// Full keeps a test or benchmark out of the fast layer: it skips when -short
// is given. why names what the test needs, e.g. "starts a lab".
func Full(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("in the full layer only: " + why)
	}
}

// Lacking ends a test that this machine cannot run: it skips, and with CI=true
// it fails, because there nothing may be left out unseen. reason names what is
// missing. The fast layer must not come here: call Full before.
func Lacking(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Fast reports whether the fast layer runs. Unlike testing.Short it may be
// called from TestMain, before the flags are parsed.
func Fast() bool {
	if !flag.Parsed() {
		flag.Parse()
	}
	return testing.Short()
}

// Waiting lets n parallel tests of a package run at the same time, however few
// cores there are, because they mostly wait. A -parallel of the command line
// wins. Call it from TestMain after flag.Parse.
func Waiting(n int) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if f := flag.Lookup("test.parallel"); !given && f != nil {
		_ = f.Value.Set(strconv.Itoa(n)) // a number is what the flag takes
	}
}
