package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// undo is what a rollback does about a resource.
type undo struct {
	logicalID string
	before    *physical // as it was; nil for one that was added
	now       *physical
}

// update is a change to a stack under way. The account's lock is held, but
// while it waits.
type update struct {
	s          *stack
	creating   bool
	keepFailed bool
	was        *settled
	wasTags    map[string]string
	done       []undo
	failed     []string
	ctx        context.Context // of its steps; ends with CancelUpdate
	cancel     context.CancelFunc
	cancelled  bool
}

// begin starts an update; then is called at its end, with whether it succeeded.
func (s *stack) begin(to *settled, steps []*step, tags map[string]string, keepFailed bool, then func(ok bool)) {
	u := &update{s: s, creating: s.status == "REVIEW_IN_PROGRESS", keepFailed: keepFailed, was: s.target, wasTags: s.tags}
	u.ctx, u.cancel = context.WithCancel(s.all.ctx)
	s.busy, s.target, s.tags, s.under = true, to, tags, u
	if !u.creating {
		s.updated = s.all.now()
	}
	s.say(u.word()+"_IN_PROGRESS", userInitiated)
	s.all.wg.Go(func() {
		s.all.mu.Lock()
		defer s.all.mu.Unlock()
		defer u.cancel()
		ok := u.carryOut(s.all.ctx, steps)
		s.busy = false
		then(ok)
		if s.all.changed != nil {
			s.all.changed()
		}
	})
}

// word begins the names of the stack's states.
func (u *update) word() string {
	if u.creating {
		return string(Create)
	}
	return string(Update)
}

func (u *update) carryOut(ctx context.Context, steps []*step) bool {
	s := u.s
	if err := u.exportsKept(); err != nil {
		u.rollBack(ctx, err.Error())
		return false
	}
	var forward []*step
	for _, st := range steps {
		if st.change.Action != "Remove" {
			forward = append(forward, st)
		}
	}
	if !u.run(u.ctx, forward) {
		if u.cancelled && ctx.Err() == nil {
			s.say("UPDATE_ROLLBACK_IN_PROGRESS", userInitiated)
			u.goBack(ctx, nil)
			return false
		}
		u.rollBack(ctx, fmt.Sprintf("The following resource(s) failed to %s: [%s]. ",
			strings.ToLower(u.word()), strings.Join(u.failed, ", ")))
		return false
	}
	outputs, values, err := s.complete(s.target.outputs)
	if err != nil {
		u.rollBack(ctx, err.Error())
		return false
	}
	s.outputs, s.values = outputs, values
	if u.creating {
		s.say("CREATE_COMPLETE", "")
		return true
	}
	s.say("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "")
	for id, p := range s.current {
		if s.target.bodies[id] == nil {
			delete(s.current, id)
			s.leftover = append(s.leftover, p)
		}
	}
	s.cleanUp(ctx)
	s.say("UPDATE_COMPLETE", "")
	return true
}

// exportsKept refuses to take away or to change an export that is in use.
func (u *update) exportsKept() error {
	kept := map[string]bool{}
	for _, o := range u.s.target.outputs {
		kept[o.export] = true
	}
	for _, id := range slices.Sorted(maps.Keys(u.s.outputs)) {
		name := u.s.outputs[id].export
		if users := u.s.all.importers(name); name != "" && !kept[name] && len(users) > 0 {
			return invalid("Export %s cannot be deleted as it is in use by %s", name, strings.Join(users, ", "))
		}
	}
	return nil
}

// result is the end of a step.
type result struct {
	st  *step
	err error
}

// run carries out steps, each as soon as what it uses is through, and reports
// whether all succeeded. After the first that fails none is begun.
func (u *update) run(ctx context.Context, steps []*step) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := map[string]*step{}
	for _, st := range steps {
		waiting[st.change.LogicalID] = st
	}
	results := make(chan result)
	under := 0
	for {
		for _, st := range steps {
			id := st.change.LogicalID
			if waiting[id] == nil || len(u.failed) > 0 || ctx.Err() != nil || u.blocked(st, waiting) {
				continue
			}
			under++
			act, err := u.start(st)
			go func() {
				if err == nil && act != nil {
					err = act(ctx)
				}
				results <- result{st, err}
			}()
			waiting[id] = nil
		}
		if under == 0 {
			return len(u.failed) == 0 && ctx.Err() == nil
		}
		u.s.all.mu.Unlock()
		r := <-results
		u.s.all.mu.Lock()
		under--
		u.finish(r)
		if r.err != nil {
			cancel() // what is still under way is given up
		}
	}
}

// blocked reports whether something that a step uses is not through.
func (u *update) blocked(st *step, waiting map[string]*step) bool {
	return slices.ContainsFunc(u.s.target.uses[st.change.LogicalID], func(id string) bool {
		if waiting[id] != nil {
			return true
		}
		p := u.s.current[id]
		return p != nil && strings.HasSuffix(p.Status, "_IN_PROGRESS")
	})
}

// start begins a step and returns what carries it out, nil for nothing.
func (u *update) start(st *step) (act func(context.Context) error, err error) {
	s := u.s
	id := st.change.LogicalID
	p := s.current[id]
	if p != nil && p.Key == "" {
		s.forget(p)
		p = nil
	}
	switch {
	case p == nil || st.change.Replacement == "True":
		return u.make(st, p)
	case len(st.change.Details) == 1 && st.change.Details[0].Attribute == "Metadata":
		u.done = append(u.done, undo{id, p.copyOf(), p})
		p.body, p.Metadata = st.body, st.body.metadata
		s.note(p, "UPDATE_IN_PROGRESS", "")
		return nil, nil
	}
	u.done = append(u.done, undo{id, p.copyOf(), p})
	s.note(p, "UPDATE_IN_PROGRESS", "")
	return s.change(p, st.body)
}

// change updates a resource in place.
func (s *stack) change(p *physical, to *body) (func(context.Context) error, error) {
	before := p.Resource
	bound, props, err := s.resolved(to)
	if err != nil {
		return nil, err
	}
	after := before
	after.Properties, after.Metadata = props, to.metadata
	identity, err := s.all.provider.Identify(after)
	if err != nil {
		return nil, err
	}
	identity.PhysicalID, identity.ARN = p.PhysicalID, p.ARN
	p.Identity, p.Properties, p.Metadata, p.body, p.bound = identity, props, to.metadata, to, bound
	step := Step{What: Update, Resource: p.Resource, Before: before}
	return func(ctx context.Context) error { return s.all.provider.Carry(ctx, step) }, nil
}

// resolved gives a body's properties with keys, and with values.
func (s *stack) resolved(b *body) (bound, props map[string]any, err error) {
	bound, _ = s.bind(b.properties).(map[string]any)
	v, err := s.resolver().eval(bound)
	if err != nil {
		return nil, nil, err
	}
	props, _ = v.(map[string]any)
	return bound, props, nil
}

// make makes a resource; old is what it takes the place of.
func (u *update) make(st *step, old *physical) (func(context.Context) error, error) {
	s, id := u.s, st.change.LogicalID
	p := &physical{body: st.body}
	p.Resource = Resource{Stack: s.name, StackID: s.id, LogicalID: id, Type: st.body.typ, Metadata: st.body.metadata, Created: s.all.now()}
	bound, props, err := s.resolved(st.body)
	p.bound, p.Properties, p.Key = bound, props, s.newKey(id)
	if err == nil {
		p.Identity, err = s.all.provider.Identify(p.Resource)
	}
	if err == nil {
		err = s.all.taken(p)
	}
	u.done = append(u.done, undo{id, old, p})
	what := Create
	if old != nil {
		what = Update
		old.Replaced = true
		s.leftover = append(s.leftover, old)
	}
	s.current[id] = p
	s.all.made++
	s.all.serial[p] = s.all.made
	if err != nil {
		p.Identity, p.Key = Identity{}, ""
	}
	if old != nil {
		s.note(p, string(what)+"_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one.")
	} else {
		s.note(p, string(what)+"_IN_PROGRESS", "")
	}
	if err != nil {
		return nil, err
	}
	for _, on := range s.target.uses[id] {
		if q := s.current[on]; q != nil {
			p.waits = append(p.waits, q.Key)
		}
	}
	s.note(p, string(what)+"_IN_PROGRESS", "Resource creation Initiated")
	step := Step{What: Create, Resource: p.Resource}
	return func(ctx context.Context) error { return s.all.provider.Carry(ctx, step) }, nil
}

// taken refuses a name that a resource has already.
func (a *Stacks) taken(p *physical) error {
	if p.Name == "" {
		return nil
	}
	for _, s := range a.stacks {
		for _, o := range s.physicals() {
			if o != p && o.Type == p.Type && o.Name == p.Name {
				return fmt.Errorf("%s already exists in stack %s", p.Name, s.id)
			}
		}
	}
	return nil
}

func (u *update) finish(r result) {
	s, id := u.s, r.st.change.LogicalID
	p := s.current[id]
	word := string(Update)
	if r.st.change.Action == "Add" {
		word = string(Create)
	}
	if r.err == nil {
		s.note(p, word+"_COMPLETE", "")
		return
	}
	reason := r.err.Error()
	if errors.Is(r.err, context.Canceled) {
		reason = map[string]string{"CREATE": "Resource creation cancelled", "UPDATE": "Resource update cancelled"}[word]
	}
	u.failed = append(u.failed, id)
	s.note(p, word+"_FAILED", reason)
}
