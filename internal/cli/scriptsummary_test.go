package cli_test

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hoplab/hoplab/internal/summary"
)

func readSummary(ts *testscript.TestScript, dir string) summary.Summary {
	var s summary.Summary
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(dir, "summary.json"))), &s))
	return s
}

// sizeCheck checks that one arm's responses are longer than the other's by so
// many bytes: size 49 RUNDIR agent bypass. One byte more may be: on a busy
// machine x-envoy-upstream-service-time is 10 ms or more and has two digits.
func sizeCheck(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: size BYTES RUNDIR ARM ARM")
	}
	bytes := map[string]int{}
	for _, a := range readSummary(ts, args[1]).Arms {
		bytes[a.Name] = a.Evidence.ResponseBytes
	}
	for _, arm := range args[2:] {
		if bytes[arm] == 0 {
			ts.Fatalf("no responses of arm %s: %v", arm, bytes)
		}
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := bytes[args[2]] - bytes[args[3]]; got != want && got != want+1 {
		ts.Fatalf("%s responses are %d bytes longer than %s responses; want %d (%v)", args[2], got, args[3], want, bytes)
	}
}

// ledgerCheck checks that a run's ledger has just these parts in order, each by
// the arms it is computed from, and that they leave nothing over but what
// rounding does: ledger RUNDIR BY...
func ledgerCheck(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ledger RUNDIR BY...")
	}
	l := readSummary(ts, args[0]).Ledger
	if l == nil || len(l.Entries) != len(args)-1 {
		ts.Fatalf("the ledger is %+v; want %d entries", l, len(args)-1)
	}
	sum := l.RemainderUs
	for i, e := range l.Entries {
		if e.By != args[1+i] {
			ts.Fatalf("entry %d of the ledger is %q by %q; want it by %q", i+1, e.Part, e.By, args[1+i])
		}
		sum += e.Us
	}
	rounded := 0.05 * float64(len(args)) // each number stands to a tenth of a microsecond
	if math.Abs(sum-l.TotalUs) > 1e-6 || math.Abs(l.RemainderUs) > rounded+1e-6 {
		ts.Fatalf("the ledger does not add up: %+v", l)
	}
}
