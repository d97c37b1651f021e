// Package layer tells the two layers of hoplab's tests apart.
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

// Fast reports whether the fast layer runs. Unlike testing.Short it may be
// called from TestMain, before the flags are parsed.
func Fast() bool {
	if !flag.Parsed() {
		flag.Parse()
	}
	return testing.Short()
}
