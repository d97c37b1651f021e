package stack

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// changeSet is a planned update.
type changeSet struct {
	name, id       string
	description    string
	kind           string // CREATE or UPDATE
	created        time.Time
	status, reason string
	execution      string // AVAILABLE, UNAVAILABLE, EXECUTE_IN_PROGRESS, EXECUTE_COMPLETE, EXECUTE_FAILED, OBSOLETE
	to             *settled
	steps          []*step
	tags           map[string]string
}

// Input is what a change set or an update is made of.
type Input struct {
	Stack, Name, Description string
	Kind                     string // CREATE or UPDATE
	Template                 string // the text; empty with Previous
	Previous                 bool   // the stack's own template
	Parameters               map[string]string
	UsePrevious              []string // parameters that keep their values
	Tags                     map[string]string
}

var stackName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// CreateChangeSet plans an update, or a stack that is new. A change set without
// changes is there, with the status FAILED, as in AWS.
func (a *Stacks) CreateChangeSet(in Input) (setID, stackID string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.stackFor(in)
	if err != nil {
		return "", "", err
	}
	isNew := s.target == nil && len(s.sets) == 0
	set, err := s.newSet(in)
	if err != nil {
		if isNew && s.status == "REVIEW_IN_PROGRESS" && len(s.sets) == 0 {
			a.stacks = slices.DeleteFunc(a.stacks, func(o *stack) bool { return o == s })
		}
		return "", "", err
	}
	if slices.ContainsFunc(s.sets, func(o *changeSet) bool { return o.name == in.Name }) {
		return "", "", &Error{CodeExists, "ChangeSet " + in.Name + " already exists"}
	}
	s.sets = append(s.sets, set)
	if isNew {
		s.say("REVIEW_IN_PROGRESS", userInitiated)
	}
	return set.id, s.id, nil
}

// stackFor finds the stack of a change set, or makes it.
func (a *Stacks) stackFor(in Input) (*stack, error) {
	s := a.find(in.Stack)
	if in.Kind == "CREATE" {
		switch {
		case s == nil && !stackName.MatchString(in.Stack):
			return nil, invalid("1 validation error detected: Value '%s' at 'stackName' "+
				"failed to satisfy constraint: Member must satisfy "+
				"regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", in.Stack)
		case s == nil:
			return a.newStack(in.Stack)
		case s.status != "REVIEW_IN_PROGRESS":
			return nil, &Error{CodeExists, "Stack [" + in.Stack +
				"] already exists and cannot be created again with the changeSet [" + in.Name + "]."}
		}
		return s, nil
	}
	s, err := a.must(in.Stack)
	if err != nil {
		return nil, err
	}
	return s, s.ready("UpdateStack")
}

// ready refuses a change to a stack that is busy or cannot be updated.
func (s *stack) ready(_ string) error {
	if s.busy || strings.HasSuffix(s.status, "_IN_PROGRESS") || s.status == "ROLLBACK_COMPLETE" || s.status == "ROLLBACK_FAILED" ||
		s.status == "DELETE_FAILED" || s.status == "UPDATE_ROLLBACK_FAILED" {
		return invalid("Stack:%s is in %s state and can not be updated.", s.id, s.status)
	}
	return nil
}

func (s *stack) newSet(in Input) (*changeSet, error) {
	to, err := s.read(in)
	if err != nil {
		return nil, err
	}
	set := &changeSet{name: in.Name, description: in.Description, kind: in.Kind, created: s.all.now(), to: to, tags: in.Tags,
		status: "CREATE_COMPLETE", execution: "AVAILABLE"}
	set.id = strings.Replace(strings.Replace(s.id, ":stack/", ":changeSet/", 1), "/"+s.name+"/", "/"+in.Name+"/", 1)
	set.id = set.id[:strings.LastIndexByte(set.id, '/')+1] + uuid()
	if set.steps, err = s.plan(to); err != nil {
		return nil, err
	}
	if s.same(set) {
		set.status, set.execution = "FAILED", "UNAVAILABLE"
		set.reason = "The submitted information didn't contain changes. Submit different information to create a change set."
	}
	return set, nil
}

// read settles the template of an input.
func (s *stack) read(in Input) (*settled, error) {
	var t *template
	switch {
	case !in.Previous:
		var err error
		if t, err = parseTemplate(in.Template); err != nil {
			return nil, err
		}
	case s.target != nil:
		t = s.target.template
	default:
		return nil, invalid("Stack %s has no previous template", s.name)
	}
	return s.settle(t, in.Parameters, in.UsePrevious)
}

// same reports whether a change set changes nothing at all.
func (s *stack) same(set *changeSet) bool {
	if len(set.steps) > 0 || s.target == nil || s.status == "REVIEW_IN_PROGRESS" || !maps.Equal(s.tags, set.tags) {
		return false
	}
	return reflect.DeepEqual(s.target.outputs, set.to.outputs)
}

// set finds a change set by its name in a stack, or by its ARN.
func (a *Stacks) set(stackName, name string) (*stack, *changeSet, error) {
	for _, s := range a.stacks {
		if stackName != "" && s.name != stackName && s.id != stackName {
			continue
		}
		for _, c := range s.sets {
			if c.id == name || c.name == name && stackName != "" && !s.gone() {
				return s, c, nil
			}
		}
	}
	if stackName != "" && a.find(stackName) == nil {
		return nil, nil, invalid("Stack [%s] does not exist", stackName)
	}
	return nil, nil, &Error{CodeNoChange, "ChangeSet [" + name + "] does not exist"}
}

// DeleteChangeSet removes a change set; one that there is not is no error, as in
// AWS.
func (a *Stacks) DeleteChangeSet(stackName, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, c, err := a.set(stackName, name)
	if err != nil {
		return nil // AWS answers so
	}
	if c.execution == "EXECUTE_IN_PROGRESS" {
		return &Error{CodeInProgress, "ChangeSet [" + c.id + "] cannot be deleted in its current status of [" + c.execution + "]"}
	}
	s.sets = slices.DeleteFunc(s.sets, func(o *changeSet) bool { return o == c })
	return nil
}

// ExecuteChangeSet begins the update that a change set plans.
func (a *Stacks) ExecuteChangeSet(stackName, name string, keepFailed bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, c, err := a.set(stackName, name)
	if err != nil {
		return err
	}
	if c.execution != "AVAILABLE" || s.busy {
		return &Error{CodeInProgress, "ChangeSet [" + c.id + "] cannot be executed in its current status of [" + c.status + "]"}
	}
	c.execution = "EXECUTE_IN_PROGRESS"
	for _, o := range s.sets {
		if o != c {
			o.execution = "OBSOLETE"
		}
	}
	s.begin(c.to, c.steps, c.tags, keepFailed, func(ok bool) {
		c.execution = "EXECUTE_FAILED"
		if ok {
			c.execution = "EXECUTE_COMPLETE"
		}
	})
	s.sets = []*changeSet{c}
	return nil
}

// Put makes a stack, or updates one, without a change set, as CreateStack and
// UpdateStack do.
func (a *Stacks) Put(in Input, keepFailed bool) (id string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.find(in.Stack); in.Kind == "CREATE" && s != nil {
		return "", &Error{CodeExists, "Stack [" + in.Stack + "] already exists"}
	}
	s, err := a.stackFor(in)
	if err != nil {
		return "", err
	}
	set, err := s.newSet(in)
	if err == nil && set.status == "FAILED" {
		err = invalid("No updates are to be performed.")
	}
	if err != nil {
		if in.Kind == "CREATE" {
			a.stacks = slices.DeleteFunc(a.stacks, func(o *stack) bool { return o == s })
		}
		return "", err
	}
	s.begin(set.to, set.steps, set.tags, keepFailed, func(bool) {})
	return s.id, nil
}
