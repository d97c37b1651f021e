package trial

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/quiet"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

var (
	soak   = flag.Duration("soak", 10*time.Second, "how long the soak lasts; 30m for the real one")
	update = flag.Bool("update", false, "write the tables into docs/trials.md")
)

// document is docs/trials.md, as the flags have it.
func document() labtest.Trials { return labtest.Trials{Update: *update} }

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
		case "scale":
			os.Exit(scaleLab(os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
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
