package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// writeJSON writes an answer as awsJson. Types of the SDK that can write
// themselves do so; those that cannot yet are written by reflection, for there a
// member's name is the field's with a small first letter. Anything else is a type
// of a handler's own, with tags.
func writeJSON(out any) ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(out))
	if s, ok := out.(smithy.Serializable); ok {
		body, err := serialized(awsjson.New11(nowhere), s)
		if err != nil {
			return nil, err
		}
		return withZeros(body, v)
	}
	if v.Kind() == reflect.Struct && v.FieldByName("ResultMetadata").IsValid() {
		tree, err := jsonOf(v)
		if err != nil {
			return nil, err
		}
		return json.Marshal(tree)
	}
	return json.Marshal(out)
}

// members calls f for the fields of a struct that are sent.
func members(v reflect.Value, f func(name string, v reflect.Value) error) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" { // the client's own notes
			continue
		}
		if err := f(field.Name, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", field.Name, err)
		}
	}
	return nil
}

func lowerFirst(s string) string { return string(unicode.ToLower(rune(s[0]))) + s[1:] }

// jsonOf turns an SDK value into what encoding/json writes; what is nil, and an
// enumeration that is empty, is left out.
func jsonOf(v reflect.Value) (any, error) {
	if t, ok := v.Interface().(time.Time); ok {
		return float64(t.UnixMilli()) / 1000, nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return jsonOf(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		err := members(v, func(name string, f reflect.Value) error {
			switch f.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
				if f.IsNil() {
					return nil
				}
			case reflect.String:
				if f.Len() == 0 {
					return nil
				}
			}
			e, err := jsonOf(f)
			out[lowerFirst(name)] = e
			return err
		})
		return out, err
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes()), nil
		}
		out := make([]any, v.Len())
		for i := range out {
			var err error
			if out[i], err = jsonOf(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return v.Interface(), nil
	}
	return nil, fmt.Errorf("a %s cannot be written", v.Type())
}

// withZeros adds the numbers that are 0 and the truth values that are false and
// are no pointers. A client leaves them out of a request, which the SDK has
// written; AWS has them in its answers, and scripts read them.
func withZeros(body []byte, v reflect.Value) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	addZeros(tree, v)
	return json.Marshal(tree)
}

func addZeros(tree any, v reflect.Value) {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch tree := tree.(type) {
	case []any:
		if v.Kind() != reflect.Slice || v.Len() != len(tree) {
			return
		}
		for i, e := range tree {
			addZeros(e, v.Index(i))
		}
	case map[string]any:
		if v.Kind() == reflect.Struct {
			addZerosTo(tree, v)
		}
	}
}

func addZerosTo(tree map[string]any, v reflect.Value) {
	name := lowerFirst
	for k := range tree {
		if unicode.IsUpper(rune(k[0])) { // CloudWatch's
			name = strings.Clone
		}
	}
	_ = members(v, func(field string, f reflect.Value) error { // it fails only when f does
		key := name(field)
		if e, ok := tree[key]; ok {
			addZeros(e, f)
			return nil
		}
		switch f.Kind() {
		case reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
			if f.IsZero() {
				tree[key] = f.Interface()
			}
		}
		return nil
	})
}
