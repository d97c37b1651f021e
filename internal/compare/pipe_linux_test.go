package compare_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
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
	options := compare.Options{A: file(t, "run.json", data), By: "arm", Values: []string{"slow", "fast"}}
	want := must(t, options)
	for name, d := range map[string][]byte{"plain": data, "gzip": zipped(data)} {
		options.A = piped(t, d)
		if have := must(t, options); !reflect.DeepEqual(have.Summary.Differences, want.Summary.Differences) {
			t.Errorf("%s: got %+v; want %+v", name, have.Summary.Differences, want.Summary.Differences)
		}
	}
	_, err := compare.Run(compare.Options{A: piped(t, data), By: "arm"})
	if err == nil || !strings.Contains(err.Error(), "is a pipe, which can be read only once") {
		t.Errorf("without --values: %v; want it refused", err)
	}
}
