package stack

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is a line of a change set.
type Change struct {
	Action                      string // Add, Modify or Remove
	LogicalID, PhysicalID, Type string
	// Replacement of a Modify is True, False or Conditional.
	Replacement string
	Scope       []string // Properties, Metadata
	Details     []Detail
	// Before and After are the properties, settled.
	Before, After map[string]any
}

// Detail is a property that changes.
type Detail struct {
	Attribute, Name, Recreation string // Properties, the property, Never, Conditionally or Always
	Dynamic                     bool   // it depends on another change
	Causing                     string // the resource that it refers to
}

// step is what is done for a resource.
type step struct {
	change Change
	body   *body
}

// plan compares what there is with what there is to be. Steps are in the order
// of creation, removals last, in the order that they are removed in.
func (s *stack) plan(to *settled) ([]*step, error) {
	if err := modelled(to); err != nil {
		return nil, err
	}
	var steps []*step
	replaced := map[string]bool{}
	for _, id := range to.order {
		st := &step{body: to.bodies[id], change: Change{LogicalID: id, Type: to.bodies[id].typ, After: to.bodies[id].properties}}
		p := s.current[id]
		switch {
		case p == nil || p.Key == "": // one that failed before it was made is made now
			st.change.Action = "Add"
		case p.Type != st.body.typ:
			return nil, invalid("Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", id)
		default:
			st.change.Action, st.change.PhysicalID, st.change.Before = "Modify", p.PhysicalID, p.body.properties
			if err := st.compare(p.body, replaced); err != nil {
				return nil, err
			}
			if len(st.change.Scope) == 0 && !strings.HasSuffix(p.Status, "_FAILED") {
				continue
			}
			if len(st.change.Scope) == 0 { // it is tried again
				st.change.Scope, st.change.Replacement = []string{"Properties"}, "False"
			}
			replaced[id] = st.change.Replacement == "True"
		}
		steps = append(steps, st)
	}
	return append(steps, s.removals(to)...), nil
}

// removals lists what the template has no more, users before what they use.
func (s *stack) removals(to *settled) (steps []*step) {
	list := s.physicals()
	slices.Reverse(list)
	for _, p := range list {
		if to.bodies[p.LogicalID] == nil && s.current[p.LogicalID] == p {
			steps = append(steps, &step{body: p.body, change: Change{Action: "Remove", LogicalID: p.LogicalID, PhysicalID: p.PhysicalID,
				Type: p.Type, Before: p.body.properties}})
		}
	}
	return steps
}

// compare finds the properties that change, or that refer to what is replaced.
func (st *step) compare(was *body, replaced map[string]bool) error {
	c := &st.change
	names := map[string]bool{}
	for n := range was.properties {
		names[n] = true
	}
	for n := range st.body.properties {
		names[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		d := Detail{Attribute: "Properties", Name: n}
		if reflect.DeepEqual(was.properties[n], st.body.properties[n]) {
			walkRefs(st.body.properties[n], func(id string) {
				if replaced[id] {
					d.Dynamic, d.Causing = true, id
				}
			})
			if d.Causing == "" {
				continue
			}
		}
		r, err := Changed(c.Type, n)
		if err != nil {
			return err
		}
		switch r {
		case Replaces:
			d.Recreation = "Always"
			c.Replacement = "True"
		case Maybe:
			d.Recreation = "Conditionally"
			if c.Replacement == "" {
				c.Replacement = "Conditional"
			}
		default:
			d.Recreation = "Never"
		}
		c.Details = append(c.Details, d)
	}
	if len(c.Details) > 0 {
		c.Scope = append(c.Scope, "Properties")
		if c.Replacement == "" {
			c.Replacement = "False"
		}
	}
	if !reflect.DeepEqual(was.metadata, st.body.metadata) {
		c.Scope = append(c.Scope, "Metadata")
		c.Details = append(c.Details, Detail{Attribute: "Metadata", Recreation: "Never"})
		if c.Replacement == "" {
			c.Replacement = "False"
		}
	}
	return nil
}

// modelled refuses types that nobody knows, before anything is made.
func modelled(to *settled) error {
	var unknown []string
	for _, b := range to.bodies {
		if _, err := Changed(b.typ, ""); err != nil && !slices.Contains(unknown, b.typ) {
			unknown = append(unknown, b.typ)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	if slices.Contains(unknown, stackType) {
		return &Error{CodeUnsupported, "hoplab cloud has no nested stacks (" + stackType + "); deploy each as a stack of its own"}
	}
	return invalid("hoplab cloud does not model %s", strings.Join(unknown, ", "))
}
