package api

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hoplab/hoplab/internal/cloud/account"
)

// into sets an SDK type from a resource's properties. CloudFormation's property
// names are those of the API's members but for the case of their first letter,
// so a property goes to the field of its name. A property without a field is
// passed over: it is CloudFormation's own. Values are strings, as the account
// has them.
func into(dst any, properties map[string]any) error {
	return fill(reflect.ValueOf(dst).Elem(), properties)
}

func fill(dst reflect.Value, src any) error {
	if src == nil {
		return nil
	}
	switch dst.Kind() {
	case reflect.Pointer:
		p := reflect.New(dst.Type().Elem())
		if err := fill(p.Elem(), src); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	case reflect.Struct:
		return fillStruct(dst, src)
	case reflect.Slice:
		return fillSlice(dst, src)
	case reflect.Map:
		return fillMap(dst, src)
	}
	return fillScalar(dst, src)
}

func fillStruct(dst reflect.Value, src any) error {
	members, ok := src.(map[string]any)
	if !ok {
		return fmt.Errorf("%T instead of members", src)
	}
	for i := range dst.NumField() {
		f := dst.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		for name, v := range members {
			if !strings.EqualFold(name, f.Name) {
				continue
			}
			if err := fill(dst.Field(i), v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func fillSlice(dst reflect.Value, src any) error {
	list, ok := src.([]any)
	if !ok {
		return fmt.Errorf("%T instead of a list", src)
	}
	out := reflect.MakeSlice(dst.Type(), len(list), len(list))
	for i, v := range list {
		if err := fill(out.Index(i), v); err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	dst.Set(out)
	return nil
}

func fillMap(dst reflect.Value, src any) error {
	members, ok := src.(map[string]any)
	if !ok {
		return fmt.Errorf("%T instead of a map", src)
	}
	out := reflect.MakeMapWithSize(dst.Type(), len(members))
	for name, v := range members {
		e := reflect.New(dst.Type().Elem()).Elem()
		if err := fill(e, v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(dst.Type().Key()), e)
	}
	dst.Set(out)
	return nil
}

func fillScalar(dst reflect.Value, src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("%T instead of a value", src)
	}
	switch dst.Kind() {
	case reflect.String:
		dst.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is no truth value", s)
		}
		dst.SetBool(b)
	case reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, dst.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is no whole number", s)
		}
		dst.SetInt(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", s)
		}
		dst.SetFloat(f)
	default:
		return fmt.Errorf("a %s is not read", dst.Type())
	}
	return nil
}

// pairs is a property that is a list of keys with values, as attributes and tags
// are, in its order.
func pairs(r account.Resource, property string) (keys []string, values map[string]string) {
	values = map[string]string{}
	for _, v := range account.List(r.Properties, property) {
		k := account.Text(v, "Key")
		keys = append(keys, k)
		values[k] = account.Text(v, "Value")
	}
	return keys, values
}

// or is the first of two texts that is not empty, as the SDK takes it.
func or(s, fallback string) *string {
	if s == "" {
		s = fallback
	}
	return aws.String(s)
}

// some is a text as the SDK takes it, nil for an empty one.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
