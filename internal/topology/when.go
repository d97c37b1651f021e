package topology

import "strings"

// WhenOp is what a When says.
type WhenOp uint8

const (
	WhenIs  WhenOp = iota // a value is equal to a text
	WhenNot               // the one part does not hold
	WhenAll               // every part holds
	WhenAny               // a part holds
)

// When is a formula over comparisons that the source does not settle. It says
// in which deployments of one and the same source a thing exists; what can hold
// at once is worked out by internal/variant. It is not changed once it is built,
// and parts may be shared.
type When struct {
	Op    WhenOp
	Parts []*When
	// Value is, of WhenIs, the symbol of the value that is compared, Text what
	// it is compared with, and Among the only texts that it may have; nil when
	// any text is allowed. Without Text the comparison is known by Value alone:
	// equal values are equal comparisons, and nothing else is known of them.
	Value, Text string
	Among       []string
	// Name is what the formula is called in the source: a condition. It is ""
	// for a part of one.
	Name string
}

// Named returns the formula under a name.
func (w *When) Named(name string) *When { return &When{Op: WhenAll, Parts: []*When{w}, Name: name} }

// Both returns the formula of what exists when a and b hold; nil, which always
// holds, when both are.
func Both(a, b *When) *When {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	var names []string
	for _, w := range []*When{a, b} {
		if w.Name != "" {
			names = append(names, w.Name)
		}
	}
	return &When{Op: WhenAll, Parts: []*When{a, b}, Name: strings.Join(names, " and ")}
}
