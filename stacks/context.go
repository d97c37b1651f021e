package stacks

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// reader reads context keys and keeps the first error. An empty value, as of
// -c key=, counts as absent.
type reader struct {
	get func(key string) any
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// given reports whether the key has a value.
func (r *reader) given(key string) bool {
	v := r.get(key)
	return v != nil && v != ""
}

// refuse fails if one of the keys is given.
func (r *reader) refuse(why string, keys ...string) {
	for _, key := range keys {
		if r.given(key) {
			r.fail("%s=%v: %s", key, r.get(key), why)
		}
	}
}

func (r *reader) text(key string) string {
	switch v := r.get(key).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		r.fail("%s=%v: expected a string", key, v)
		return ""
	}
}

// match returns the value of key, which must match the expression.
func (r *reader) match(key string, expression *regexp.Regexp, expected string) string {
	v := r.text(key)
	if v != "" && !expression.MatchString(v) {
		r.fail("%s=%s: expected %s", key, v, expected)
	}
	return v
}

// choice returns the value of key; the first of values is the default.
func (r *reader) choice(key string, values ...string) string {
	v := r.text(key)
	if v == "" {
		return values[0]
	}
	for _, w := range values {
		if v == w {
			return v
		}
	}
	r.fail("%s=%s: expected %s", key, v, strings.Join(values, " or "))
	return values[0]
}

func (r *reader) boolean(key string) bool {
	switch v := r.get(key); v {
	case nil, "", false, "false":
	case true, "true":
		return true
	default:
		r.fail("%s=%v: expected true or false", key, v)
	}
	return false
}

// whole returns the number under key, low when absent.
func (r *reader) whole(key string, low, high int) int {
	if !r.given(key) {
		return low
	}
	var n int
	var err error
	switch v := r.get(key).(type) {
	case string:
		n, err = strconv.Atoi(v)
	case float64:
		n, err = strconv.Atoi(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		err = strconv.ErrSyntax
	}
	if err != nil || n < low || n > high {
		r.fail("%s=%v: expected a whole number from %d to %d", key, r.get(key), low, high)
		return low
	}
	return n
}

// imageReference is [host[:port]/]path[:tag][@digest], a little wider than
// the grammar of registries: it keeps out what can only be a slip.
var imageReference = regexp.MustCompile(`^[a-zA-Z0-9][\w.-]*(:[0-9]+)?(/[a-z0-9][\w.-]*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

func (r *reader) image(key string) string {
	return r.match(key, imageReference, "an image reference such as public.ecr.aws/nginx/nginx:stable")
}
