package cfn

import "strings"

// mirrored lists attributes that return what a property says, per type; the
// empty attribute is Ref. Their values are known before deployment when the
// property is set.
var mirrored = map[string]map[string]string{
	"AWS::EC2::VPC":                             {"CidrBlock": "CidrBlock"},
	"AWS::EC2::Subnet":                          {"CidrBlock": "CidrBlock", "AvailabilityZone": "AvailabilityZone", "VpcId": "VpcId"},
	"AWS::EC2::SecurityGroup":                   {"VpcId": "VpcId", "GroupName": "GroupName"},
	"AWS::ECS::Cluster":                         {"": "ClusterName"},
	"AWS::ECS::Service":                         {"Name": "ServiceName"},
	"AWS::ECR::Repository":                      {"": "RepositoryName"},
	"AWS::IAM::Role":                            {"": "RoleName"},
	"AWS::Logs::LogGroup":                       {"": "LogGroupName"},
	"AWS::SSM::Parameter":                       {"": "Name", "Value": "Value"},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": {"LoadBalancerName": "Name"},
	"AWS::ElasticLoadBalancingV2::TargetGroup":  {"TargetGroupName": "Name"},
	"AWS::ElasticLoadBalancingV2::TrustStore":   {"": "Name"},
	"AWS::ServiceDiscovery::Service":            {"Name": "Name"},
}

// Deref returns the property that a mirrored attribute repeats, when the
// property is set and known; any other value is returned as it is.
func Deref(v Value) Value {
	for range maxChain {
		ref, ok := v.Ref()
		if !ok {
			return v
		}
		prop, ok := mirrored[ref.Resource.Type][ref.Attr]
		if !ok {
			return v
		}
		w := ref.Resource.Prop(strings.Split(prop, ".")...)
		if w.kind == Absent || w.kind == List || w.kind == Map {
			return v
		}
		v = w
	}
	return v
}
