// Package topology is the model of a deployment that everything else reasons
// over: hosts and their ports, security groups, load balancers, target
// groups, services with their Service Connect endpoints, and who is deployed
// before whom.
//
// The readers below internal/source build it, and tests do by hand; reach
// predicts over it and lab runs it. It imports none of them. A value that the
// source does not settle is carried as unknown with the reason, and whoever
// needs it answers "unknown".
//
// A Topology is data: build it, then only read it, through the Index that
// NewIndex makes of it. Reading is safe from several goroutines.
package topology

import "net/netip"

// ID identifies a thing of one kind: "Stack/LogicalID" for CloudFormation,
// the resource address for Terraform. Equal IDs mean the same resource,
// however it was referred to.
type ID string

// Origin says where a thing was declared, so that a finding can point at it.
type Origin struct {
	ID    ID     `json:"id"`
	Stack string `json:"stack,omitempty"`
	Type  string `json:"type,omitempty"` // e.g. "AWS::ECS::Service"
	Path  string `json:"path,omitempty"` // CDK construct path (aws:cdk:path), if any
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"` // from 1; 0 when not known
	// Suppress lists rule ids that the source suppresses on this resource, with the reason.
	Suppress []Suppression `json:"suppress,omitempty"`
	// Maybe is set when a condition that is not settled decides whether the
	// thing exists at all; it says why.
	Maybe string `json:"maybe,omitempty"`
	// When is the formula behind Maybe; nil when none is known, or the thing
	// always exists.
	When *When `json:"-"`
}

// Suppression is a finding that the template's author accepted, and why.
type Suppression struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// Topology is one deployment: all templates of an assembly together.
type Topology struct {
	Name           string // what it was read from, for messages
	VPCs           []*VPC
	Subnets        []*Subnet
	Namespaces     []*Namespace
	SecurityGroups []*SecurityGroup
	LoadBalancers  []*LoadBalancer
	TargetGroups   []*TargetGroup
	Services       []*Service
	Clusters       []*Cluster
	Standalone     []*TaskDefinition // task definitions that no service runs: RunTask, scheduled, Step Functions
	Records        []*Record
	Instances      []*Instance
	Roles          []*Role
	// Ignored counts resources by type that the model does not need.
	Ignored map[string]int
	// OpenServices says why there may be services that were not read, and with
	// them endpoint names, callers and targets; "" when all were read.
	OpenServices string
	// OpenRecords says why there may be names beside Records that resolve; a
	// hosted zone or a name server outside the source is no such reason.
	OpenRecords string
	// Unknowns lists what could not be resolved anywhere in the source.
	Unknowns []Note
	// Malformed lists values that are settled and of a form that the resource's
	// schema does not have: AWS refuses them. The origin's line is the value's.
	Malformed []Note
	// Suppressions from the template's own metadata that name no resource.
	Suppressions []Suppression
}

// Note is a remark about the source that belongs to a place in it.
type Note struct {
	Origin Origin
	Text   string
}

// VPC is a network with its address ranges.
type VPC struct {
	Origin
	CIDR  Opt[netip.Prefix]
	CIDR6 Opt[netip.Prefix]
	// OtherWay says by what its hosts may reach AWS without a public address:
	// an endpoint, or something that was not read.
	OtherWay string
}

// Subnet is a subnet; Public is whether its route table reaches an internet gateway.
type Subnet struct {
	Origin
	VPC    ID
	CIDR   Opt[netip.Prefix]
	CIDR6  Opt[netip.Prefix]
	AZ     Opt[string]
	Public Opt[bool]
}

// Cluster is an ECS cluster with the default of its services for Service Connect.
type Cluster struct {
	Origin
	Name Opt[string]
	// Default is the namespace as Namespace of ServiceConnect is, Via how it is
	// written: "arn", "id", "name" or "".
	Default     Opt[string]
	DefaultByID bool
	DefaultVia  string
	// DefaultName is the default as written, when it is a name.
	DefaultName string
	// After lists the declared namespaces that are created before the cluster.
	After []ID
}

// Namespace is a Cloud Map namespace.
type Namespace struct {
	Origin
	Name Opt[string]
	Kind string // "http", "private-dns", "public-dns"
}

// SecurityGroup holds the rules that are in force: inline and standalone
// together, with the defaults of the source (CloudFormation adds allow-all
// egress when none is given, Terraform does not).
type SecurityGroup struct {
	Origin
	Name    Opt[string]
	VPC     Opt[ID]
	Ingress []Rule
	Egress  []Rule
	// Uncertain is set when the set of rules itself is not settled: the group
	// is not declared in the source, or an explicit allow-all egress stands
	// beside standalone egress rules (order-dependent in CloudFormation).
	UncertainIngress, UncertainEgress string
	// LaterIngress says why a stack that is deployed after the group's own may
	// open more ports; "" when none can.
	LaterIngress string
	// Conflict is set when the rules of one direction are written in two ways
	// that fight each other, so that which of them hold is not certain.
	Conflict string
	// External is set for a group that the source uses but does not declare: a
	// parameter, an import, a literal id. Its own rules are unknown (both
	// Uncertain fields are set); the listed ones are those that the source adds.
	// SameGroup says whether it may be one of the declared groups.
	External bool
}

// Rule allows traffic. Rules only ever allow.
type Rule struct {
	Origin
	Protocol string // "tcp", "udp", "icmp", "-1" for all
	From, To int    // ports, inclusive; ignored when Protocol is "-1"
	Peer     Peer
	Text     string // the description
	// PortSymbol is the symbol of From and To when they are one value that is
	// not settled, and that alone is why Unknown is set.
	PortSymbol string
	Implied    bool // not written in the source: a default of the service or tool
	// Unknown is set when a field above could not be resolved; then the rule
	// may or may not allow anything.
	Unknown string
}

// Peer is the other side of a rule; exactly one field is set.
type Peer struct {
	CIDR       netip.Prefix
	Group      ID
	PrefixList string
}

// LoadBalancer is an Application Load Balancer (other types are kept with their Kind).
type LoadBalancer struct {
	Origin
	Name          Opt[string]
	Kind          string // "application", "network", "gateway"
	Internal      Opt[bool]
	IPAddressType Opt[string] // "ipv4", "dualstack", ...
	Groups        []Opt[ID]   // security groups
	// PrivateLink says whether the groups' ingress rules hold for callers through
	// AWS PrivateLink: "on", the default, or "off". Of network load balancers.
	PrivateLink Opt[string]
	Subnets     []Opt[ID]
	Attributes  map[string]Opt[string] // e.g. "idle_timeout.timeout_seconds"
	Listeners   []*Listener
}

// Listener is one port of a load balancer.
type Listener struct {
	Origin
	LoadBalancer ID
	Port         Opt[int]
	Protocol     Opt[string] // "HTTP", "HTTPS"
	SSLPolicy    Opt[string]
	Certificates []Opt[string]
	Default      []Action
	Rules        []*ListenerRule // by ascending priority
	// OpenRules says why the listener may have rules that were not read.
	OpenRules string
}

// ListenerRule routes requests that match all its conditions.
type ListenerRule struct {
	Origin
	Priority   Opt[int]
	Conditions []Condition
	Actions    []Action
}

// Condition is one condition of a listener rule; any of Values matches.
type Condition struct {
	Field  string // "path-pattern", "host-header", "http-header", "http-request-method", "query-string", "source-ip"; "unknown" when not settled
	Name   string // header name for http-header
	Values []Opt[string]
	Query  []KeyValue // for query-string
}

// KeyValue is a key and a value; an empty key matches any key.
type KeyValue struct{ Key, Value string }

// Action is what a listener does with a request.
type Action struct {
	Type     string // "forward", "redirect", "fixed-response", another type that is not modelled, or "unknown"
	Forward  []WeightedTarget
	Redirect *Redirect
	Fixed    *FixedResponse
}

// WeightedTarget is a target group in a forward action.
type WeightedTarget struct {
	Group  Opt[ID]
	Weight int // 0 to 999; a single target has 1
}

// Redirect holds the fields of a redirect action; "#{host}" and friends stand as written.
type Redirect struct{ Protocol, Host, Port, Path, Query, Status string }

// FixedResponse is a canned answer of the load balancer.
type FixedResponse struct{ Status, ContentType, Body string }

// TargetGroup is a set of targets and how they are checked.
type TargetGroup struct {
	Origin
	Name            Opt[string]
	VPC             Opt[ID]
	Port            Opt[int]
	Protocol        Opt[string] // "HTTP", "HTTPS"
	ProtocolVersion Opt[string] // "HTTP1", "HTTP2", "GRPC"
	TargetType      Opt[string] // "ip", "instance", "lambda"
	Health          HealthCheck
	Attributes      map[string]Opt[string] // e.g. "deregistration_delay.timeout_seconds"
	Targets         []Target               // static targets; a service's tasks are not listed here
	// OpenTargets says why further targets may be registered that were not
	// read, OpenForwards why a listener may forward to the group that was not.
	OpenTargets, OpenForwards string
}

// Record is a name that DNS answers inside the VPC: a Cloud Map service, or a
// record of a hosted zone.
type Record struct {
	Origin
	Name Opt[string] // without a final dot; "*" as its first label stands for any
	// LoadBalancer is what an alias record points to, if it is declared.
	LoadBalancer ID
}

// HealthCheck holds what the source sets; the defaults are section 6 of the
// semantics: HTTP, path /, traffic-port, 30 s, 5 s, 5, 2, 200.
type HealthCheck struct {
	Enabled            Opt[bool]
	Protocol           Opt[string]
	Port               Opt[string] // "traffic-port" or a number
	Path               Opt[string]
	IntervalSeconds    Opt[int]
	TimeoutSeconds     Opt[int]
	HealthyThreshold   Opt[int]
	UnhealthyThreshold Opt[int]
	Matcher            Opt[string] // "200", "200-299", "200,302"; gRPC codes for GRPC groups
}

// Target is a statically registered target.
type Target struct {
	Origin
	Instance Opt[ID]     // for target type instance
	IP       Opt[string] // for target type ip
	Port     Opt[int]
}

// Service is an ECS service.
type Service struct {
	Origin
	Name                  Opt[string]
	Cluster               Opt[string]
	DesiredCount          Opt[int]
	LaunchType            Opt[string]
	PlatformVersion       Opt[string]
	Groups                []Opt[ID]
	Subnets               []Opt[ID]
	AssignPublicIP        Opt[string]
	LoadBalancers         []ServiceTarget
	Registries            []ID            // of Records: the Cloud Map services under whose names DNS gives the tasks' addresses
	Connect               *ServiceConnect // nil when not configured
	ConnectUnknown        string          // why Connect is nil although something is configured
	GraceSeconds          Opt[int]
	DeploymentController  Opt[string] // "ECS", "CODE_DEPLOY", "EXTERNAL"
	CircuitBreaker        Opt[bool]
	Rollback              Opt[bool]   // of the circuit breaker: back to the last deployment that completed
	Strategy              Opt[string] // "ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"; absent: ROLLING
	MinimumHealthyPercent Opt[int]
	MaximumPercent        Opt[int]
	ExecuteCommand        Opt[bool]
	Task                  *TaskDefinition // nil when it is not in the source
	TaskUnknown           string          // why Task is nil
	// After lists the services that are deployed before this one, by DependsOn
	// or stack order, directly or through other resources.
	After []ID
	// BeforeListeners lists the listeners and listener rules that are not
	// certain to be created before the service.
	BeforeListeners []ID
	// OtherBalancing says what else balances load to the service, VPC Lattice
	// for one, which is not modelled.
	OtherBalancing string
	// Nodes are the instances on which tasks in network mode bridge or host run;
	// OpenNodes says why there may be others, or which they are is not known.
	Nodes     []ID
	OpenNodes string
}

// ServiceTarget registers a container port with a target group.
type ServiceTarget struct {
	Group Opt[ID]
	// Alternate is the other group of an ECS-native blue/green pair: each
	// deployment moves the tasks to the one that the last did not use.
	Alternate Opt[ID]
	Container Opt[string]
	Port      Opt[int]
}

// ServiceConnect is the Service Connect configuration of a service. No
// Endpoints means client-only.
type ServiceConnect struct {
	Enabled   Opt[bool]
	Namespace Opt[string] // the namespace's ID when it is in the source, else the name or ARN as written; the cluster's default applied
	// NamespaceByID is set when Namespace is an ID of this topology.
	NamespaceByID bool
	// NamespaceVia is how the source refers to the namespace: "arn", "id" (a
	// Ref gives that, and it is neither of the two that ECS takes), "name", or
	// "" when that is not settled. NamespaceFromCluster is set when the service
	// names none and the cluster's default applies.
	NamespaceVia         string
	NamespaceFromCluster bool
	// NoNamespace is set when neither the service nor its cluster, which the
	// source declares, names a namespace.
	NoNamespace bool
	// Uncertain is set when the list of endpoints is not settled; it says why.
	Uncertain   string
	Endpoints   []Endpoint
	HasLog      bool        // LogConfiguration present
	AccessLog   Opt[string] // "TEXT", "JSON"
	AccessQuery Opt[bool]   // IncludeQueryParameters
}

// Endpoint is one entry of Services[].
type Endpoint struct {
	PortName            Opt[string]
	DiscoveryName       Opt[string] // absent: the port name
	Aliases             []Alias
	IngressPortOverride Opt[int]
	IdleTimeoutSeconds  Opt[int]
	PerRequestSeconds   Opt[int]
	// TLS is whether the agents speak TLS with each other for the endpoint; absent is no.
	TLS Opt[bool]
}

// Alias is a name and port under which clients call an endpoint.
type Alias struct {
	Port    Opt[int]
	DNSName Opt[string] // absent: <discoveryName>.<namespace>
	// TestHeader is the name of the header that marks test traffic of a
	// blue/green deployment; absent: Amazon ECS's own.
	TestHeader Opt[string]
}

// TaskDefinition is a task definition.
type TaskDefinition struct {
	Origin
	Family      Opt[string]
	NetworkMode Opt[string]
	CPU         Opt[int] // units
	MemoryMiB   Opt[int]
	TaskRole    Opt[ID]
	ExecRole    Opt[ID]
	// Fargate says that RequiresCompatibilities lists FARGATE, so that the
	// definition is refused when it does not fit Fargate.
	Fargate    bool
	Containers []Container
	// Uncertain is set when the list of containers is not settled; it says why.
	Uncertain string
}

// Container is a container definition.
type Container struct {
	Name         string // what is not settled in it stands as ${…}
	OpenName     string // why the name is not settled
	Image        Opt[string]
	Essential    Opt[bool]
	CPU          Opt[int]
	MemoryMiB    Opt[int] // hard limit
	ReserveMiB   Opt[int] // soft limit
	Ports        []PortMapping
	Environment  map[string]Opt[string]
	Hosts        map[string]bool // names that the container's own host file has: links and extra hosts
	Command      []Opt[string]
	EntryPoint   []Opt[string]
	Health       *ContainerHealth
	DependsOn    []ContainerDependency
	ReadOnlyRoot Opt[bool]
	User         Opt[string]
	StopTimeout  Opt[int]
	LogDriver    Opt[string]
}

// PortMapping is a port that a container binds.
type PortMapping struct {
	Name        Opt[string]
	Port        Opt[int]
	HostPort    Opt[int]
	Protocol    Opt[string] // "tcp" when absent
	AppProtocol Opt[string] // "http", "http2", "grpc"; absent means TCP proxying
}

// ContainerHealth is a container health check.
type ContainerHealth struct {
	Command                                                     []Opt[string]
	IntervalSeconds, TimeoutSeconds, Retries, StartPeriodSecond Opt[int]
}

// ContainerDependency is an entry of a container's DependsOn.
type ContainerDependency struct{ Container, Condition string }

// Instance is an EC2 instance.
type Instance struct {
	Origin
	Name     Opt[string]
	Subnet   Opt[ID]
	Groups   []Opt[ID]
	UserData Opt[string]
	PublicIP Opt[bool]
	// Fleet is set for an Auto Scaling group, of whose instances this is one;
	// Subnets are those in which it may stand, Subnet the first.
	Fleet   bool
	Subnets []Opt[ID]
}

// Places returns the subnets in which the instance may stand.
func (i *Instance) Places() []Opt[ID] {
	if len(i.Subnets) > 0 || i.Subnet.IsAbsent() {
		return i.Subnets
	}
	return []Opt[ID]{i.Subnet}
}

// Role is an IAM role with what it allows, for notes on over-wide roles.
type Role struct {
	Origin
	Managed    []Opt[string] // managed policy names or ARNs
	Statements []Statement
	// Open says why there may be policies that were not read.
	Open string
}

// Statement is an Allow statement of a role's policies. Resources that are
// references stand as "${Stack/LogicalID.Attr}". A statement with NotActions
// allows everything else.
type Statement struct{ Actions, Resources, NotActions []string }
