package resource

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// namer makes the ids of one resource.
type namer struct {
	p *Provider
	r stack.Resource
}

// hex returns n hexadecimal digits, at most 64, that are the resource's own;
// label tells several of them apart.
func (n namer) hex(label string, digits int) string {
	h := sha256.Sum256([]byte(n.r.StackID + "\x00" + n.r.Key + "\x00" + label))
	return hex.EncodeToString(h[:])[:digits]
}

// id is an id as EC2 has them: 17 digits, the first a zero, as here no other is sure.
func (n namer) id(prefix string) string { return prefix + "-0" + n.hex(prefix, 16) }

func (n namer) text(names ...string) string { return account.Text(n.r.Properties, names...) }

// name is the name that a property gives, or one as CloudFormation makes it, of
// at most so many characters.
func (n namer) name(property string, most int) (name string, given bool) {
	if name = n.text(property); name != "" {
		return name, true
	}
	suffix := "-" + strings.ToUpper(n.hex("name", 12))
	name = n.r.Stack + "-" + n.r.LogicalID
	return strings.TrimRight(name[:min(len(name), most-len(suffix))], "-") + suffix, false
}

// chosen is a name that the template gives, which no other resource may have.
func chosen(name string, given bool) string {
	if given {
		return name
	}
	return ""
}

func (n namer) arn(service, rest string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, n.p.Region, account.ID, rest)
}

func (n namer) topologyID() topology.ID { return topology.ID(n.r.Stack + "/" + n.r.Key) }

type attributes = map[string]any

// plain is a resource with an id and nothing else.
func plain(prefix string, names ...string) func(namer) stack.Identity {
	return func(n namer) stack.Identity {
		i := stack.Identity{PhysicalID: n.id(prefix), Attributes: attributes{}}
		for _, a := range names {
			i.Attributes[a] = i.PhysicalID
		}
		return i
	}
}

// ec2 is a resource of EC2: it has an id and an ARN made of it.
func ec2(prefix, kind string, names ...string) func(namer) stack.Identity {
	return func(n namer) stack.Identity {
		i := plain(prefix, names...)(n)
		i.ARN = n.arn("ec2", kind+"/"+i.PhysicalID)
		return i
	}
}

// unnamed is a resource whose id is a name that CloudFormation makes.
func unnamed(n namer) stack.Identity {
	name, _ := n.name("", 128)
	return stack.Identity{PhysicalID: name, Attributes: attributes{"Id": name}}
}

// iam is a resource of IAM, which has no region.
func iam(kind, property string, refIsARN bool, arnName string) func(namer) stack.Identity {
	return func(n namer) stack.Identity {
		name, given := n.name(property, 64)
		path := n.text("Path")
		if path == "" {
			path = "/"
		}
		arn := "arn:aws:iam::" + account.ID + ":" + kind + path + name
		i := stack.Identity{PhysicalID: name, ARN: arn, Name: chosen(name, given), Attributes: attributes{
			arnName: arn, kindID(kind): "AROA" + strings.ToUpper(n.hex("id", 17))}}
		if refIsARN {
			i.PhysicalID = arn
		}
		return i
	}
}

func kindID(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] + "Id" }

// elb is a resource of Elastic Load Balancing whose Ref is its ARN.
func elb(n namer, path, arnName string) stack.Identity {
	arn := n.arn("elasticloadbalancing", path)
	return stack.Identity{PhysicalID: arn, ARN: arn, Attributes: attributes{arnName: arn}}
}

// below is the part of a load balancer's or listener's ARN from its kind on.
func below(arn, kind string) string {
	_, rest, _ := strings.Cut(arn, ":"+kind+"/")
	return rest
}

func loadBalancer(n namer) stack.Identity {
	name, given := n.name("Name", 32)
	full := "app/" + name + "/" + n.hex("lb", 16)
	if n.text("Type") == "network" {
		full = "net/" + strings.TrimPrefix(full, "app/")
	}
	i := elb(n, "loadbalancer/"+full, "LoadBalancerArn")
	i.Name = chosen(name, given)
	labName := ""
	if given {
		labName = name
	}
	i.Attributes["DNSName"] = lab.DNSName(n.topologyID(), labName, n.text("Scheme") != "internet-facing")
	i.Attributes["LoadBalancerFullName"], i.Attributes["LoadBalancerName"] = full, name
	i.Attributes["CanonicalHostedZoneID"] = "Z0" + strings.ToUpper(n.hex("zone", 12))
	i.Attributes["SecurityGroups"] = account.List(n.r.Properties, "SecurityGroups")
	return i
}

func targetGroup(n namer) stack.Identity {
	name, given := n.name("Name", 32)
	full := "targetgroup/" + name + "/" + n.hex("tg", 16)
	i := elb(n, full, "TargetGroupArn")
	i.Name = chosen(name, given)
	i.Attributes["TargetGroupFullName"], i.Attributes["TargetGroupName"] = full, name
	return i
}

func taskDefinition(n namer) stack.Identity {
	family, _ := n.name("Family", 255)
	if n.text("Family") == "" {
		family = n.r.Stack + n.r.LogicalID // it stays the same, so that revisions count
	}
	arn := n.arn("ecs", fmt.Sprintf("task-definition/%s:%d", family, n.p.Revision(family)))
	return stack.Identity{PhysicalID: arn, ARN: arn, Attributes: attributes{"TaskDefinitionArn": arn}}
}

func service(n namer) stack.Identity {
	name, given := n.name("ServiceName", 255)
	cluster := n.text("Cluster")
	if cluster == "" {
		cluster = "default"
	}
	cluster = cluster[strings.LastIndexByte(cluster, '/')+1:]
	arn := n.arn("ecs", "service/"+cluster+"/"+name)
	return stack.Identity{PhysicalID: arn, ARN: arn, Name: chosen(name, given), Attributes: attributes{"Name": name, "ServiceArn": arn}}
}

func bucket(n namer) stack.Identity {
	name, given := n.name("BucketName", 63)
	name = strings.ToLower(name)
	return stack.Identity{PhysicalID: name, ARN: "arn:aws:s3:::" + name, Name: chosen(name, given), Attributes: attributes{
		"Arn": "arn:aws:s3:::" + name, "DomainName": name + ".s3.amazonaws.com",
		"RegionalDomainName":  name + ".s3." + n.p.Region + ".amazonaws.com",
		"DualStackDomainName": name + ".s3.dualstack." + n.p.Region + ".amazonaws.com",
		"WebsiteURL":          "http://" + name + ".s3-website." + n.p.Region + ".amazonaws.com"}}
}

// named is a resource whose Ref is a name and which has an ARN.
func named(svc, prefix, property string, most int, suffix string) func(namer) stack.Identity {
	return func(n namer) stack.Identity {
		name, given := n.name(property, most)
		arn := n.arn(svc, prefix+name+suffix)
		return stack.Identity{PhysicalID: name, ARN: arn, Name: chosen(name, given), Attributes: attributes{"Arn": arn}}
	}
}
