package account

import (
	"math"
	"strconv"
	"strings"
)

// at follows names through nested maps; nil when there is nothing.
func at(v any, names []string) any {
	for _, n := range names {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[n]
	}
	return v
}

// Text returns the text at the path of names, "" when there is none.
func Text(v any, names ...string) string {
	s, _ := at(v, names).(string)
	return s
}

// Int returns the whole number at the path of names; ok is false when there is
// none.
func Int(v any, names ...string) (n int, ok bool) {
	text := strings.TrimSpace(Text(v, names...))
	if n, err := strconv.Atoi(text); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}

// Flag reports whether the value at the path of names is true.
func Flag(v any, names ...string) bool { return strings.EqualFold(Text(v, names...), "true") }

// List returns the list at the path of names; nil when there is none.
func List(v any, names ...string) []any {
	l, _ := at(v, names).([]any)
	return l
}

// Texts returns the texts of the list at the path of names.
func Texts(v any, names ...string) []string {
	var out []string
	for _, e := range List(v, names...) {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Map returns the map at the path of names; nil when there is none.
func Map(v any, names ...string) map[string]any {
	m, _ := at(v, names).(map[string]any)
	return m
}
