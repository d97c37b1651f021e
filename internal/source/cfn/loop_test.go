package cfn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
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

// TestLoopsAreBounded: loops multiply what a short template says, in values
// and in text; beyond the limit that is an error with its place, at once.
func TestLoopsAreBounded(t *testing.T) {
	inside := func(depth int, body string) string {
		for i := range depth {
			body = fmt.Sprintf(`{"Fn::ForEach::L%d":["i%d",["0","1","2","3","4","5","6","7","8","9"],%s]}`, i, i, body)
		}
		return body
	}
	long := strings.Repeat("y", maxText-10)
	of := func(id, properties string) string {
		return fmt.Sprintf(`{"Fn::ForEach::L":["x",[{"Ref":"P"}],{"R":{"Type":"AWS::SQS::Queue","%s":%s}}]}`, id, properties)
	}
	for name, resources := range map[string]string{
		"loops in loops":        inside(8, `{"R${i0}${i7}":{"Type":"AWS::SQS::Queue"}}`),
		"loops without a body":  inside(12, `{}`),
		"a long item in a text": of("Properties", `{"D":"`+strings.Repeat("${x}", 50_000)+`"}`),
		"a long item in texts":  of("Properties", `["${x}"`+strings.Repeat(`,"&{x}"`, 50_000)+`]`),
		"a long item in a name": of(strings.Repeat("${x}", 50_000), `{}`),
	} {
		text := `{"Parameters":{"P":{"Type":"String","Default":"` + long + `"}},"Resources":` + resources + `}`
		start := time.Now()
		_, err := Parse("t.json", []byte(text), Options{})
		if fail.CodeOf(err) != fail.Usage || !strings.Contains(fmt.Sprint(err), "t.json:1: Fn::ForEach writes out more than") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}
