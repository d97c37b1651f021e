package compare_test

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/hoplab/hoplab/internal/compare"
)

// piped offers the data on a pipe, which the path names.
func piped(t *testing.T, data []byte) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	go func() {
		_, _ = w.Write(data) // it fails when nobody wants the rest
		w.Close()
	}()
	return fmt.Sprintf("/proc/self/fd/%d", r.Fd())
}

// A pipe, such as standard input, can be looked at and read once.
func TestAPipeIsReadOnce(t *testing.T) {
	data := ndjson(mixed.requests(1))
	options := compare.Options{A: []string{file(t, "run.json", data)}, By: "arm", Values: []string{"slow", "fast"}}
	want := must(t, options)
	for name, d := range map[string][]byte{"plain": data, "gzip": zipped(data)} {
		options.A = []string{piped(t, d)}
		if have := must(t, options); !reflect.DeepEqual(have.Summary.Differences, want.Summary.Differences) {
			t.Errorf("%s: got %+v; want %+v", name, have.Summary.Differences, want.Summary.Differences)
		}
	}
	swapped := must(t, compare.Options{A: []string{piped(t, data)}, By: "arm"})
	if d := find(t, &swapped.Summary, "fast - slow", 0.5); d.EstimateUs != -want.Summary.Differences[0].EstimateUs {
		t.Errorf("without --values: %v; want the negative of %v", d.EstimateUs, want.Summary.Differences[0].EstimateUs)
	}
	path := piped(t, data)
	if _, err := compare.Run(compare.Options{A: []string{path, path}, By: "arm"}); err == nil {
		t.Error("the same pipe twice is accepted")
	}
}
