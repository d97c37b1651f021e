package terraform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// dump writes a topology for golden files: only what is set, origins as one
// line, unknown values as "unknown: why".
func dump(t testing.TB, top *topology.Topology) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(plain(reflect.ValueOf(*top))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// plain turns a value of the model into what encoding/json writes in a fixed
// order; nil means not set.
func plain(v reflect.Value) any {
	if !v.IsValid() || v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int {
		return nil
	}
	switch x := v.Interface().(type) {
	case netip.Prefix:
		return x.String()
	case topology.Origin:
		line := fmt.Sprintf("%s %s %s:%d", x.ID, x.Type, x.File, x.Line)
		for _, s := range x.Suppress {
			line += fmt.Sprintf(" suppress %s: %s", s.Rule, s.Reason)
		}
		if x.Maybe != "" {
			line += " maybe: " + x.Maybe
		}
		return line
	case interface {
		IsUnknown() bool
		Why() string
	}:
		if x.IsUnknown() {
			return "unknown: " + x.Why()
		}
		return plain(v.MethodByName("Get").Call(nil)[0])
	}
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Slice:
		var out []any
		for i := range v.Len() {
			out = append(out, plain(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = plain(v.MapIndex(k))
		}
		return out
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			f := v.Field(i)
			if f.IsZero() {
				continue
			}
			if p := plain(f); p != nil {
				out[v.Type().Field(i).Name] = p
			}
		}
		return out
	}
	return v.Interface()
}
