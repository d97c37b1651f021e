package topology

import (
	"reflect"
	"regexp"
	"strings"
)

var (
	origin      = reflect.TypeFor[Origin]()
	optsPackage = origin.PkgPath()
)

// Same reports whether two parts of topologies say the same, wherever they were
// read: of each Origin in them only the ID counts, and of a value that is not
// known its symbol, or why it is not, without the place in a file. It panics on
// channels and functions, which no topology holds.
func Same[T any](a, b T) bool {
	return same(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
}

func same(a, b reflect.Value) bool {
	if a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Kind() == reflect.Pointer && a.Pointer() == b.Pointer() || same(a.Elem(), b.Elem())
	case reflect.Struct:
		if a.Type() == origin {
			return a.FieldByName("ID").String() == b.FieldByName("ID").String()
		}
		if a.Type().PkgPath() == optsPackage && strings.HasPrefix(a.Type().Name(), "Opt[") {
			return sameOpt(a, b)
		}
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		return sameMap(a, b)
	default:
		return a.Equal(b)
	}
}

// place is where the reason of an unknown value was read.
var place = regexp.MustCompile(`^[^ ]+:[0-9]+: `)

// sameOpt compares two values of one type Opt[T], by the names of its fields.
func sameOpt(a, b reflect.Value) bool {
	field := func(v reflect.Value, name string) string { return v.FieldByName(name).String() }
	if !same(a.FieldByName("state"), b.FieldByName("state")) || !same(a.FieldByName("v"), b.FieldByName("v")) ||
		field(a, "sym") != field(b, "sym") {
		return false
	}
	return field(a, "sym") != "" || place.ReplaceAllString(field(a, "why"), "") == place.ReplaceAllString(field(b, "why"), "")
}

func sameMap(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for at := a.MapRange(); at.Next(); {
		if v := b.MapIndex(at.Key()); !v.IsValid() || !same(at.Value(), v) {
			return false
		}
	}
	return true
}
