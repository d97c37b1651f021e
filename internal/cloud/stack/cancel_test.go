package stack_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/cloud/stack"
)

// await waits until a stack's events have a line.
func await(t *testing.T, a *stack.Stacks, name, logicalID, status string) stack.Event {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		events, err := a.Events(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(events, func(e stack.Event) bool { return e.LogicalID == logicalID && e.Status == status }); i >= 0 {
			return events[i]
		}
	}
	t.Fatalf("%s of stack %s does not become %s", logicalID, name, status)
	return stack.Event{}
}

// ids are a stack's resources and what they are made of.
func ids(t *testing.T, a *stack.Stacks, name string) (out []string) {
	t.Helper()
	list, err := a.Resources(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		out = append(out, fmt.Sprint(r.PhysicalID, r.Properties))
	}
	return out
}

// TestCancelUpdate cancels an update that would never end; the stack is what it was.
func TestCancelUpdate(t *testing.T) {
	a, s := start(t)
	put(t, a, "app", app("one", "80", ""))
	before := ids(t, a, "app")
	if err := a.CancelUpdate("app"); code(err) != stack.CodeValidation || !strings.Contains(err.Error(), "CancelUpdateStack cannot be called from current stack status") {
		t.Errorf("nothing is under way: %v", err)
	}
	s.mu.Lock()
	s.hold["Svc"] = make(chan struct{})
	s.mu.Unlock()
	if _, err := a.Put(stack.Input{Stack: "app", Kind: "UPDATE", Template: app("two", "80", "")}, false); err != nil {
		t.Fatal(err)
	}
	await(t, a, "app", "Svc", "UPDATE_IN_PROGRESS")
	s.mu.Lock()
	delete(s.hold, "Svc") // what it goes back to comes to an end
	s.mu.Unlock()
	if err := a.CancelUpdate("app"); err != nil {
		t.Fatal(err)
	}
	if got := settled(t, a, "app"); got != "UPDATE_ROLLBACK_COMPLETE" {
		t.Fatal(got)
	}
	if e := await(t, a, "app", "Svc", "UPDATE_FAILED"); e.Reason != "Resource update cancelled" {
		t.Errorf("the service: %q", e.Reason)
	}
	if e := await(t, a, "app", "app", "UPDATE_ROLLBACK_IN_PROGRESS"); e.Reason != "User Initiated" {
		t.Errorf("the stack: %q", e.Reason)
	}
	if after := ids(t, a, "app"); !slices.Equal(before, after) {
		t.Errorf("there is %q; before the update there was %q", after, before)
	}
	if got := put(t, a, "app", app("two", "80", "")); got != "UPDATE_COMPLETE" {
		t.Errorf("the next update: %s", got)
	}
}

// TestContinueRollback: a rollback that failed goes on when its cause is gone, or
// without the resource that has it.
func TestContinueRollback(t *testing.T) {
	for _, c := range []struct {
		name string
		skip []string
		mend bool
	}{{"its cause is gone", nil, true}, {"without the resource", []string{"Svc"}, false}} {
		t.Run(c.name, func(t *testing.T) {
			a, s := start(t)
			put(t, a, "app", app("one", "80", ""))
			before := ids(t, a, "app")
			s.refuse = func(r stack.Resource) error {
				if r.LogicalID == "Svc" {
					return errors.New("no such port")
				}
				return nil
			}
			if got := put(t, a, "app", app("two", "8080", "")); got != "UPDATE_ROLLBACK_FAILED" {
				t.Fatal(got)
			}
			if err := a.ContinueRollback("app", []string{"Group"}); err == nil || !strings.Contains(err.Error(), "[Group]") {
				t.Errorf("a resource that was rolled back is skipped: %v", err)
			}
			if err := a.ContinueRollback("app", nil); err != nil {
				t.Fatal(err)
			}
			if got := settled(t, a, "app"); got != "UPDATE_ROLLBACK_FAILED" {
				t.Fatalf("with its cause: %s", got)
			}
			if c.mend {
				s.mu.Lock()
				s.refuse = nil
				s.mu.Unlock()
			}
			if err := a.ContinueRollback("app", c.skip); err != nil {
				t.Fatal(err)
			}
			if got := settled(t, a, "app"); got != "UPDATE_ROLLBACK_COMPLETE" {
				t.Fatal(got)
			}
			if after := ids(t, a, "app"); c.mend && !slices.Equal(before, after) {
				t.Errorf("there is %q; before the update there was %q", after, before)
			}
			if err := a.ContinueRollback("app", nil); code(err) != stack.CodeValidation {
				t.Errorf("of a stack that is rolled back: %v", err)
			}
		})
	}
}
