package stack

import (
	"context"
	"slices"
	"strings"
)

// rollBack returns to what there was before the update.
func (u *update) rollBack(ctx context.Context, why string) {
	s := u.s
	if ctx.Err() != nil {
		return // the account is being closed
	}
	if u.keepFailed {
		s.say(u.word()+"_FAILED", why)
		return
	}
	if u.creating {
		s.say("ROLLBACK_IN_PROGRESS", why+"Rollback requested by user.")
		if left := s.deleteAll(ctx, false); len(left) > 0 {
			s.say("ROLLBACK_FAILED", "The following resource(s) failed to delete: ["+strings.Join(left, ", ")+"]. ")
			return
		}
		s.say("ROLLBACK_COMPLETE", "")
		return
	}
	s.say("UPDATE_ROLLBACK_IN_PROGRESS", why)
	u.goBack(ctx, nil)
}

// goBack undoes what an update has done to a stack that was there before, but for
// resources that are given up. What could not be undone is left for ContinueRollback.
func (u *update) goBack(ctx context.Context, skip []string) {
	s := u.s
	s.target, s.tags = u.was, u.wasTags
	failed := ""
	u.done = slices.DeleteFunc(u.done, func(d undo) bool {
		if slices.Contains(skip, d.logicalID) {
			s.note(d.now, "UPDATE_COMPLETE", "")
			return true
		}
		err := u.revert(ctx, d)
		if err != nil {
			failed = err.Error()
		}
		return err == nil
	})
	if failed != "" {
		s.say("UPDATE_ROLLBACK_FAILED", failed)
		return
	}
	s.say("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "")
	s.cleanUp(ctx)
	s.say("UPDATE_ROLLBACK_COMPLETE", "")
}

// revert undoes what was done about one resource. What was made goes in the
// clean-up.
func (u *update) revert(ctx context.Context, d undo) error {
	s := u.s
	switch {
	case d.before == nil: // added
		delete(s.current, d.logicalID)
		s.leftover = append(s.leftover, d.now)
		return nil
	case d.now.Key != d.before.Key: // replaced
		s.current[d.logicalID] = d.before
		d.before.Replaced = false
		s.leftover = slices.DeleteFunc(s.leftover, func(p *physical) bool { return p == d.before })
		s.leftover = append(s.leftover, d.now)
		s.note(d.before, "UPDATE_IN_PROGRESS", "")
		s.note(d.before, "UPDATE_COMPLETE", "")
		return nil
	}
	p := d.now
	s.note(p, "UPDATE_IN_PROGRESS", "")
	act, err := s.change(p, d.before.body)
	if err == nil {
		s.all.mu.Unlock()
		err = act(ctx)
		s.all.mu.Lock()
	}
	if err != nil {
		s.note(p, "UPDATE_FAILED", err.Error())
		return err
	}
	s.note(p, "UPDATE_COMPLETE", "")
	return nil
}

// cleanUp deletes what is left over, the last that was made first.
func (s *stack) cleanUp(ctx context.Context) {
	list := slices.Clone(s.leftover)
	slices.SortStableFunc(list, func(a, b *physical) int { return s.all.serial[b] - s.all.serial[a] })
	for _, p := range list {
		policy := p.body.onDelete
		if p.Replaced {
			policy = p.body.onUpdate
		}
		s.remove(ctx, p, policy)
	}
}

// deleteAll deletes everything of a stack, users before what they use, and
// returns what could not be deleted.
func (s *stack) deleteAll(ctx context.Context, keep bool) (failed []string) {
	list := s.physicals()
	slices.Reverse(list)
	for _, p := range list {
		policy := ""
		if keep {
			policy = p.body.onDelete
		}
		if err := s.remove(ctx, p, policy); err != nil {
			failed = append(failed, p.LogicalID)
		}
	}
	return failed
}

// remove deletes a resource, or leaves it behind where its policy is to retain it.
func (s *stack) remove(ctx context.Context, p *physical, policy string) error {
	if p.Key == "" { // it was never made
		s.forget(p)
		return nil
	}
	if policy == "Retain" || policy == "RetainExceptOnCreate" {
		s.note(p, "DELETE_SKIPPED", "")
		s.forget(p)
		return nil
	}
	s.note(p, "DELETE_IN_PROGRESS", "")
	serial := s.all.serial[p]
	s.forget(p)
	s.all.mu.Unlock()
	err := s.all.provider.Carry(ctx, Step{What: Delete, Resource: p.Resource})
	s.all.mu.Lock()
	if err != nil {
		s.leftover = append(s.leftover, p)
		s.all.serial[p] = serial
		s.note(p, "DELETE_FAILED", err.Error())
		return err
	}
	s.note(p, "DELETE_COMPLETE", "")
	return nil
}

// forget takes a resource off the stack.
func (s *stack) forget(p *physical) {
	s.leftover = slices.DeleteFunc(s.leftover, func(o *physical) bool { return o == p })
	if s.current[p.LogicalID] == p {
		delete(s.current, p.LogicalID)
	}
	delete(s.all.serial, p)
}

// DeleteStack begins the deletion of a stack. One that there is not is no error,
// as in AWS.
func (a *Stacks) DeleteStack(nameOrID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.find(nameOrID)
	switch {
	case s == nil || s.gone():
		return nil
	case s.busy:
		return invalid("Stack [%s] cannot be deleted while in status %s", s.name, s.status)
	case s.protected:
		return invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", s.name)
	}
	for _, o := range s.outputs {
		if users := a.importers(o.export); o.export != "" && len(users) > 0 {
			// Nothing is deleted and the status stays, with a reason.
			s.say(s.status, "Delete canceled. Cannot delete export "+o.export+" as it is in use by "+joinNames(users)+".")
			return nil
		}
	}
	s.busy = true
	s.say("DELETE_IN_PROGRESS", userInitiated)
	a.wg.Go(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		failed := s.deleteAll(a.ctx, true)
		s.busy = false
		if a.ctx.Err() != nil {
			return
		}
		if len(failed) > 0 {
			s.say("DELETE_FAILED", "The following resource(s) failed to delete: ["+strings.Join(failed, ", ")+"]. ")
			return
		}
		s.outputs, s.values, s.sets = nil, nil, nil
		s.say("DELETE_COMPLETE", "")
	})
	return nil
}

// joinNames writes names as CloudFormation does: a, b and c.
func joinNames(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
