//go:build linux

package netns_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/envoy/standin"
	"github.com/hoplab/hoplab/internal/lab/netns"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain runs the tests where namespaces can be made: here as root, else in
// a user namespace. The binary also stands in for the programs in a host.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "envoy" {
		os.Exit(standin.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "agent":
			os.Exit(agentMain())
		case "node":
			os.Exit(lab.NodeMain(os.Stdin, os.Stdout, os.Stderr))
		case "hold":
			os.Exit(hold(os.Args[2], os.Args[3], os.Args[4]))
		}
	}
	if layer.Fast() {
		os.Exit(m.Run())
	}
	code, done, err := netns.Enter()
	switch {
	case err != nil:
		impossible = err
	case done:
		os.Exit(code)
	}
	os.Exit(func() int {
		if scratch, err = os.MkdirTemp("", "hoplab-netns-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}

// scratch is a directory for what several tests share.
var scratch string

// impossible is why this machine cannot run the tests.
var impossible error

// possible skips a test where namespaces cannot be made; with CI=true it fails.
func possible(t *testing.T) {
	t.Helper()
	if impossible != nil {
		layer.Lacking(t, impossible.Error())
	}
}
