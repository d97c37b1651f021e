package resource

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/lab"
)

// types name the resources of each type that is modelled.
var types = map[string]func(namer) stack.Identity{
	"AWS::CDK::Metadata": unnamed,
	"AWS::CertificateManager::Certificate": func(n namer) stack.Identity {
		arn := n.arn("acm", "certificate/00000000-"+n.hex("a", 4)+"-"+n.hex("b", 4)+"-"+n.hex("c", 4)+"-"+n.hex("d", 12))
		return stack.Identity{PhysicalID: arn, ARN: arn}
	},
	"AWS::EC2::EIP": func(n namer) stack.Identity {
		last, _ := strconv.ParseUint(n.hex("ip", 2), 16, 8)
		ip := fmt.Sprintf("203.0.113.%d", last) // of TEST-NET-3
		return stack.Identity{PhysicalID: ip, Attributes: attributes{"PublicIp": ip, "AllocationId": n.id("eipalloc")}}
	},
	"AWS::EC2::EgressOnlyInternetGateway": plain("eigw", "Id"),
	"AWS::EC2::FlowLog":                   plain("fl", "Id"),
	"AWS::EC2::Instance": func(n namer) stack.Identity {
		id := lab.InstanceID(n.topologyID())
		return stack.Identity{PhysicalID: id, ARN: n.arn("ec2", "instance/"+id), Attributes: attributes{"InstanceId": id}}
	},
	"AWS::EC2::InternetGateway": plain("igw", "InternetGatewayId"),
	"AWS::EC2::NatGateway":      plain("nat", "NatGatewayId"),
	"AWS::EC2::Route":           unnamed,
	"AWS::EC2::RouteTable":      plain("rtb", "RouteTableId"),
	"AWS::EC2::SecurityGroup": func(n namer) stack.Identity {
		i := ec2("sg", "security-group", "GroupId", "Id")(n)
		i.Attributes["VpcId"] = n.text("VpcId")
		name, _ := n.name("GroupName", 255)
		i.Attributes["GroupName"] = name
		return i
	},
	"AWS::EC2::SecurityGroupEgress":  plain("sgr", "Id"),
	"AWS::EC2::SecurityGroupIngress": plain("sgr", "Id"),
	"AWS::EC2::Subnet": func(n namer) stack.Identity {
		i := ec2("subnet", "subnet", "SubnetId")(n)
		for _, a := range []string{"AvailabilityZone", "CidrBlock", "VpcId"} {
			i.Attributes[a] = n.text(a)
		}
		i.Attributes["Ipv6CidrBlocks"] = account.List(n.r.Properties, "Ipv6CidrBlock")
		i.Attributes["NetworkAclAssociationId"] = n.id("aclassoc")
		return i
	},
	"AWS::EC2::SubnetRouteTableAssociation": plain("rtbassoc", "Id"),
	"AWS::EC2::VPC": func(n namer) stack.Identity {
		i := ec2("vpc", "vpc", "VpcId")(n)
		i.Attributes["CidrBlock"] = n.text("CidrBlock")
		i.Attributes["DefaultSecurityGroup"], i.Attributes["DefaultNetworkAcl"] = n.id("sg"), n.id("acl")
		// A block of 2001:db8::/32, which is for documentation: its VPCCidrBlock asks for one.
		i.Attributes["Ipv6CidrBlocks"] = []any{"2001:db8:" + n.hex("six", 3) + "::/56"}
		return i
	},
	"AWS::EC2::VPCCidrBlock":         plain("vpc-cidr-assoc", "Id"),
	"AWS::EC2::VPCEndpoint":          plain("vpce", "Id"),
	"AWS::EC2::VPCGatewayAttachment": unnamed,
	"AWS::ECR::Repository": func(n namer) stack.Identity {
		i := named("ecr", "repository/", "RepositoryName", 256, "")(n)
		i.Attributes["RepositoryUri"] = account.ID + ".dkr.ecr." + n.p.Region + ".amazonaws.com/" + i.PhysicalID
		return i
	},
	"AWS::ECS::Cluster": named("ecs", "cluster/", "ClusterName", 255, ""),
	typeService:         service,
	typeTaskDefinition:  taskDefinition,
	"AWS::ElasticLoadBalancingV2::Listener": func(n namer) stack.Identity {
		return elb(n, "listener/"+below(n.text("LoadBalancerArn"), "loadbalancer")+"/"+n.hex("listener", 16), "ListenerArn")
	},
	"AWS::ElasticLoadBalancingV2::ListenerRule": func(n namer) stack.Identity {
		return elb(n, "listener-rule/"+below(n.text("ListenerArn"), "listener")+"/"+n.hex("rule", 16), "RuleArn")
	},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": loadBalancer,
	"AWS::ElasticLoadBalancingV2::TargetGroup":  targetGroup,
	"AWS::IAM::InstanceProfile":                 iam("instance-profile", "InstanceProfileName", false, "Arn"),
	"AWS::IAM::ManagedPolicy":                   iam("policy", "ManagedPolicyName", true, "PolicyArn"),
	"AWS::IAM::Policy":                          unnamed,
	"AWS::IAM::Role":                            iam("role", "RoleName", false, "Arn"),
	"AWS::KMS::Alias": func(n namer) stack.Identity {
		return stack.Identity{PhysicalID: n.text("AliasName"), Name: n.text("AliasName")}
	},
	"AWS::KMS::Key": func(n namer) stack.Identity {
		id := strings.Join([]string{"00000000", n.hex("a", 4), n.hex("b", 4), n.hex("c", 4), n.hex("d", 12)}, "-")
		arn := n.arn("kms", "key/"+id)
		return stack.Identity{PhysicalID: id, ARN: arn, Attributes: attributes{"Arn": arn, "KeyId": id}}
	},
	"AWS::Lambda::Function": named("lambda", "function:", "FunctionName", 64, ""),
	"AWS::Logs::LogGroup":   named("logs", "log-group:", "LogGroupName", 512, ":*"),
	"AWS::Route53::RecordSet": func(n namer) stack.Identity {
		return stack.Identity{PhysicalID: n.text("Name")}
	},
	typeBucket: bucket,
	"AWS::S3::BucketPolicy": func(n namer) stack.Identity {
		return stack.Identity{PhysicalID: n.text("Bucket")}
	},
	typeParameter: func(n namer) stack.Identity {
		name, given := n.name("Name", 2048)
		return stack.Identity{PhysicalID: name, Name: chosen(name, given), ARN: n.arn("ssm", "parameter/"+strings.TrimPrefix(name, "/")),
			Attributes: attributes{"Value": n.text("Value"), "Type": n.text("Type")}}
	},
	"AWS::ServiceDiscovery::HttpNamespace":       namespace,
	"AWS::ServiceDiscovery::PrivateDnsNamespace": namespace,
	"AWS::ServiceDiscovery::Service": func(n namer) stack.Identity {
		id := "srv-0" + n.hex("srv", 15)
		arn := n.arn("servicediscovery", "service/"+id)
		return stack.Identity{PhysicalID: id, ARN: arn, Attributes: attributes{"Arn": arn, "Id": id, "Name": n.text("Name")}}
	},
	"AWS::StepFunctions::StateMachine": func(n namer) stack.Identity {
		name, given := n.name("StateMachineName", 80)
		arn := n.arn("states", "stateMachine:"+name)
		return stack.Identity{PhysicalID: arn, ARN: arn, Name: chosen(name, given), Attributes: attributes{
			"Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL"}}
	},
	typeAutoDelete: unnamed,
}

func namespace(n namer) stack.Identity {
	id := "ns-0" + n.hex("ns", 15)
	arn := n.arn("servicediscovery", "namespace/"+id)
	return stack.Identity{PhysicalID: id, ARN: arn, Attributes: attributes{
		"Arn": arn, "Id": id, "HostedZoneId": "Z0" + strings.ToUpper(n.hex("zone", 12))}}
}
