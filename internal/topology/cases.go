package topology

// Cases are those of the combinations that a template's open conditions can
// have in which something holds: a bit for each combination. Nil means all.
type Cases []uint64

// NewCases returns none of n combinations.
func NewCases(n int) Cases { return make(Cases, (n+63)/64) }

// Set adds a combination.
func (w Cases) Set(i int) { w[i/64] |= 1 << (i % 64) }

// Has reports whether w has the combination.
func (w Cases) Has(i int) bool { return w[i/64]>>(i%64)&1 == 1 }

// And returns the combinations that both have; Or those that either has. Both
// must be of one template.
func (w Cases) And(v Cases) Cases {
	out := make(Cases, len(w))
	for i := range w {
		out[i] = w[i] & v[i]
	}
	return out
}

// Or is described at And.
func (w Cases) Or(v Cases) Cases {
	out := make(Cases, len(w))
	for i := range w {
		out[i] = w[i] | v[i]
	}
	return out
}

// Excludes reports that the two resources never exist together: no combination
// of what decides their conditions has both.
func (o Origin) Excludes(p Origin) bool {
	if o.Cases == nil || p.Cases == nil || o.Stack != p.Stack || len(o.Cases) != len(p.Cases) {
		return false
	}
	for _, w := range o.Cases.And(p.Cases) {
		if w != 0 {
			return false
		}
	}
	return true
}

// Implies reports that p exists wherever o does.
func (o Origin) Implies(p Origin) bool {
	if p.Maybe == "" {
		return true
	}
	if o.Cases == nil || p.Cases == nil || o.Stack != p.Stack || len(o.Cases) != len(p.Cases) {
		return false
	}
	for i := range o.Cases {
		if o.Cases[i]&^p.Cases[i] != 0 {
			return false
		}
	}
	return true
}
