package stack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stacks are the stacks of an account in one region. Its methods are safe for
// concurrent use.
type Stacks struct {
	account, region string
	provider        Provider
	ctx             context.Context // ends with Close
	cancel          context.CancelFunc
	wg              sync.WaitGroup

	mu      sync.Mutex
	stacks  []*stack // the deleted ones too, so that their events can be read
	last    time.Time
	changed func() // told after each event, without mu
	made    int    // resources ever, for their keys
	serial  map[*physical]int
}

// stack is one stack.
type stack struct {
	all            *Stacks
	name, id       string
	status, reason string
	created        time.Time
	updated        time.Time
	tags           map[string]string
	protected      bool
	target         *settled // what it was last made of, or is being made of
	current        map[string]*physical
	leftover       []*physical // replaced, or of a rolled back update; deleted in the clean-up
	keys           map[string]int
	outputs        map[string]output // as last completed
	values         map[string]string
	events         []Event // the oldest first
	sets           []*changeSet
	busy           bool
	under          *update // what is under way, or what could not be rolled back
}

// maxStacks bounds an account, and maxEvents what is kept of a stack.
const (
	maxStacks = 100
	maxEvents = 5000
)

// New makes an account without stacks. changed, if not nil, is told after each
// event; it must not wait for anything of the stacks.
func New(account, region string, p Provider, changed func()) *Stacks {
	s := &Stacks{account: account, region: region, provider: p, changed: changed, serial: map[*physical]int{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends what is under way and waits for it.
func (a *Stacks) Close() {
	a.cancel()
	a.wg.Wait()
}

// now returns the time in milliseconds, later than any it has returned: the CDK
// CLI sorts events by their times.
func (a *Stacks) now() time.Time {
	t := time.Now().UTC().Truncate(time.Millisecond)
	if !t.After(a.last) {
		t = a.last.Add(time.Millisecond)
	}
	a.last = t
	return t
}

// find returns the stack of a name that is not deleted, or the one of an ARN.
func (a *Stacks) find(nameOrID string) *stack {
	for _, s := range slices.Backward(a.stacks) {
		if s.id == nameOrID || s.name == nameOrID && !s.gone() {
			return s
		}
	}
	return nil
}

func (s *stack) gone() bool { return s.status == "DELETE_COMPLETE" }

// must is find, or CloudFormation's error.
func (a *Stacks) must(nameOrID string) (*stack, error) {
	if s := a.find(nameOrID); s != nil {
		return s, nil
	}
	return nil, invalid("Stack with id %s does not exist", nameOrID)
}

func (a *Stacks) newStack(name string) (*stack, error) {
	if len(a.stacks) >= maxStacks {
		i := slices.IndexFunc(a.stacks, (*stack).gone)
		if i < 0 {
			return nil, &Error{Code: "LimitExceededException", Message: fmt.Sprintf("hoplab cloud has at most %d stacks", maxStacks)}
		}
		a.stacks = slices.Delete(a.stacks, i, i+1) // the oldest that was deleted
	}
	s := &stack{all: a, name: name, status: "REVIEW_IN_PROGRESS", created: a.now(), current: map[string]*physical{}, keys: map[string]int{}}
	s.id = fmt.Sprintf("arn:aws:cloudformation:%s:%s:stack/%s/%s", a.region, a.account, name, uuid())
	a.stacks = append(a.stacks, s)
	return s, nil
}

// uuid is random, and recognisably not AWS's: it begins with eight zeros.
func uuid() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{"00000000", h[:4], h[4:8], h[8:12], h[12:]}, "-")
}

// Event is a line of a stack's events.
type Event struct {
	ID                                    string
	Time                                  time.Time
	LogicalID, PhysicalID, Type           string
	Status, Reason, Stack, StackID, Token string
}

// stackType is the type of a stack in its own events.
const stackType = "AWS::CloudFormation::Stack"

// say changes the stack's status.
func (s *stack) say(status, reason string) {
	s.status, s.reason = status, reason
	s.add(Event{LogicalID: s.name, PhysicalID: s.id, Type: stackType, Status: status, Reason: reason})
}

// note changes a resource's status.
func (s *stack) note(p *physical, status, reason string) {
	p.Status, p.Reason, p.Updated = status, reason, s.all.now()
	s.add(Event{LogicalID: p.LogicalID, PhysicalID: p.PhysicalID, Type: p.Type, Status: status, Reason: reason})
}

func (s *stack) add(e Event) {
	e.ID, e.Time, e.Stack, e.StackID = uuid(), s.all.now(), s.name, s.id
	if len(s.events) >= maxEvents {
		s.events = slices.Delete(s.events, 0, 1)
	}
	s.events = append(s.events, e)
	if s.all.changed != nil {
		s.all.changed()
	}
}

// physicals lists what there is of the stack, in the order it was made.
func (s *stack) physicals() []*physical {
	list := slices.Clone(s.leftover)
	for _, id := range slices.Sorted(maps.Keys(s.current)) {
		list = append(list, s.current[id])
	}
	slices.SortStableFunc(list, func(a, b *physical) int { return s.all.serial[a] - s.all.serial[b] })
	return list
}
