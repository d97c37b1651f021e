package topology

import "cmp"

// Set is a set that the source describes: the members that were read, and
// whether those are all. Of a closed set it is a fact that no member matches;
// of an open one it is not, so the questions below answer with an Opt, and
// whoever asks must say what he makes of "unknown, because …".
//
// The zero value is closed and empty.
type Set[T any] struct {
	members []T
	open    string
}

// Closed returns a set of which every member was read.
func Closed[T any](members []T) Set[T] { return Set[T]{members: members} }

// Open returns a set that may have members beside those that were read; why
// says what was not read. With an empty why the set is closed.
func Open[T any](members []T, why string) Set[T] { return Set[T]{members: members, open: why} }

// Read returns the members that were read, in their order. It says nothing of
// the others: a conclusion from a member that is missing here needs Any, Empty
// or Why.
func (s Set[T]) Read() []T { return s.members }

// Why says why there may be members that were not read; "" for a closed set.
func (s Set[T]) Why() string { return s.open }

// Any reports whether a member matches: true when one that was read does,
// false when the set is closed and none does, else unknown with the reason.
func (s Set[T]) Any(match func(T) bool) Opt[bool] {
	for _, m := range s.members {
		if match(m) {
			return Known(true)
		}
	}
	if s.open != "" {
		return Unknown[bool](s.open)
	}
	return Known(false)
}

// Empty reports whether the set has no member: false when one was read, true
// when the set is closed and none was, else unknown with the reason.
func (s Set[T]) Empty() Opt[bool] {
	switch {
	case len(s.members) > 0:
		return Known(false)
	case s.open != "":
		return Unknown[bool](s.open)
	}
	return Known(true)
}

// IsEmpty reports that the set certainly has no member.
func (s Set[T]) IsEmpty() bool { return s.Empty().Or(false) }

// Rules returns the rules of one direction of the group.
func (g *SecurityGroup) Rules(egress bool) Set[Rule] {
	if egress {
		return Open(g.Egress, g.UncertainEgress)
	}
	return Open(g.Ingress, cmp.Or(g.UncertainIngress, g.LaterIngress))
}

// RuleSet returns the listener's rules by ascending priority.
func (l *Listener) RuleSet() Set[*ListenerRule] { return Open(l.Rules, l.OpenRules) }

// ContainerSet returns the containers of the task.
func (d *TaskDefinition) ContainerSet() Set[Container] { return Open(d.Containers, d.Uncertain) }

// EndpointSet returns the endpoints that the configuration publishes.
func (c *ServiceConnect) EndpointSet() Set[Endpoint] { return Open(c.Endpoints, c.Uncertain) }
