package capacity

import (
	"runtime"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
)

// TestCheck: the scarcest resource decides, and the error says what it takes.
func TestCheck(t *testing.T) {
	have := []Resource{
		{What: "plenty", PerTask: 1, Free: 1000, Raise: "no need"},
		{What: "scarce", Fixed: 10, PerTask: 4, Free: 50, Raise: "buy more"},
		{What: "not taken", PerTask: 0, Free: 0, Raise: "no need"},
	}
	for tasks, refused := range map[int]bool{0: false, 9: false, 10: false, 11: true, 400: true} {
		err := Check(Use{Tasks: tasks}, have)
		if (err != nil) != refused {
			t.Errorf("%d tasks: %v", tasks, err)
		}
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), "room for 10: each takes 4 of its scarce, of which 50 are free") || !strings.HasPrefix(fail.HintOf(err), "buy more, or ") {
			t.Errorf("%d tasks: %q, hint %q", tasks, err, fail.HintOf(err))
		}
	}
	have[1].Free = 3
	if err := Check(Use{Tasks: 1}, have); err == nil || !strings.Contains(err.Error(), "room for 0") || strings.Contains(fail.HintOf(err), "tasks-per-service") {
		t.Errorf("one task: %v, hint %q", err, fail.HintOf(err))
	}
	if err := Check(Use{Tasks: 5}, nil); err != nil {
		t.Errorf("nothing known: %v", err)
	}
}

// TestMachine: this machine has room for a few tasks and not for a million.
func TestMachine(t *testing.T) {
	for _, u := range []Use{{}, {Shared: true}, {Namespaces: true}, {Envoy: true, Namespaces: true}} {
		have := Machine(u)
		if len(have) == 0 || runtime.GOOS == "linux" && len(have) < 3 {
			t.Fatalf("%+v: only %d limits are known", u, len(have))
		}
		for _, r := range have {
			if r.PerTask <= 0 || r.Raise == "" || r.What == "" {
				t.Errorf("%+v: %+v", u, r)
			}
		}
		u.Tasks = 2
		if err := Check(u, have); err != nil {
			t.Errorf("two tasks: %v", err)
		}
		u.Tasks = 1 << 20
		if Check(u, have) == nil {
			t.Errorf("%+v fits", u)
		}
	}
}
