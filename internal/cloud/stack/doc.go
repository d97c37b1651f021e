// Package stack carries out CloudFormation's stacks: change sets, updates in
// place and by replacement, in the order of dependencies, removals in the
// clean-up, events, exports and rollback. What a resource is and does it leaves
// to a [Provider]; it knows no service and no SDK.
//
// While an update runs, what there is is neither the old template nor the new
// one: it is the old one with each resource replaced as its turn comes, and both
// of a resource that is replaced. [Stacks.View] gives that as templates.
package stack
