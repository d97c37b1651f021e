package parity

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more tests run at a time than there are processors: they wait
// for time to pass.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "4")
	os.Exit(m.Run())
}
