package topology

// Opt is a value that may be absent, known, or unknown with a reason.
// The zero value is absent.
type Opt[T any] struct {
	state state
	v     T
	why   string
	sym   string
}

type state uint8

const (
	absent state = iota
	known
	unknown
)

// Known returns a known value.
func Known[T any](v T) Opt[T] { return Opt[T]{state: known, v: v} }

// Unknown returns a value that is set but not settled by the source; why
// names the expression and what would settle it.
func Unknown[T any](why string) Opt[T] { return Opt[T]{state: unknown, why: why} }

// Symbolic returns an unknown value that is certainly equal to every other one
// with the same symbol: text in which what is not settled stands as ${…}. With
// an empty symbol it is Unknown.
func Symbolic[T any](symbol, why string) Opt[T] { return Opt[T]{state: unknown, why: why, sym: symbol} }

// Symbol returns the symbol of an unknown value, "" when it has none.
func (o Opt[T]) Symbol() string { return o.sym }

// Get returns the value and whether it is known.
func (o Opt[T]) Get() (T, bool) { return o.v, o.state == known }

// Or returns the known value, or def when it is absent or unknown; ask
// IsUnknown first where the difference matters.
func (o Opt[T]) Or(def T) T {
	if o.state == known {
		return o.v
	}
	return def
}

// IsAbsent reports that the source does not set the value at all.
func (o Opt[T]) IsAbsent() bool { return o.state == absent }

// IsUnknown reports that the value is set to something the source does not settle.
func (o Opt[T]) IsUnknown() bool { return o.state == unknown }

// Why returns the reason of an unknown value, else "".
func (o Opt[T]) Why() string { return o.why }
