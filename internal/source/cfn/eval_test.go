package cfn

import (
	"fmt"
	"strings"
	"testing"
)

// props are declarations that the expressions of TestEval may use.
const props = `
Parameters:
  Env: {Type: String, Default: dev}
  Open: {Type: String}
  List: {Type: CommaDelimitedList, Default: "a, b,c"}
  Port: {Type: Number, Default: 8080}
Mappings:
  Size: {dev: {cpu: 256}, prod: {cpu: 512}}
  Same: {eu-west-1: {port: 80}, us-east-1: {port: 80}}
  Differ: {eu-west-1: {port: 80}, us-east-1: {port: 81}}
Conditions:
  Dev: !Equals [!Ref Env, dev]
  Prod: !Equals [!Ref Env, prod]
  Perhaps: !Equals [!Ref Open, x]
  Itself: !Equals [!Ref Open, !Ref Open]
  DevOrPerhaps: !Or [!Condition Perhaps, !Condition Dev]
  DevAndPerhaps: !And [!Condition Perhaps, !Condition Dev]
  ProdAndPerhaps: !And [!Condition Perhaps, !Condition Prod]
  NotPerhaps: !Not [!Condition Perhaps]
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Group: {Type: AWS::EC2::SecurityGroup}
  Gone: {Type: AWS::EC2::SecurityGroup, Condition: Prod}
  X:
    Type: Test
    Properties:
      V: `

// show renders a value briefly: text as it is, a reference as @…, a list in
// brackets, unknown as ?, with its pattern when it has one.
func show(v Value) string {
	switch v.Kind() {
	case Absent:
		return "-"
	case Scalar:
		t, _ := v.Text()
		return t
	case Reference:
		r, _ := v.Ref()
		return "@" + strings.TrimPrefix(r.String(), "t/")
	case List:
		var out []string
		for _, i := range v.Items() {
			out = append(out, show(i))
		}
		return "[" + strings.Join(out, " ") + "]"
	case Map:
		var out []string
		for _, k := range v.Keys() {
			out = append(out, k+":"+show(v.Get(k)))
		}
		return "{" + strings.Join(out, " ") + "}"
	}
	if p := v.Pattern(); p != "" {
		return "?" + p
	}
	return "?"
}

func TestEval(t *testing.T) {
	tests := []struct{ expr, want string }{
		{`plain`, "plain"},
		{`"8080"`, "8080"},
		{`0x1F90`, "8080"},
		{`0x1_0`, "16"},
		{`yes`, "true"},
		{`"yes"`, "yes"},
		{`~`, "-"},
		{`!Ref Port`, "8080"},
		{`!Ref Open`, "?${t/Open}"},
		{`!Ref List`, "[a b c]"},
		{`!Ref Group`, "@Group"},
		{`!Ref Nobody`, "?${t/Nobody}"},
		{`!Ref Gone`, "?"},
		{`!Ref AWS::NoValue`, "-"},
		{`!Ref AWS::Region`, "?${AWS::Region}"},
		{`!Ref AWS::Nonsense`, "?"},
		{`!Ref [a]`, "?"},
		{`!GetAtt Group.GroupId`, "@Group.GroupId"},
		{`!GetAtt [Group, GroupId]`, "@Group.GroupId"},
		{`!GetAtt [Group, !Sub "${Env}Id"]`, "@Group.devId"},
		{`!GetAtt Nobody.Arn`, "?${t/Nobody.Arn}"},
		{`!GetAtt Group`, "?"},
		{`!GetAtt [Group]`, "?"},
		{`{"Fn::GetAtt": Vpc.CidrBlock}`, "@Vpc.CidrBlock"},
		{`!Join ["-", [a, !Ref Env, !Ref Port]]`, "a-dev-8080"},
		{`!Join ["-", !Ref List]`, "a-b-c"},
		{`!Join ["", [!Ref Group]]`, "@Group"},
		{`!Join ["/", [x, !Ref Group, y]]`, "?x/${t/Group}/y"},
		{`!Join ["-", [a, !Ref AWS::NoValue, b]]`, "a-b"},
		{`!Join ["-", [a, [b]]]`, "?"},
		{`!Join ["-"]`, "?"},
		{`!Join [!Ref Open, [a]]`, "?"},
		{`!Join ["-", !Ref Open]`, "?${Fn::Join}"},
		{`!Sub "${Env}:${Port}"`, "dev:8080"},
		{`!Sub "${Env}-${!Env}"`, "dev-${Env}"},
		{`!Sub "${Group}"`, "@Group"},
		{`!Sub "${Vpc.CidrBlock}"`, "@Vpc.CidrBlock"},
		{`!Sub ["${A}-${Env}", {A: !Ref Port}]`, "8080-dev"},
		{`!Sub ["${Env}", {Env: own}]`, "own"},
		{`!Sub "open ${Env"`, "open ${Env"},
		{`!Sub "${Nobody.Arn}!"`, "?${t/Nobody.Arn}!"},
		{`!Sub [!Ref Env, {}]`, "?"},
		{`!Split [",", "a,b"]`, "[a b]"},
		{`!Split ["||", !Join ["||", [!Ref Group, !Ref Vpc]]]`, "[@Group @Vpc]"},
		{`!Split ["/", !Join ["/", [!Ref Group, b]]]`, "?${Fn::Split}"},
		{`!Split [":", !Sub "arn:${AWS::Partition}:x"]`, "[arn ?${AWS::Partition} x]"},
		{`!Split [",", !Ref Open]`, "?${Fn::Split}"},
		{`!Split ["", abc]`, "?"},
		{`!Select [1, !Ref List]`, "b"},
		{`!Select ["1", [a, b]]`, "b"},
		{`!Select [3, !Ref List]`, "?"},
		{`!Select [-1, !Ref List]`, "?"},
		{`!Select [!Ref Open, !Ref List]`, "?"},
		{`!Select [0, !GetAZs ""]`, "?${Fn::Select}"},
		{`!Select [0, text]`, "?"},
		{`!If [Dev, a, b]`, "a"},
		{`!If [Prod, a, b]`, "b"},
		{`!If [Perhaps, a, b]`, "?${if:t/Perhaps}"},
		{`!If [Perhaps, a, a]`, "a"},
		{`!If [Perhaps, [a, {b: 1}], [a, {b: "1"}]]`, "[a {b:1}]"},
		{`!If [Perhaps, {a: 1}, {a: 2}]`, "?"},
		{`!If [Itself, a, b]`, "a"},
		{`!If [DevOrPerhaps, a, b]`, "a"},
		{`!If [DevAndPerhaps, a, b]`, "?${if:t/DevAndPerhaps}"},
		{`!If [ProdAndPerhaps, a, b]`, "b"},
		{`!If [NotPerhaps, a, b]`, "?${if:t/NotPerhaps}"},
		{`!If [Missing, a, b]`, "?${if:t/Missing}"},
		{`!If [Dev, a]`, "?"},
		{`[!If [Prod, a, !Ref AWS::NoValue], b]`, "[b]"},
		{`!FindInMap [Size, !Ref Env, cpu]`, "256"},
		{`!FindInMap [Same, !Ref AWS::Region, port]`, "80"},
		{`!FindInMap [Differ, !Ref AWS::Region, port]`, "?"},
		{`!FindInMap [Size, test, cpu]`, "?"},
		{`!FindInMap [Size, test, cpu, {DefaultValue: 9}]`, "9"},
		{`!FindInMap [None, a, b]`, "?"},
		{`!Base64 hello`, "aGVsbG8="},
		{`!Base64 {Ref: Open}`, "?${Fn::Base64}"},
		{`!Cidr [10.0.0.0/16, 3, 8]`, "[10.0.0.0/24 10.0.1.0/24 10.0.2.0/24]"},
		{`!Cidr [!GetAtt Vpc.CidrBlock, 2, 12]`, "[10.0.0.0/20 10.0.16.0/20]"},
		{`!Cidr ["2001:db8::/56", 2, 64]`, "[2001:db8::/64 2001:db8:0:1::/64]"},
		{`!Cidr ["2001:db8::/32", 2, 72]`, "[2001:db8::/56 2001:db8:0:100::/56]"},
		{`!Cidr [10.0.0.0/24, 2, 8]`, "?"},
		{`!Cidr [10.0.0.0/24, 1, 8]`, "[10.0.0.0/24]"},
		{`!Cidr [10.0.0.0/16, 257, 4]`, "?"},
		{`!Cidr [!Ref Open, 2, 8]`, "?"},
		{`!Cidr [nonsense, 2, 8]`, "?"},
		{`!Length [a, b]`, "2"},
		{`!Length text`, "?"},
		{`!ImportValue nobody`, "?${import:nobody}"},
		{`!ImportValue {Ref: Open}`, "?${import:${t/Open}}"},
		{`!GetStackOutput {StackName: s, OutputName: o}`, "?${output:s.o}"},
		{`!Transform {Name: AWS::Include}`, "?"},
		{`!Equals [a, b]`, "?"},
		{`"{{resolve:ssm:/a/b}}"`, "?${ssm:/a/b}"},
		{`"{{resolve:secretsmanager:x}}"`, "?${dynamic:{{resolve:secretsmanager:x}}}"},
		{`{Ref: a, b: c}`, "{Ref:a b:c}"},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			a, err := Parse("t.yaml", []byte(props+tt.expr+"\n"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			v := a.Stacks[0].Resource("X").Prop("V")
			if got := show(v); got != tt.want {
				t.Errorf("got %s, want %s (%s)", got, tt.want, v.Why())
			}
			if v.IsUnknown() && !strings.HasPrefix(v.Why(), "t.yaml:") {
				t.Errorf("the reason has no place: %q", v.Why())
			}
		})
	}
}

// TestParams checks where the value of a parameter comes from.
func TestParams(t *testing.T) {
	const text = `
Parameters:
  A: {Type: String, Default: default}
  L: {Type: List<Number>}
  S: {Type: "AWS::SSM::Parameter::Value<String>", Default: /made/here}
  T: {Type: "AWS::SSM::Parameter::Value<String>", Default: /made/elsewhere}
Resources:
  P: {Type: AWS::SSM::Parameter, Properties: {Name: /made/here, Value: found}}
  X: {Type: Test, Properties: {V: [!Ref A, !Ref L, !Ref S, !Ref T, !Ref AWS::Region, !Ref AWS::StackName]}}
`
	tests := []struct {
		params map[string]string
		want   string
	}{
		{nil, "[default ?${t/L} found ?${ssm:/made/elsewhere} ?${AWS::Region} ?${AWS::StackName}]"},
		{map[string]string{"A": "given", "L": "1, 2", "T": "x", "AWS::Region": "eu-west-1"},
			"[given [1 2] found x eu-west-1 ?${AWS::StackName}]"},
		{map[string]string{"t:A": "one", "A": "all", "t:AWS::StackName": "me"}, "[one ?${t/L} found ?${ssm:/made/elsewhere} ?${AWS::Region} me]"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.params), func(t *testing.T) {
			a, err := Parse("t.yaml", []byte(text), Options{Params: tt.params})
			if err != nil {
				t.Fatal(err)
			}
			if got := show(a.Stacks[0].Resource("X").Prop("V")); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestScalars(t *testing.T) {
	tests := []struct {
		text string
		n    int
		okN  bool
		b    bool
		okB  bool
	}{
		{`80`, 80, true, false, false},
		{`"80"`, 80, true, false, false},
		{`80.0`, 80, true, false, false},
		{`1e3`, 1000, true, false, false},
		{`80.5`, 0, false, false, false},
		{`1e400`, 0, false, false, false},
		{`-1`, -1, true, false, false},
		{`true`, 0, false, true, true},
		{`"False"`, 0, false, false, true},
		{`on`, 0, false, true, true},
	}
	for _, tt := range tests {
		a, err := Parse("t.yaml", []byte(props+tt.text+"\n"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		v := a.Stacks[0].Resource("X").Prop("V")
		if n, ok := v.Int(); n != tt.n || ok != tt.okN {
			t.Errorf("%s: Int %d, %t; want %d, %t", tt.text, n, ok, tt.n, tt.okN)
		}
		if b, ok := v.Bool(); b != tt.b || ok != tt.okB {
			t.Errorf("%s: Bool %t, %t; want %t, %t", tt.text, b, ok, tt.b, tt.okB)
		}
	}
}
