package trial

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/quiet"
)

var (
	soak   = flag.Duration("soak", 10*time.Second, "how long the soak lasts; 30m for the real one")
	update = flag.Bool("update", false, "write the tables into docs/trials.md")
)

// TestMain lets the test binary be everything that must be a process of its
// own: a node of the lab, an app, a proxy, a spinner.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "node":
			os.Exit(lab.NodeMain(os.Stdin, os.Stdout, os.Stderr))
		case "ledger":
			os.Exit(ledgerApp())
		case "origin":
			os.Exit(originApp())
		case "nginxapp":
			os.Exit(nginxApp())
		case "h2app":
			os.Exit(h2App())
		case "reverseproxy":
			os.Exit(reverseProxy(os.Args[2]))
		case "spin":
			cpu, _ := strconv.Atoi(os.Args[2])
			if err := quiet.Spin(cpu, os.Stdin); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// need returns the path of a program, or skips the test without it; in CI it fails.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		lacking(t, program+" is not installed")
	}
	return path
}

func lacking(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
