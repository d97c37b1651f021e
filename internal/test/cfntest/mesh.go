package cfntest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// Mesh is a deployment of Service Connect services without a load balancer.
type Mesh struct {
	Namespaces []string
	Groups     []MeshGroup
	Services   []MeshService
}

// MeshGroup is a security group. Everything may leave it.
type MeshGroup struct {
	Ports []int // open to Peers, and to the whole VPC without any
	Peers []int // indices of groups
}

// MeshService is a service whose tasks have one container.
type MeshService struct {
	Name      string
	Namespace int // index
	Group     int // index
	Tasks     int
	Container int    // port
	Override  int    // ingress port of the agent; 0 for none
	Client    int    // port of the client alias; 0 for a service without an endpoint
	Protocol  string // AppProtocol; "" for none
	After     []int  // indices of services that are deployed before
}

// Uniform is a mesh of n services of so many tasks in one namespace: each has
// an endpoint, called s0 and on, and one group lets the VPC in.
func Uniform(n, tasks int) Mesh {
	m := Mesh{Namespaces: []string{"mesh"}, Groups: []MeshGroup{{Ports: []int{8080}}}}
	for i := range n {
		m.Services = append(m.Services, MeshService{Name: fmt.Sprintf("s%d", i), Tasks: tasks, Container: 8080, Client: 80, Protocol: "http"})
	}
	return m
}

// RandomMesh draws a mesh of n services: names, groups, namespaces, port modes
// and protocols. Some groups leave a port out that its services need. The same
// generator state gives the same mesh.
func RandomMesh(rng *rand.Rand, n int) Mesh {
	pick := func(of ...int) int { return of[rng.IntN(len(of))] }
	m := Mesh{}
	for i := range 1 + rng.IntN(3) {
		m.Namespaces = append(m.Namespaces, fmt.Sprintf("%s%d.internal", word(rng), i))
	}
	for range 1 + rng.IntN(5) {
		g := MeshGroup{Ports: []int{pick(80, 8080), pick(3000, 8080, 9090)}}
		for range rng.IntN(4) {
			g.Peers = append(g.Peers, rng.IntN(6))
		}
		m.Groups = append(m.Groups, g)
	}
	for i := range m.Groups { // only now it is known how many there are
		for k := range m.Groups[i].Peers {
			m.Groups[i].Peers[k] %= len(m.Groups)
		}
	}
	for i := range n {
		s := MeshService{
			Name: fmt.Sprintf("%s%d", word(rng), i), Namespace: rng.IntN(len(m.Namespaces)), Group: rng.IntN(len(m.Groups)),
			Tasks: pick(0, 1, 1, 1, 1, 2), Container: pick(80, 3000, 8080), Client: pick(80, 80, 8080, 9000, 0), Protocol: "http",
		}
		if rng.IntN(4) == 0 && s.Client != 0 {
			s.Override = 9090
		}
		if rng.IntN(6) == 0 {
			s.Protocol = ""
		}
		if i > 0 { // a chain, so that whose names are known is settled
			s.After = []int{i - 1}
		}
		m.Services = append(m.Services, s)
	}
	return m
}

// word draws a name of a few letters.
func word(rng *rand.Rand) string {
	var b []byte
	for range 1 + rng.IntN(3) {
		b = append(b, "bcdfgklmnprst"[rng.IntN(13)], "aeiou"[rng.IntN(5)])
	}
	return string(b)
}

type object = map[string]any

// Template returns the mesh as a JSON template.
func (m Mesh) Template() []byte {
	attr := func(id, name string) object { return object{"Fn::GetAtt": []string{id, name}} }
	ref := func(id string) object { return object{"Ref": id} }
	res := object{}
	add := func(id, kind string, properties object, dependsOn ...string) {
		r := object{"Type": kind, "Properties": properties}
		if len(dependsOn) > 0 {
			r["DependsOn"] = dependsOn
		}
		res[id] = r
	}
	add("Vpc", "AWS::EC2::VPC", object{"CidrBlock": "10.0.0.0/16"})
	add("SubnetA", "AWS::EC2::Subnet", object{"VpcId": ref("Vpc"), "CidrBlock": "10.0.0.0/20", "AvailabilityZone": "eu-central-1a"})
	add("SubnetB", "AWS::EC2::Subnet", object{"VpcId": ref("Vpc"), "CidrBlock": "10.0.16.0/20", "AvailabilityZone": "eu-central-1b"})
	add("Cluster", "AWS::ECS::Cluster", object{})
	for i, name := range m.Namespaces {
		add(fmt.Sprintf("Namespace%d", i), "AWS::ServiceDiscovery::HttpNamespace", object{"Name": name})
	}
	for i, g := range m.Groups {
		m.addGroup(add, attr, i, g)
	}
	for _, s := range m.Services {
		mapping := object{"Name": "web", "ContainerPort": s.Container, "Protocol": "tcp"}
		if s.Protocol != "" {
			mapping["AppProtocol"] = s.Protocol
		}
		add("Task"+s.Name, "AWS::ECS::TaskDefinition", object{
			"Family": s.Name, "NetworkMode": "awsvpc", "RequiresCompatibilities": []string{"FARGATE"}, "Cpu": "256", "Memory": "512",
			"ContainerDefinitions": []object{{"Name": "app", "Image": "app:1", "Essential": true, "PortMappings": []object{mapping}}},
		})
		connect := object{"Enabled": true, "Namespace": attr(fmt.Sprintf("Namespace%d", s.Namespace), "Arn")}
		if s.Client != 0 {
			endpoint := object{"PortName": "web", "DiscoveryName": s.Name, "ClientAliases": []object{{"Port": s.Client}}}
			if s.Override != 0 {
				endpoint["IngressPortOverride"] = s.Override
			}
			connect["Services"] = []object{endpoint}
		}
		var after []string
		for _, k := range s.After {
			after = append(after, "Service"+m.Services[k].Name)
		}
		add("Service"+s.Name, "AWS::ECS::Service", object{
			"ServiceName": s.Name, "Cluster": ref("Cluster"), "LaunchType": "FARGATE", "DesiredCount": s.Tasks,
			"TaskDefinition": ref("Task" + s.Name), "ServiceConnectConfiguration": connect,
			"NetworkConfiguration": object{"AwsvpcConfiguration": object{
				"SecurityGroups": []object{attr(fmt.Sprintf("Group%d", s.Group), "GroupId")}, "Subnets": []object{ref("SubnetA"), ref("SubnetB")},
			}},
		}, after...)
	}
	out, err := json.MarshalIndent(object{"Resources": res}, "", " ")
	if err != nil {
		panic(err) // strings and numbers: cannot fail
	}
	return append(out, '\n')
}

// addGroup adds a group and, as resources of their own, what it lets in: groups
// may name each other in a circle.
func (m Mesh) addGroup(add func(id, kind string, properties object, dependsOn ...string), attr func(id, name string) object,
	i int, g MeshGroup) {
	id := fmt.Sprintf("Group%d", i)
	add(id, "AWS::EC2::SecurityGroup", object{"GroupDescription": id, "VpcId": object{"Ref": "Vpc"},
		"SecurityGroupEgress": []object{{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1"}}})
	for k, port := range g.Ports {
		rule := func(name string, peer object) {
			peer["GroupId"], peer["IpProtocol"], peer["FromPort"], peer["ToPort"] = attr(id, "GroupId"), "tcp", port, port
			add(fmt.Sprintf("%sPort%d%s", id, k, name), "AWS::EC2::SecurityGroupIngress", peer)
		}
		if len(g.Peers) == 0 {
			rule("Vpc", object{"CidrIp": "10.0.0.0/16"})
		}
		for n, peer := range g.Peers {
			rule(fmt.Sprintf("Peer%d", n), object{"SourceSecurityGroupId": attr(fmt.Sprintf("Group%d", peer), "GroupId")})
		}
	}
}
