package awsrun_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
)

func fanArgs(dir, generators string) []string {
	return runArgs(dir, "--generators", generators, "--replicates", "1", "--rate", "400", "--no-aa")
}

// manyGenerators has twenty, of which three fail at first. Together they measure
// what a single one does, and nothing twice.
func manyGenerators(t *testing.T, d *deployment) {
	failing := map[int]bool{4: true, 9: true, 13: true}
	d.does(func(k *loadTask) int {
		code := k.send()
		if failing[k.Generator] && k.Generators == 20 && k.attempt == 1 {
			return 5 // it was sent and uploaded, and the program failed then
		}
		return code
	})
	many := filepath.Join(t.TempDir(), "many")
	a := hoplab(t, many, fanArgs(many, "20")...)
	a.done()
	one := filepath.Join(t.TempDir(), "one")
	b := hoplab(t, one, fanArgs(one, "1")...)
	b.done()
	x, y := a.summary(), b.summary()
	for i := range x.Arms {
		if x.Arms[i].Requests != y.Arms[i].Requests || x.Arms[i].Latency != y.Arms[i].Latency || x.Arms[i].Requests == 0 {
			t.Errorf("arm %s: twenty generators %d requests, %+v; one %d, %+v",
				x.Arms[i].Name, x.Arms[i].Requests, x.Arms[i].Latency, y.Arms[i].Requests, y.Arms[i].Latency)
		}
	}
	for i := range x.Differences {
		if x.Differences[i].EstimateUs != y.Differences[i].EstimateUs {
			t.Errorf("%s: %v with twenty generators, %v with one", x.Differences[i].Of, x.Differences[i].EstimateUs, y.Differences[i].EstimateUs)
		}
	}
	var warned []string
	for _, w := range x.Warnings {
		if w.Code == "replicate-note" {
			warned = append(warned, w.Text)
		}
	}
	all := strings.Join(warned, "\n")
	for _, want := range []string{"generator 4 was started again", "generator 9 was started again",
		"generator 13 was started again", "exit code 5"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in:\n%s", want, all)
		}
	}
	d.nothingLeft(t)
}

func TestAGeneratorThatFailsForGoodIsNamed(t *testing.T) {
	d := newDeployment(t)
	d.does(func(k *loadTask) int {
		if k.Generator == 2 {
			return 5
		}
		return k.send()
	})
	dir := filepath.Join(t.TempDir(), "lost")
	hoplab(t, dir, fanArgs(dir, "4")...).
		want(fail.Environment, "1 of 4 load generators failed for good: generator 2: exit code 5", "--resume "+dir)
	d.nothingLeft(t)
	if n := d.programs.of("lost"); n != 6 {
		t.Errorf("%d load tasks; want three that are well and three attempts of the fourth", n)
	}
	d.does((*loadTask).send)
	hoplab(t, dir, "run", "--resume", dir, "--yes").done()
	d.nothingLeft(t)
}
