package cfn

import (
	"reflect"
	"testing"
)

func TestPlain(t *testing.T) {
	got, err := Plain("t.yaml", []byte("a: !Sub '${X}'\nb: [1, true, null, {c: !GetAtt A.B}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"a": map[string]any{"Fn::Sub": "${X}"},
		"b": []any{"1", "true", nil, map[string]any{"c": map[string]any{"Fn::GetAtt": "A.B"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
}

func TestTemplatesInMemory(t *testing.T) {
	a, err := Templates([]Template{
		{Name: "net", Region: "eu-central-1", Text: []byte(`{"Resources": {"V": {"Type": "AWS::EC2::VPC"}},
			"Outputs": {"O": {"Value": {"Ref": "V"}, "Export": {"Name": "net:v"}}}}`)},
		{Name: "app", Region: "eu-central-1", Text: []byte(`{"Resources": {"G": {"Type": "AWS::EC2::SecurityGroup",
			"Properties": {"VpcId": {"Fn::ImportValue": "net:v"}, "GroupName": {"Ref": "AWS::StackName"}}}}}`)},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := a.Stacks[1].Resource("G")
	if ref, ok := g.Prop("VpcId").Ref(); !ok || ref.String() != "net/V" {
		t.Errorf("VpcId is %v; want a reference to net/V", g.Prop("VpcId"))
	}
	if name, _ := g.Prop("GroupName").Text(); name != "app" {
		t.Errorf("GroupName is %q; want app", name)
	}
	if _, err := Templates([]Template{{Name: "x", Text: []byte("{")}}, Options{}); err == nil {
		t.Error("half a template is read")
	}
}
