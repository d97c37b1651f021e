package wire

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Into sets a type of the SDK from the properties of a resource, or from other
// members that need not all have a field: those without one are passed over, for
// they are CloudFormation's own. Names are compared without regard to case, and
// scalars may be texts whatever they are set to.
func Into(dst any, members map[string]any) error {
	return filler{lenient: true}.set(reflect.ValueOf(dst).Elem(), members)
}

// fill sets an SDK input type, or one of our own, from a request's tree. Names
// are compared without regard to case, for the SDK's fields begin with capitals
// and some protocols' members do not. A member without a field is an error: to
// pass over it would be an empty success.
func fill(in any, tree map[string]any) error {
	return filler{}.set(reflect.ValueOf(in).Elem(), tree)
}

// filler sets values by reflection. A lenient one passes over members that a type
// does not have.
type filler struct{ lenient bool }

var timeType = reflect.TypeFor[time.Time]()

func (f filler) set(dst reflect.Value, src any) error {
	if src == nil {
		return nil
	}
	if dst.Type() == timeType {
		return setTime(dst, src)
	}
	switch dst.Kind() {
	case reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		return f.set(dst.Elem(), src)
	case reflect.Struct:
		return f.setStruct(dst, src)
	case reflect.Slice:
		return f.setSlice(dst, src)
	case reflect.Map:
		return f.setMap(dst, src)
	}
	return setScalar(dst, src)
}

func (f filler) setStruct(dst reflect.Value, src any) error {
	members, ok := src.(map[string]any)
	if !ok {
		return expected("a structure", src)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field := dst.FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, name) })
		if !field.IsValid() || !field.CanSet() {
			if f.lenient {
				continue
			}
			return fmt.Errorf("hoplab cloud does not know the member %s", name)
		}
		if err := f.set(field, members[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (f filler) setSlice(dst reflect.Value, src any) error {
	if dst.Type().Elem().Kind() == reflect.Uint8 {
		return setBytes(dst, src)
	}
	elements, err := elementsOf(src)
	if err != nil {
		return err
	}
	out := reflect.MakeSlice(dst.Type(), len(elements), len(elements))
	for i, e := range elements {
		if err := f.set(out.Index(i), e); err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	dst.Set(out)
	return nil
}

// elementsOf returns a list's elements: of a JSON or CBOR list, or of a form's
// member.1, member.2 and so on, which must have no gap. A form writes a list
// without elements as an empty value.
func elementsOf(src any) ([]any, error) {
	switch src := src.(type) {
	case []any:
		return src, nil
	case string:
		if src == "" {
			return nil, nil
		}
	case map[string]any:
		numbered, ok := src["member"].(map[string]any)
		if !ok || len(src) != 1 {
			return nil, fmt.Errorf("a list is written NAME.member.1")
		}
		out := make([]any, len(numbered))
		for i := range out {
			if out[i], ok = numbered[strconv.Itoa(i+1)]; !ok {
				return nil, fmt.Errorf("a list of %d has no member.%d", len(numbered), i+1)
			}
		}
		return out, nil
	}
	return nil, expected("a list", src)
}

func (f filler) setMap(dst reflect.Value, src any) error {
	members, ok := src.(map[string]any)
	if !ok {
		return expected("a map", src)
	}
	out := reflect.MakeMapWithSize(dst.Type(), len(members))
	for name, v := range members {
		e := reflect.New(dst.Type().Elem()).Elem()
		if err := f.set(e, v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(dst.Type().Key()), e)
	}
	dst.Set(out)
	return nil
}

func setBytes(dst reflect.Value, src any) error {
	switch src := src.(type) {
	case []byte:
		dst.SetBytes(src)
		return nil
	case string:
		b, err := base64.StdEncoding.DecodeString(src)
		if err != nil {
			return err
		}
		dst.SetBytes(b)
		return nil
	}
	return expected("bytes", src)
}

func setTime(dst reflect.Value, src any) error {
	var t time.Time
	var err error
	switch src := src.(type) {
	case time.Time:
		t = src
	case number:
		var seconds float64
		if seconds, err = src.Float64(); err == nil {
			t, err = epoch(seconds)
		}
	case string:
		t, err = time.Parse(time.RFC3339, src)
	default:
		err = expected("a time", src)
	}
	if err == nil {
		dst.Set(reflect.ValueOf(t))
	}
	return err
}

// setScalar sets a string, a truth value or a number. A form has only strings.
func setScalar(dst reflect.Value, src any) error {
	var text string
	switch src := src.(type) {
	case string:
		text = src
	case number:
		text = src.String()
	case float64:
		text = strconv.FormatFloat(src, 'f', -1, 64)
	case bool:
		text = strconv.FormatBool(src)
	default:
		return expected("a "+dst.Kind().String(), src)
	}
	switch dst.Kind() {
	case reflect.String:
		if _, ok := src.(string); !ok {
			return expected("a string", src)
		}
		dst.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return expected("true or false", text)
		}
		dst.SetBool(b)
	case reflect.Int32, reflect.Int64:
		n, err := integer(text, dst.Type().Bits())
		if err != nil {
			return err
		}
		dst.SetInt(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, dst.Type().Bits())
		if err != nil {
			return expected("a number", text)
		}
		dst.SetFloat(f)
	default: // unions and documents
		return fmt.Errorf("hoplab cloud does not read a %s", dst.Type())
	}
	return nil
}

// integer reads a whole number, also one that is written as 3.0 or 3e1.
func integer(text string, bits int) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, bits); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if limit := math.Ldexp(1, min(bits-1, 53)); err != nil || f != math.Trunc(f) || math.Abs(f) >= limit {
		return 0, expected(fmt.Sprintf("a whole number of %d bits", bits), text)
	}
	return int64(f), nil
}

func expected(what string, got any) error {
	switch got := got.(type) {
	case string:
		return fmt.Errorf("%.40q was given; %s was expected", got, what)
	case map[string]any:
		return fmt.Errorf("members were given; %s was expected", what)
	case []any:
		return fmt.Errorf("a list was given; %s was expected", what)
	}
	return fmt.Errorf("%.40q was given; %s was expected", fmt.Sprint(got), what)
}
