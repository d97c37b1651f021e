// Package account is what handlers of AWS's operations read of the local
// account: the resources that CloudFormation made, with their ids and resolved
// properties, and the lab in which they run. It changes nothing itself.
package account

import (
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// ID is the account's number, in every ARN. No account of AWS has it.
const ID = "000000000000"

// Reader reads the account. Its methods are safe for concurrent use, and what
// they return does not change afterwards.
type Reader interface {
	// Region is the one region of the account, as clients sign for it.
	Region() string
	// Resources lists what there is of the given types, of every type without
	// any, in the order in which they were created. A resource that an update has
	// replaced is there until the update's clean-up removes it.
	Resources(types ...string) []Resource
	// Lab is the running lab, which also scales, drains and stops what runs in it.
	Lab() *lab.Lab
}

// Resource is a resource of a stack.
type Resource struct {
	Stack     string // the stack's name
	StackID   string // its ARN
	LogicalID string
	Type      string // as in the template: AWS::ECS::Service
	// PhysicalID is what Ref gives: a name, an id or an ARN, by type.
	PhysicalID string
	// ARN is empty for a type that has none.
	ARN    string
	Status string // as CloudFormation has it: CREATE_COMPLETE
	Reason string
	// Properties are the template's with everything resolved. Scalars are
	// strings, as CloudFormation takes 80 and "80" alike; lists are []any and maps
	// map[string]any. Read them with Text, Int, Flag, List and Map.
	Properties map[string]any
	// Attributes are what Fn::GetAtt gives, by name: texts, and lists of texts.
	Attributes map[string]any
	// ID is the resource's in the lab's topology and in lab.Status.
	ID topology.ID
	// Replaced is set for a resource in whose place the update under way has made
	// another one.
	Replaced         bool
	Created, Updated time.Time
}

// Find returns the first resource of a type whose physical id or ARN is the
// given one.
func Find(r Reader, typ, id string) (Resource, bool) {
	list := r.Resources(typ)
	i := slices.IndexFunc(list, func(o Resource) bool { return id != "" && (o.PhysicalID == id || o.ARN == id) })
	if i < 0 {
		return Resource{}, false
	}
	return list[i], true
}
