package cfn

import (
	"strings"
	"testing"
)

// TestLoopsAreWrittenOut takes loops of the language extensions in the places
// where they may stand.
func TestLoopsAreWrittenOut(t *testing.T) {
	const text = `
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList, Default: "a.b,c"}
  Open: {Type: CommaDelimitedList}
Resources:
  Fn::ForEach::Outer:
    - Name
    - !Ref Names
    - Fn::ForEach::Inner:
        - Port
        - ['80', '81']
        - Open&{Name}${Port}:
            Type: AWS::EC2::SecurityGroupIngress
            Properties: {FromPort: !Ref Port, Description: !Sub "${Name} on ${Port}"}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      Fn::ForEach::P: [Key, [QueueName], {"${Key}": !Sub "q-${Key}"}]
  Fn::ForEach::Late:
    - Name
    - !Ref Open
    - Rule${Name}: {Type: AWS::EC2::SecurityGroupIngress, Properties: {FromPort: 1}}
`
	a, err := Parse("t.yaml", []byte(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range a.Stacks[0].Resources {
		port, _ := r.Prop("FromPort").Int()
		said, _ := r.Prop("Description").Text()
		if r.LogicalID == "Queue" {
			said, _ = r.Prop("QueueName").Text()
		}
		got = append(got, strings.TrimSpace(r.LogicalID+" "+said))
		if r.LogicalID != "Queue" && port != 80 && port != 81 {
			t.Errorf("%s: port %d", r.LogicalID, port)
		}
	}
	want := "Openab80 a.b on 80; Openab81 a.b on 81; Openc80 c on 80; Openc81 c on 81; Queue q-QueueName"
	if strings.Join(got, "; ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
	}
	if len(a.Unread) != 1 || !a.Unread[0].Makes("AWS::EC2::SecurityGroupIngress") || a.Unread[0].Makes("AWS::ECS::Service") {
		t.Errorf("unread: %+v", a.Unread)
	}
}
