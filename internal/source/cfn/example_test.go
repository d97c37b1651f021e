package cfn_test

import (
	"fmt"

	"github.com/hoplab/hoplab/internal/source/cfn"
)

func ExampleParse() {
	template := `
Parameters:
  Port: {Type: Number, Default: 8080}
  Peer: {Type: AWS::EC2::SecurityGroup::Id}
Resources:
  App: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: app}}
  FromPeer:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: {GroupId: !GetAtt App.GroupId, FromPort: !Ref Port, SourceSecurityGroupId: !Ref Peer}
`
	a, err := cfn.Parse("app.yaml", []byte(template), cfn.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	rule := a.Stacks[0].Resource("FromPeer")
	port, _ := rule.Prop("FromPort").Int()
	group, _ := rule.Prop("GroupId").Ref()
	fmt.Println(port, group)
	fmt.Println(rule.Prop("SourceSecurityGroupId").Why())
	// Output:
	// 8080 app/App.GroupId
	// app.yaml:9: parameter Peer has no default; settle it with --param Peer=VALUE
}

func ExampleValue_Pattern() {
	template := `{"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"ManagedPolicyArns": [
  {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/AmazonS3FullAccess"]]}]}}}}`
	a, err := cfn.Parse("role.json", []byte(template), cfn.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range a.Stacks[0].Resource("Role").Prop("ManagedPolicyArns").Items() {
		fmt.Println(v.IsUnknown(), v.Pattern())
		fmt.Println(v.Tail())
	}
	// Output:
	// true arn:${AWS::Partition}:iam::aws:policy/AmazonS3FullAccess
	// :iam::aws:policy/AmazonS3FullAccess
}
