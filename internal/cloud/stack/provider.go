package stack

import "context"

// Provider knows what resources are. Its methods may be called side by side.
type Provider interface {
	// Identify gives a resource that is about to be made its ids, or refuses it
	// in its service's words. It must not depend on what Carry did.
	Identify(r Resource) (Identity, error)
	// Carry makes a step real and returns when the resource is as it says, or with
	// why it is not, in CloudFormation's words. What there is then, this resource
	// included, is in the View of the account's stacks.
	Carry(ctx context.Context, s Step) error
	// Parameter returns the value of an SSM parameter that a template's parameter
	// names.
	Parameter(name string) (value string, ok bool)
}

// Identity is how a resource is called.
type Identity struct {
	PhysicalID string
	ARN        string         // empty for a type that has none
	Attributes map[string]any // of Fn::GetAtt: texts, and lists of texts
	// Name is the one that the template chose, which no other of the type may
	// have; empty for one that CloudFormation chose.
	Name string
}

// Step is what happens to a resource.
type Step struct {
	What     Operation
	Resource Resource
	// Before is the resource as it was, for Update.
	Before Resource
}

// Operation is what a step does.
type Operation string

// The operations.
const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
	Delete Operation = "DELETE"
)
