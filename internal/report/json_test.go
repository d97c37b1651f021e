package report_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func jsonOf(t *testing.T, s *summary.Summary) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := report.JSON(&out, s); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.SummarySchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	const name = "urn:hoplab:summary:v1"
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, data []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

func TestJSONMatchesItsSchemaAndComesBack(t *testing.T) {
	schema := compileSchema(t)
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			s := &f.build().Summary
			data := jsonOf(t, s)
			golden.Check(t, "testdata/"+f.name+"/summary.json", data)
			if err := validate(t, schema, data); err != nil {
				t.Errorf("not valid: %v", err)
			}
			var back summary.Summary
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			if again := jsonOf(t, &back); !bytes.Equal(again, data) {
				t.Error("reading and writing again changes the bytes")
			}
			if !reflect.DeepEqual(s, &f.build().Summary) {
				t.Error("writing changed the summary")
			}
		})
	}
}

func TestSchemaRefusesWhatIsNotASummary(t *testing.T) {
	schema := compileSchema(t)
	good := string(jsonOf(t, &fixtureNamed("different").Summary))
	for name, change := range map[string][2]string{
		"another schema":  {`"hoplab/summary/v1"`, `"hoplab/summary/v2"`},
		"unknown verdict": {`"verdict": "different"`, `"verdict": "fine"`},
		"unknown field":   {`"run":`, `"name": "", "run":`},
		"missing field":   {`"seed": 1,`, ``},
		"a quantile of 1": {`"quantile": 0.5`, `"quantile": 1`},
		"a null list":     {`"sentences": [`, `"sentences": null, "x": [`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Errorf("%s: nothing was changed", name)
		} else if validate(t, schema, []byte(bad)) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestJSONRefusesWhatItCannotCarry(t *testing.T) {
	s := fixtureNamed("different").Summary
	s.Differences[0].HighUs = math.Inf(1)
	if err := report.JSON(&bytes.Buffer{}, &s); err == nil || !strings.Contains(err.Error(), s.Run) {
		t.Errorf("an infinite bound gave %v", err)
	}
}

// The schema and the Go types list the same fields, required unless omitempty.
func TestSchemaListsTheFieldsOfTheTypes(t *testing.T) {
	var schema struct {
		Properties map[string]any
		Required   []string
		Defs       map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(report.SummarySchema, &schema); err != nil {
		t.Fatal(err)
	}
	compareFields(t, reflect.TypeFor[summary.Summary](), object{schema.Properties, schema.Required})
	for name, typ := range map[string]reflect.Type{
		"plan": reflect.TypeFor[summary.Plan](), "arm": reflect.TypeFor[summary.Arm](), "latency": reflect.TypeFor[summary.LatencyUs](),
		"evidence": reflect.TypeFor[summary.Evidence](), "difference": reflect.TypeFor[summary.Difference](),
		"budget": reflect.TypeFor[summary.BudgetResult](), "ledger": reflect.TypeFor[summary.Ledger](),
		"contradiction": reflect.TypeFor[summary.Contradiction](), "partial": reflect.TypeFor[summary.Partial](),
		"warning": reflect.TypeFor[summary.Warning](),
	} {
		compareFields(t, typ, schema.Defs[name])
	}
}

type object struct {
	Properties map[string]any
	Required   []string
}

func compareFields(t *testing.T, typ reflect.Type, schema object) {
	t.Helper()
	for i := range typ.NumField() {
		name, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if _, ok := schema.Properties[name]; !ok {
			t.Errorf("%s.%s (%s) is not in the schema", typ, typ.Field(i).Name, name)
		}
		if required := slices.Contains(schema.Required, name); required == strings.Contains(options, "omitempty") {
			t.Errorf("%s.%s: required in the schema is %v, json options are %q", typ, typ.Field(i).Name, required, options)
		}
	}
	if typ.NumField() != len(schema.Properties) {
		t.Errorf("%s has %d fields, its schema %d properties", typ, typ.NumField(), len(schema.Properties))
	}
}
