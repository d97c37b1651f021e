package stack

import (
	"maps"
	"time"
)

// Resource is a resource as it is deployed.
type Resource struct {
	Stack, StackID  string // name and ARN
	LogicalID, Type string
	// Key names it in the view of its stack: its logical id, with a number for one
	// that was made by replacement.
	Key string
	Identity
	Properties       map[string]any // resolved; scalars are texts
	Metadata         any
	Status, Reason   string
	Created, Updated time.Time
	Replaced         bool // an update made another one in its place
}

// physical is a resource with what the engine needs of it.
type physical struct {
	Resource
	body  *body          // settled; references by logical id
	bound map[string]any // properties with references by key
	waits []string       // what it was made after, by key
}

// copyOf keeps a physical as it is now, for a rollback.
func (p *physical) copyOf() *physical {
	c := *p
	c.Attributes = maps.Clone(p.Attributes)
	return &c
}
