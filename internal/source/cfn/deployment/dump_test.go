package deployment_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"

	"github.com/hoplab/hoplab/internal/topology"
)

// dump writes a topology as JSON for golden files: only what is set, an
// unknown value as {"unknown": why}, fields in declaration order.
func dump(t *topology.Topology) []byte {
	var raw bytes.Buffer
	write(&raw, reflect.ValueOf(*t))
	var out bytes.Buffer
	if err := json.Indent(&out, raw.Bytes(), "", " "); err != nil {
		panic(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// settled is what every Opt[T] offers, whatever T is.
type settled interface {
	IsAbsent() bool
	IsUnknown() bool
	Why() string
}

func write(w *bytes.Buffer, v reflect.Value) {
	if p, ok := v.Interface().(netip.Prefix); ok {
		text(w, p.String())
		return
	}
	if o, ok := v.Interface().(settled); ok {
		if o.IsUnknown() {
			w.WriteString(`{"unknown":`)
			text(w, o.Why())
			w.WriteByte('}')
			return
		}
		write(w, v.MethodByName("Get").Call(nil)[0])
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		write(w, v.Elem())
	case reflect.Struct:
		w.WriteByte('{')
		fields(w, v, true)
		w.WriteByte('}')
	case reflect.Slice:
		w.WriteByte('[')
		for i := range v.Len() {
			comma(w, i == 0)
			write(w, v.Index(i))
		}
		w.WriteByte(']')
	case reflect.Map:
		data, err := json.Marshal(plainMap(v))
		if err != nil {
			panic(err)
		}
		w.Write(data)
	case reflect.String:
		text(w, v.String())
	case reflect.Int:
		w.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Bool:
		w.WriteString(strconv.FormatBool(v.Bool()))
	default:
		panic(fmt.Sprintf("dump: no rule for %s", v.Type()))
	}
}

// fields writes the set fields of a struct; an embedded Origin stands as "at".
func fields(w *bytes.Buffer, v reflect.Value, first bool) {
	for i := range v.NumField() {
		f, ft := v.Field(i), v.Type().Field(i)
		if o, ok := f.Interface().(settled); ok && o.IsAbsent() || f.IsZero() {
			continue
		}
		comma(w, first)
		first = false
		text(w, ft.Name)
		w.WriteByte(':')
		if o, ok := f.Interface().(topology.Origin); ok {
			origin(w, o)
			continue
		}
		write(w, f)
	}
}

// origin is a line: what, where, and what is suppressed there.
func origin(w *bytes.Buffer, o topology.Origin) {
	s := fmt.Sprintf("%s %s %s:%d", o.ID, o.Type, o.File, o.Line)
	if o.Path != "" {
		s += " " + o.Path
	}
	for _, x := range o.Suppress {
		s += fmt.Sprintf(" [suppress %s: %s]", x.Rule, x.Reason)
	}
	if o.Maybe != "" {
		s += " [maybe: " + o.Maybe + "]"
	}
	text(w, s)
}

// plainMap turns a map of settled values into what encoding/json sorts.
func plainMap(v reflect.Value) map[string]any {
	out := map[string]any{}
	for _, k := range v.MapKeys() {
		e := v.MapIndex(k)
		if o, ok := e.Interface().(settled); ok && o.IsAbsent() {
			continue
		}
		var b bytes.Buffer
		write(&b, e)
		out[k.String()] = json.RawMessage(b.Bytes())
	}
	return out
}

func text(w *bytes.Buffer, s string) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err)
	}
	w.Truncate(w.Len() - 1)
}

func comma(w *bytes.Buffer, first bool) {
	if !first {
		w.WriteByte(',')
	}
}
