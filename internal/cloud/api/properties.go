package api

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hoplab/hoplab/internal/cloud/account"
)

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
