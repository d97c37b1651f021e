// Package golden holds what a test makes against the file that is kept of it: a
// golden file, or a document that is generated.
package golden

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// Update is the flag -update, with which a test writes such files anew.
var Update = flag.Bool("update", false, "write golden files and generated documents anew")

// Check fails t when the file at path does not hold got, and says where they
// begin to differ. With -update it writes the file, and fails only when it cannot.
func Check(t testing.TB, path string, got []byte) {
	t.Helper()
	if *Update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if !bytes.Equal(got, want) {
		n, have, wanted := firstDifference(got, want)
		t.Errorf("%s differs (write it anew with -update), first in line %d:\n%s\nwant\n%s\nall of it:\n%s", path, n, have, wanted, got)
	}
}

// firstDifference returns the number of the first line, from 1, in which a and b
// differ, and that line of each; one that ends before has an empty line there.
func firstDifference(a, b []byte) (n int, inA, inB []byte) {
	for n = 1; ; n++ {
		lineA, restA, moreA := bytes.Cut(a, []byte("\n"))
		lineB, restB, moreB := bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(lineA, lineB) || !moreA || !moreB {
			return n, lineA, lineB
		}
		a, b = restA, restB
	}
}
