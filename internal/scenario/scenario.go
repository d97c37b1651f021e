// Package scenario writes small deployments: one app behind an internal
// application load balancer and a Service Connect client, as a CloudFormation
// template. Situations, lessons and generated tests are made of them, and are
// read as any template is.
package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/topology"
)

// Config says what a deployment looks like. The zero value is not usable;
// start from Default.
type Config struct {
	Name string // for messages

	ContainerPort int
	AppProtocol   string // "http", "http2", "grpc", or "" for TCP
	Override      *int   // ingressPortOverride; nil for the default mode
	AliasPort     int
	AliasName     string // DnsName of the alias; "" for app.<namespace>
	PerRequestS   *int
	IdleS         *int
	Connect       bool // the app publishes itself with Service Connect

	TLS         bool   // Service Connect TLS on the endpoint
	TargetTLS   bool   // the target group and its health check speak HTTPS
	AccessLog   string // format of the agents' access log, "TEXT" or "JSON"; "" for none
	BlueGreen   bool   // deployed by ECS blue/green
	Breaker     bool   // the deployment circuit breaker is on, with rollback
	NameOnly    bool   // the namespace is a private DNS one and given by its name
	Others      []Other
	AppName     string // of the app's port mapping; "" for PortName
	ServiceName string // of the app's service; "" leaves it to Amazon ECS
	// ClusterNamespace is the cluster's default namespace by name, "" for none;
	// the services name their own all the same.
	ClusterNamespace string
	ClientImage      string // of the client; "" for "client"
	ClientEnv        map[string]string
	Image            string // image of the app, for rules that look at it; "" for "app"

	Tasks int
	App   map[string]string // environment of the app container

	Listener       int
	HTTPS          bool // a second listener, on 443, with a certificate
	ALB            bool
	Health         Health
	IdleTimeoutS   int      // of the load balancer; 0 leaves AWS's 60
	DefaultAction  Action   // the listener's
	Rules          []Rule   // listener rules, by priority
	DeregisterS    int      // deregistration delay
	GraceS         int      // health-check grace period; long in Default, so that an unhealthy task stays to be looked at
	ExtraIngress   []int    // further ports of the app's group open to the VPC
	ALBEgress      []int    // ports that the load balancer may reach in the app's group; nil for all
	NoALBEgress    bool     // the load balancer's group lets nothing out
	ALBIngress     []int    // ports of the load balancer open to the VPC; nil for the listener's
	AppFromALB     []int    // ports of the app's group open to the load balancer
	AppFromClient  []int    // ports of the app's group open to the client
	InlineRules    bool     // those two stand in the group itself; else each is a resource of its own
	ClientEgress   []int    // ports that the client may reach in the VPC; nil for all
	Client         bool     // there is a client service
	ClientConnect  bool     // it uses Service Connect
	OtherNamespace bool     // its namespace is another one
	ClientFirst    bool     // it is deployed before the app
	RegisterNobody bool     // the service names no target group
	Suppress       []string // rule ids accepted on the app service
}

// Other is a further service of the namespace, deployed before the app. Its
// ports are published under one name.
type Other struct {
	Name  string // of the service and of its port mappings
	Alias string // DnsName; "" for Name
	Ports []int
}

// Health is the target group's health check.
type Health struct {
	Path      string
	Port      string // "traffic-port" or a number
	Matcher   string
	IntervalS int
	TimeoutS  int
	Healthy   int
	Unhealthy int
}

// Action is a listener's or rule's action; the zero value forwards to the app.
type Action struct {
	Redirect string // status code, e.g. "HTTP_301": to https
	Fixed    int    // status of a fixed response
	Body     string
}

// Rule is a listener rule on a path.
type Rule struct {
	Path   string
	Action Action
}

// Default is a deployment in which everything works: default mode, the
// article's ports, health checks that find out quickly.
func Default() Config {
	return Config{
		Name: "default", ContainerPort: 80, AppProtocol: "http", AliasPort: 80, Connect: true, Tasks: 1,
		Listener: 80, ALB: true, AppFromALB: []int{80}, AppFromClient: []int{80},
		Health:      Health{Path: "/", Port: "traffic-port", Matcher: "200", IntervalS: 10, TimeoutS: 5, Healthy: 2, Unhealthy: 2},
		DeregisterS: 5, GraceS: 7200, Client: true, ClientConnect: true,
	}
}

// The names in every scenario.
const (
	Namespace     = "sample-namespace"
	AppService    = "AppService"
	ClientService = "ClientService"
	PortName      = "app"
)

// Endpoint is the name under which clients call the app.
func (c *Config) Endpoint() string {
	if c.AliasName != "" {
		return c.AliasName
	}
	return cmp.Or(c.AppName, PortName) + "." + Namespace
}

// Ingress is the port on which the agent is reached from outside the task.
func (c *Config) Ingress() int {
	if c.Override != nil {
		return *c.Override
	}
	return c.ContainerPort
}

type object = map[string]any

func ref(id string) object         { return object{"Ref": id} }
func get(id, attribute string) any { return object{"Fn::GetAtt": []string{id, attribute}} }

// Template is the deployment as a CloudFormation template in JSON.
func (c *Config) Template() []byte {
	r := object{}
	c.network(r)
	c.groups(r)
	c.app(r)
	for _, o := range c.Others {
		c.other(r, o)
	}
	if c.ALB {
		c.balancer(r)
	}
	if c.Client {
		c.client(r)
	}
	out, err := json.MarshalIndent(object{"AWSTemplateFormatVersion": "2010-09-09", "Resources": r}, "", " ")
	if err != nil {
		panic(fmt.Sprintf("scenario %s does not encode: %v", c.Name, err)) // plain maps always do
	}
	return append(out, '\n')
}

// Topology is the deployment as hoplab reads it from its template.
func (c *Config) Topology() (*topology.Topology, error) {
	a, err := cfn.Parse(c.Name+".json", c.Template(), cfn.Options{})
	if err != nil {
		return nil, err
	}
	return deployment.FromTemplates(a)
}

func resource(kind string, properties object) object {
	return object{"Type": kind, "Properties": properties}
}

func (c *Config) network(r object) {
	r["Vpc"] = resource("AWS::EC2::VPC", object{"CidrBlock": "10.0.0.0/16"})
	for i, zone := range []string{"SubnetA", "SubnetB"} {
		r[zone] = resource("AWS::EC2::Subnet", object{
			"VpcId": ref("Vpc"), "CidrBlock": fmt.Sprintf("10.0.%d.0/24", i+1),
			"AvailabilityZone": object{"Fn::Select": []any{i, object{"Fn::GetAZs": ""}}},
		})
	}
	r["Namespace"] = resource("AWS::ServiceDiscovery::HttpNamespace", object{"Name": Namespace})
	if c.NameOnly {
		r["Namespace"] = resource("AWS::ServiceDiscovery::PrivateDnsNamespace", object{"Name": Namespace, "Vpc": ref("Vpc")})
	}
	if c.OtherNamespace {
		r["Elsewhere"] = resource("AWS::ServiceDiscovery::HttpNamespace", object{"Name": "elsewhere"})
	}
	cluster := object{}
	if c.ClusterNamespace != "" {
		cluster["ServiceConnectDefaults"] = object{"Namespace": c.ClusterNamespace}
	}
	r["Cluster"] = resource("AWS::ECS::Cluster", cluster)
}

func tcp(port int, peer string, group any) object {
	return object{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, peer: group}
}

func (c *Config) groups(r object) {
	open := []object{{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}}
	// CDK's way to write a group that lets nothing out.
	closed := []object{{"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32"}}
	group := func(id string, egress []object, ingress []object) {
		p := object{"GroupDescription": id, "VpcId": ref("Vpc"), "SecurityGroupEgress": egress}
		if len(ingress) > 0 {
			p["SecurityGroupIngress"] = ingress
		}
		r[id] = resource("AWS::EC2::SecurityGroup", p)
	}
	var extra []object
	for _, p := range c.ExtraIngress {
		extra = append(extra, tcp(p, "CidrIp", "10.0.0.0/16"))
	}
	group("AppSg", open, extra)
	if c.ALB {
		c.albGroup(r, group, open, closed)
	}
	if !c.Client {
		return
	}
	egress := open
	if c.ClientEgress != nil {
		egress = closed
		for i, p := range c.ClientEgress {
			if i == 0 {
				egress = nil
			}
			egress = append(egress, tcp(p, "CidrIp", "10.0.0.0/16"))
		}
	}
	group("ClientSg", egress, nil)
	c.ingress(r, "Client", c.AppFromClient)
}

func (c *Config) albGroup(r object, group func(string, []object, []object), open, closed []object) {
	ports := c.ALBIngress
	if ports == nil {
		ports = []int{c.Listener}
		if c.HTTPS {
			ports = append(ports, 443)
		}
	}
	var in []object
	for _, p := range ports {
		in = append(in, tcp(p, "CidrIp", "10.0.0.0/16"))
	}
	egress := open
	if c.NoALBEgress || c.ALBEgress != nil {
		egress = closed
	}
	group("AlbSg", egress, in)
	if c.ALBEgress != nil && !c.NoALBEgress {
		delete(r["AlbSg"].(object)["Properties"].(object), "SecurityGroupEgress")
		for _, p := range c.ALBEgress {
			e := tcp(p, "DestinationSecurityGroupId", get("AppSg", "GroupId"))
			e["GroupId"] = get("AlbSg", "GroupId")
			r["AlbEgress"+strconv.Itoa(p)] = resource("AWS::EC2::SecurityGroupEgress", e)
		}
		if len(c.ALBEgress) == 0 {
			r["AlbSg"].(object)["Properties"].(object)["SecurityGroupEgress"] = closed
		}
	}
	c.ingress(r, "Alb", c.AppFromALB)
}

// ingress opens ports of the app's group to the group of who ("Alb", "Client").
func (c *Config) ingress(r object, who string, ports []int) {
	for _, p := range ports {
		e := tcp(p, "SourceSecurityGroupId", get(who+"Sg", "GroupId"))
		if c.InlineRules {
			group := r["AppSg"].(object)["Properties"].(object)
			inline, _ := group["SecurityGroupIngress"].([]object)
			group["SecurityGroupIngress"] = append(inline, e)
			continue
		}
		e["GroupId"] = get("AppSg", "GroupId")
		r["AppFrom"+who+strconv.Itoa(p)] = resource("AWS::EC2::SecurityGroupIngress", e)
	}
}

func environment(env map[string]string) []object {
	names := make([]string, 0, len(env))
	for k := range env {
		names = append(names, k)
	}
	sort.Strings(names)
	out := []object{}
	for _, k := range names {
		out = append(out, object{"Name": k, "Value": env[k]})
	}
	return out
}
