package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/cfntest"
)

// BenchmarkCheck runs hoplab check on 500 resources as a user does, a process
// each time, beside cfn-lint on the same file where that is installed. One
// iteration is a round of both in random order. The two look for different
// things: cfn-lint validates each resource against its schema, hoplab follows
// requests through the resources.
//
//	go test ./internal/cli -run '^$' -bench Check -benchtime 5x
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	file := filepath.Join(dir, "big.template.json")
	if err := os.WriteFile(file, cfntest.Template(500), 0o644); err != nil {
		b.Fatal(err)
	}
	binary := filepath.Join(dir, "hoplab")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/hoplab").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	tools := []*tool{{name: "hoplab check", argv: []string{binary, "check", file}}}
	if path, err := exec.LookPath("cfn-lint"); err == nil {
		tools = append(tools, &tool{name: "cfn-lint", argv: []string{path, file}})
	} else {
		b.Log("cfn-lint is not installed: no ratio (pip install cfn-lint)")
	}
	for b.Loop() {
		for _, i := range rand.Perm(len(tools)) {
			tools[i].run(b)
		}
	}
	b.ReportMetric(0, "ns/op")
	var t strings.Builder
	fmt.Fprintf(&t, "\n| 500 resources | median, ms | of hoplab's | largest memory, MB |\n| --- | --- | --- | --- |\n")
	for _, x := range tools {
		fmt.Fprintf(&t, "| %s | %.0f | %.0f | %.0f |\n", x.name, x.ms(), x.ms()/tools[0].ms(), x.mb)
	}
	fmt.Print(t.String())
}

// tool is a checker and what its processes took.
type tool struct {
	name string
	argv []string
	took []time.Duration
	mb   float64 // the largest resident set
}

// run accepts any exit code that says "findings" and no other failure.
func (x *tool) run(b *testing.B) {
	cmd := exec.Command(x.argv[0], x.argv[1:]...)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	x.took = append(x.took, time.Since(start))
	if err != nil && (cmd.ProcessState == nil || len(out) == 0) {
		b.Fatalf("%s: %v", x.name, err)
	}
	x.mb = max(x.mb, peakMB(cmd.ProcessState))
}

func (x *tool) ms() float64 {
	slices.Sort(x.took)
	return float64(x.took[len(x.took)/2]) / 1e6
}
