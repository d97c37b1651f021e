package stack

import (
	"maps"
	"slices"
	"time"
)

// Summary is a stack as DescribeStacks shows it.
type Summary struct {
	Name, ID, Status, Reason string
	Created, Updated         time.Time // Updated is zero before the first update
	Deleted                  time.Time
	Tags, Parameters         map[string]string
	Outputs                  []Output
	Protected                bool
}

// Output is an output of a stack.
type Output struct{ Name, Value, Description, Export string }

// Describe returns the stack of a name, or of an ARN, which may be deleted.
func (a *Stacks) Describe(nameOrID string) (Summary, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.must(nameOrID)
	if err != nil {
		return Summary{}, err
	}
	return s.summary(), nil
}

// List returns the stacks, the newest first; deleted ones only on demand.
func (a *Stacks) List(deleted bool) (out []Summary) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range slices.Backward(a.stacks) {
		if deleted || !s.gone() {
			out = append(out, s.summary())
		}
	}
	return out
}

func (s *stack) summary() Summary {
	out := Summary{Name: s.name, ID: s.id, Status: s.status, Reason: s.reason, Created: s.created, Updated: s.updated,
		Tags: maps.Clone(s.tags), Protected: s.protected}
	if s.gone() && len(s.events) > 0 {
		out.Deleted = s.events[len(s.events)-1].Time
	}
	if s.target != nil {
		out.Parameters = s.target.shown()
	}
	for _, id := range slices.Sorted(maps.Keys(s.outputs)) {
		o := s.outputs[id]
		out.Outputs = append(out.Outputs, Output{id, s.values[id], o.description, o.export})
	}
	return out
}

// shown are the parameters as they were given, or their defaults.
func (s *settled) shown() map[string]string {
	out := map[string]string{}
	for name, v := range s.template.parameters {
		def, _ := v.(map[string]any)
		if text, ok := s.given[name]; ok {
			out[name] = text
		} else if text, ok := def["Default"].(string); ok {
			out[name] = text
		}
	}
	return out
}

// Events returns what happened to a stack, the newest first.
func (a *Stacks) Events(nameOrID string) ([]Event, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.must(nameOrID)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(s.events)
	slices.Reverse(out)
	return out, nil
}

// Resources returns what there is of a stack, in the order it was made.
func (a *Stacks) Resources(nameOrID string) ([]Resource, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.must(nameOrID)
	if err != nil {
		return nil, err
	}
	return s.resources(), nil
}

func (s *stack) resources() (out []Resource) {
	for _, p := range s.physicals() {
		out = append(out, p.Resource)
	}
	return out
}

// All returns the resources of all stacks.
func (a *Stacks) All() (out []Resource) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.stacks {
		out = append(out, s.resources()...)
	}
	return out
}

// Template returns the text of a stack's template, or of a change set's.
func (a *Stacks) Template(nameOrID, changeSet string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if changeSet != "" {
		_, c, err := a.set(nameOrID, changeSet)
		if err != nil {
			return "", err
		}
		return c.to.template.text, nil
	}
	s, err := a.must(nameOrID)
	if err != nil {
		return "", err
	}
	if s.target == nil {
		return "{}", nil // a stack in review, of which only change sets are there
	}
	return s.target.template.text, nil
}

// ChangeSet is a change set as DescribeChangeSet shows it.
type ChangeSet struct {
	Name, ID, Stack, StackID, Description string
	Kind, Status, Reason, Execution       string
	Created                               time.Time
	Tags, Parameters                      map[string]string
	Changes                               []Change
}

// ChangeSet returns the change set of a name in a stack, or of an ARN.
func (a *Stacks) ChangeSet(stackName, name string) (ChangeSet, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, c, err := a.set(stackName, name)
	if err != nil {
		return ChangeSet{}, err
	}
	return s.shown(c), nil
}

// ChangeSets lists the change sets of a stack.
func (a *Stacks) ChangeSets(nameOrID string) (out []ChangeSet, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.must(nameOrID)
	if err != nil {
		return nil, err
	}
	for _, c := range s.sets {
		out = append(out, s.shown(c))
	}
	return out, nil
}

func (s *stack) shown(c *changeSet) ChangeSet {
	out := ChangeSet{Name: c.name, ID: c.id, Stack: s.name, StackID: s.id, Description: c.description, Kind: c.kind, Status: c.status,
		Reason: c.reason, Execution: c.execution, Created: c.created, Tags: c.tags, Parameters: c.to.shown()}
	for _, st := range c.steps {
		out.Changes = append(out.Changes, st.change)
	}
	return out
}

// Export is a value that a stack exports.
type Export struct{ Name, Value, StackID string }

// Exports lists the exports of all stacks by name.
func (a *Stacks) Exports() (out []Export) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.stacks {
		for id, o := range s.outputs {
			if o.export != "" && !s.gone() {
				out = append(out, Export{o.export, s.values[id], s.id})
			}
		}
	}
	slices.SortFunc(out, func(a, b Export) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// Importers lists the stacks that import an export.
func (a *Stacks) Importers(name string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.export(name); !ok {
		return nil, invalid("Export '%s' does not exist.", name)
	}
	names := a.importers(name)
	if len(names) == 0 {
		return nil, invalid("Export '%s' is not imported by any stack.", name)
	}
	return names, nil
}

// Protect sets a stack's protection from deletion.
func (a *Stacks) Protect(nameOrID string, on bool) (id string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.must(nameOrID)
	if err != nil {
		return "", err
	}
	s.protected = on
	return s.id, nil
}
