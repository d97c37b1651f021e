package awsrun_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

func fanArgs(dir, generators string) []string {
	return runArgs(dir, "--generators", generators, "--replicates", "2", "--rate", "400", "--no-aa")
}

// TestManyGeneratorsCountAsOne: twenty generators, of which three fail at
// first, together measure what a single one does, and nothing twice.
func TestManyGeneratorsCountAsOne(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	f := newFakeAWS(t)
	f.does(func(k *fakeTask) int {
		l, err := samplefile.ParseLoad([]byte(k.command[0]))
		if err != nil {
			t.Error(err)
		}
		if (l.Generator == 4 || l.Generator == 9 || l.Generator == 13) && k.attempt == 1 {
			f.put(f.key(&l, "samples.hop"), f.samples(&l, true)) // it was sent and uploaded, and the program failed then
			return 5
		}
		return f.synthesize(k)
	})
	many := filepath.Join(t.TempDir(), "many")
	a := hoplab(t, many, fanArgs(many, "20")...)
	if a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
	one := filepath.Join(t.TempDir(), "one")
	b := hoplab(t, one, fanArgs(one, "1")...)
	x, y := a.summary(), b.summary()
	for i := range x.Arms {
		if x.Arms[i].Requests != y.Arms[i].Requests || x.Arms[i].Latency != y.Arms[i].Latency || x.Arms[i].Requests == 0 {
			t.Errorf("arm %s: twenty generators %d requests, %+v; one %d, %+v", x.Arms[i].Name, x.Arms[i].Requests, x.Arms[i].Latency, y.Arms[i].Requests, y.Arms[i].Latency)
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
	f.nothingLeft(t)
}

func TestAGeneratorThatFailsForGoodIsNamed(t *testing.T) {
	layer.Full(t, "goes through a run's periods")
	f := newFakeAWS(t)
	broken := true
	f.does(func(k *fakeTask) int {
		l, err := samplefile.ParseLoad([]byte(k.command[0]))
		if err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		down := broken && l.Generator == 2
		f.mu.Unlock()
		if down {
			return 5
		}
		return f.synthesize(k)
	})
	dir := filepath.Join(t.TempDir(), "lost")
	hoplab(t, dir, fanArgs(dir, "4")...).want(fail.Environment, "1 of 4 load generators failed for good: generator 2: exit code 5", "--resume "+dir)
	f.nothingLeft(t)
	f.set(func() { broken = false })
	if a := hoplab(t, dir, "run", "--resume", dir, "--yes"); a.code != fail.OK && a.code != fail.CannotTell {
		t.Fatalf("resumed: exit code %d\n%s\n%s", a.code, a.out, a.err)
	}
	f.nothingLeft(t)
}
