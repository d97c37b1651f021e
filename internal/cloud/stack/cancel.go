package stack

import (
	"slices"
	"strings"
)

// userInitiated is the reason of what a call begins.
const userInitiated = "User Initiated"

// CancelUpdate ends the update of a stack that is under way: what it has begun is
// given up, and the stack goes back to what it was. The creation of a stack and
// what comes after the last step of an update cannot be cancelled, as in AWS.
func (a *Stacks) CancelUpdate(nameOrID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.must(nameOrID)
	if err != nil {
		return err
	}
	if s.status != "UPDATE_IN_PROGRESS" {
		return invalid("CancelUpdateStack cannot be called from current stack status")
	}
	s.under.cancelled = true
	s.under.cancel()
	return nil
}

// ContinueRollback goes on with a rollback that failed. Resources to skip, by their
// logical ids, must be among those that could not be rolled back; they stay as they
// are, and the stack takes them for rolled back.
func (a *Stacks) ContinueRollback(nameOrID string, skip []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.must(nameOrID)
	if err != nil {
		return err
	}
	if s.busy || s.status != "UPDATE_ROLLBACK_FAILED" {
		return invalid("Stack:%s is in %s state and can not continue rollback.", s.id, s.status) // not seen in AWS
	}
	u := s.under
	var unknown []string
	for _, id := range skip {
		if !slices.ContainsFunc(u.done, func(d undo) bool { return d.logicalID == id }) {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		return invalid("The following resources to skip did not fail to roll back: [%s]", strings.Join(unknown, ", ")) // not seen in AWS
	}
	s.busy = true
	s.say("UPDATE_ROLLBACK_IN_PROGRESS", userInitiated)
	a.wg.Go(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		u.goBack(a.ctx, skip)
		s.busy = false
	})
	return nil
}
