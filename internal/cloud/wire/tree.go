package wire

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Bounds of a form: a change set has at most 200 parameters and 50 tags, and no
// input of these services nests deeper than six.
const (
	maxFormKeys  = 5000
	maxFormDepth = 16
)

// fromForm turns a form's dotted keys into nested maps:
// Tags.member.1.Key=a becomes Tags: member: 1: Key: a.
func fromForm(form url.Values) (map[string]any, error) {
	if len(form) > maxFormKeys {
		return nil, fmt.Errorf("the form has %d keys; at most %d are read", len(form), maxFormKeys)
	}
	tree := map[string]any{}
	for key, values := range form {
		if len(values) != 1 {
			return nil, fmt.Errorf("%s is given %d times", key, len(values))
		}
		parts := strings.SplitN(key, ".", maxFormDepth+1)
		if len(parts) > maxFormDepth {
			return nil, fmt.Errorf("%s nests deeper than %d", key, maxFormDepth)
		}
		at := tree
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				if at[part] != nil {
					return nil, fmt.Errorf("%s is a value and has members", key)
				}
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		last := parts[len(parts)-1]
		if at[last] != nil {
			return nil, fmt.Errorf("%s is a value and has members", key)
		}
		at[last] = values[0]
	}
	return tree, nil
}

// number is a number's digits, whichever protocol wrote them.
type number = json.Number

// fromCBOR turns CBOR into what JSON would have given, but for times and bytes,
// which CBOR tells from numbers and strings.
func fromCBOR(v cbor.Value) (any, error) {
	switch v := v.(type) {
	case cbor.Map:
		out := make(map[string]any, len(v))
		for k, e := range v {
			plain, err := fromCBOR(e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			out[k] = plain
		}
		return out, nil
	case cbor.List:
		out := make([]any, len(v))
		for i, e := range v {
			plain, err := fromCBOR(e)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			out[i] = plain
		}
		return out, nil
	case *cbor.Tag:
		return cborTime(v)
	case cbor.String:
		return string(v), nil
	case cbor.Slice:
		return []byte(v), nil
	case cbor.Bool:
		return bool(v), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	case cbor.Uint:
		return number(fmt.Sprint(uint64(v))), nil
	case cbor.NegInt:
		return number(fmt.Sprintf("-%d", uint64(v))), nil
	case cbor.Float32:
		return number(fmt.Sprint(float32(v))), nil
	case cbor.Float64:
		return number(fmt.Sprint(float64(v))), nil
	}
	return nil, fmt.Errorf("%T is not read", v)
}

func cborTime(tag *cbor.Tag) (any, error) {
	if tag.ID != 1 {
		return nil, fmt.Errorf("CBOR tag %d is not read", tag.ID)
	}
	v, err := fromCBOR(tag.Value)
	if err != nil {
		return nil, err
	}
	n, ok := v.(number)
	if !ok {
		return nil, fmt.Errorf("a time of %T; seconds were expected", v)
	}
	seconds, err := n.Float64()
	if err != nil {
		return nil, err
	}
	return epoch(seconds)
}

// epochLimit, in seconds, is beyond the year 9999, the last that RFC 3339 has.
const epochLimit = 253402300800

func epoch(seconds float64) (time.Time, error) {
	if !(seconds > -epochLimit && seconds < epochLimit) { // not a number is outside, too
		return time.Time{}, fmt.Errorf("%g is no time in seconds since 1970", seconds)
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
}
