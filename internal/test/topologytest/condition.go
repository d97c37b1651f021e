package topologytest

import (
	"reflect"

	"github.com/hoplab/hoplab/internal/topology"
)

// Condition makes everything with the ID exist only under the formula, which it
// names in the words of a template. It returns how many things those are.
func (f *Fixture) Condition(id topology.ID, when *topology.When) int {
	n := 0
	origins(reflect.ValueOf(f.Topology), map[uintptr]bool{}, func(o *topology.Origin) {
		if o.ID == id {
			o.When = when
			o.Maybe = "t.yaml:1: it depends on condition " + when.Name + ", which is open"
			n++
		}
	})
	return n
}

// origins calls f with every origin in v, each once.
func origins(v reflect.Value, seen map[uintptr]bool, f func(*topology.Origin)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.Pointer()] {
			seen[v.Pointer()] = true
			origins(v.Elem(), seen, f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			origins(v.Index(i), seen, f)
		}
	case reflect.Struct:
		if o, ok := v.Addr().Interface().(*topology.Origin); ok {
			f(o)
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				origins(v.Field(i), seen, f)
			}
		}
	}
}
