package cfn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
)

// FuzzParse reads arbitrary text as a template and resolves all of it. It
// must end soon, without a panic, in values or in an error that says what to
// do. Run it for longer with
//
//	go test ./internal/source/cfn -run '^$' -fuzz FuzzParse -fuzztime 5m -fuzzminimizetime 50x
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"deployment/testdata/shapes", "deployment/testdata/shapes/imported-groups"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".yaml") && !strings.HasSuffix(e.Name(), ".json") {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(props + `!Sub ["${A}", {A: !Cidr [10.0.0.0/8, 3, 9]}]`))
	f.Add([]byte(laughs(4, 4)))
	f.Add([]byte(chain(5)))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		a, err := Parse("t.yaml", data, Options{})
		if err != nil {
			if fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" || !strings.HasPrefix(err.Error(), "t.yaml:") {
				t.Errorf("error without code, hint or place: %v", err)
			}
			return
		}
		for _, s := range a.Stacks {
			for _, r := range s.Resources {
				resolve(t, r.Prop(), 0)
				resolve(t, r.Metadata(), 0)
			}
			a.Before("AWS::ECS::Service")
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("took %s for %d bytes", d, len(data))
		}
	})
}

// resolve walks a value to its leaves and asks everything of each.
func resolve(t *testing.T, v Value, depth int) {
	if depth > 2*maxDepth {
		t.Fatal("values nest without end")
	}
	v.Text()
	v.Int()
	v.Bool()
	v.Pattern()
	v.Tail()
	v.Label()
	if !equal(v, v) && v.Same() != "" {
		t.Errorf("%s is not equal to itself", v.describe())
	}
	if v.IsUnknown() && v.Why() == "" {
		t.Error("an unknown value without a reason")
	}
	if _, ok := v.Ref(); ok {
		Deref(v)
	}
	for _, item := range v.Items() {
		resolve(t, item, depth+1)
	}
	for _, k := range v.Keys() {
		resolve(t, v.Get(k), depth+1)
	}
}
