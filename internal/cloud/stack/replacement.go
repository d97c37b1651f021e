package stack

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// Replacement says whether a changed property makes a new resource.
type Replacement string

// The values of CloudFormation's documentation, "Update requires".
const (
	InPlace  Replacement = "no"
	Replaces Replacement = "yes"
	Maybe    Replacement = "maybe" // it depends on the value, or on the resource's other properties
)

// replacementJSON is generated from @aws-cdk/aws-service-spec: type, then
// property, then Replaces or Maybe.
//
//go:embed replacement.json
var replacementJSON []byte

var replacements = func() map[string]map[string]Replacement {
	var table map[string]map[string]Replacement
	if err := json.Unmarshal(replacementJSON, &table); err != nil {
		panic("stack: replacement.json: " + err.Error()) // embedded: a test has read it
	}
	return table
}()

// others are types without a schema: the one custom resource that is modelled,
// and what CDK notes about itself.
var others = map[string]map[string]Replacement{
	"Custom::S3AutoDeleteObjects": {"ServiceToken": Replaces, "BucketName": Replaces},
	"AWS::CDK::Metadata":          {},
}

// Changed tells what CloudFormation does when a property at a resource's top
// level changes. A type that is not in the table is an error, for to guess
// would show an update that AWS does not do.
func Changed(resourceType, property string) (Replacement, error) {
	row, ok := replacements[resourceType]
	if !ok {
		row, ok = others[resourceType]
	}
	if !ok {
		return "", fmt.Errorf("hoplab cloud does not model %s", resourceType)
	}
	if r, ok := row[property]; ok {
		return r, nil
	}
	return InPlace, nil
}
