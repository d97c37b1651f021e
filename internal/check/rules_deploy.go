package check

import (
	"fmt"
	"slices"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// deployRules report what Amazon ECS or Elastic Load Balancing refuses.
var deployRules = []Rule{
	flawRule("override-privileged-port", "The override is a privileged port",
		"Amazon ECS refuses an ingressPortOverride of 1024 or less. CDK accepts 1 to 65535 and skips its check for 0, so the template synthesizes and the deployment fails.",
		"Choose 1025 to 65535, or leave the override out.", semantics.Section(1).Row(6, 7).Cite()),
	flawRule("override-out-of-range", "The override is no TCP port",
		"A port above 65535 does not exist.", "Choose 1025 to 65535.", semantics.Section(1).Cite()),
	flawRule("override-equals-container-port", "The override is a port that a container of the task binds",
		"In network mode awsvpc all containers of a task, the agent included, share one network namespace. The agent binds the override port itself, so a container that binds the same port clashes with it, and one of the two fails to start.",
		"Choose a port that no container of the task binds.", semantics.Section(1).Row(8).Cite()),
	flawRule("override-collision", "Two endpoints of a service share an override",
		"The agent binds each override port once; ECS's host agent rejects a configuration in which two listeners have the same port.",
		"Give each endpoint its own override.", semantics.Section(1).Cite()),
	flawRule("port-name-unknown", "The endpoint's port name is no port mapping",
		"PortName selects a port mapping of the task definition by its Name. Without such a mapping there is nothing to publish.",
		"Name the port mapping, or publish an existing name.", semantics.Section(9).Cite()),
	flawRule("timeout-needs-app-protocol", "A per-request timeout needs an application protocol",
		"Without AppProtocol the agent proxies TCP and sees no requests, so a per-request timeout is not allowed.",
		"Set AppProtocol on the port mapping. On a live service that means deleting and recreating it.", semantics.Section(3).Cite()),
	flawRule("unsupported-deployment-controller", "The deployment controller does not work with Service Connect",
		"Service Connect supports the ECS controller, whose own BLUE_GREEN, LINEAR and CANARY strategies work too; not CODE_DEPLOY and not EXTERNAL.",
		"Use the ECS controller.", semantics.Section(4).Cite()),
	flawRule("unsupported-network-mode", "The network mode does not work with Service Connect",
		"Service Connect supports awsvpc and bridge.", "Use awsvpc.", semantics.Section(4).Cite()),
	flawRule("platform-version-too-old", "The platform version is too old for Service Connect",
		"Service Connect on Fargate needs platform version 1.4.0 or later.", "Set 1.4.0 or LATEST.", semantics.Section(4).Cite()),
	flawRule("task-memory-missing", "A task with Service Connect has no task-level memory",
		"Service Connect requires memory on the level of the task, and it must exceed the sum of the containers' limits: the agent runs in what is left.",
		"Set the task's memory.", semantics.Section(4).Cite()),
	flawRule("namespace-by-ref", "The namespace is given by its id",
		"Ref of an AWS::ServiceDiscovery namespace returns its id. Service Connect takes the name or the ARN.",
		"Use Fn::GetAtt Arn, or the name.", semantics.Section(9).Cite()),
	flawRule("name-not-allowed", "A discovery name or client alias is not allowed",
		"A discovery name has up to 64 lower-case letters, digits, _ and -, and does not start with -; a client alias up to 127 characters, dots too.",
		"Choose another name.", semantics.Section(2).Cite()),
	flawRule("too-many-aliases", "An endpoint has more than one client alias",
		"An entry of Services takes at most one client alias. The same port mapping may be published again under another discovery name.",
		"Publish the port in a second entry.", semantics.Section(2).Cite()),
	flawRule("load-balancer-port-undeclared", "The load balancer's port is no container port",
		"ECS registers a container port of the named container with the target group, and refuses a port that the task definition does not declare. The agent's override port is never one.",
		"Register the container port.", "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LoadBalancer.html"),
	flawRule("target-type-not-ip", "The target group does not take addresses",
		"Each awsvpc task has an address of its own and is registered by it, so the target group's type must be ip.",
		"Set TargetType to ip.", semantics.Section(6).Cite()),
	flawRule("network-mode-missing", "A task with Service Connect sets no network mode",
		"Service Connect works with awsvpc, and with bridge when the task definition says bridge; a task definition without a network mode runs in bridge mode on Linux and is refused.",
		"Set the network mode.",
		"https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts.html, https://github.com/mreferre/yelb/issues/86"),
	flawRule("host-port-differs", "A host port differs from the container port",
		"In the network modes awsvpc and host a container has no port of its own on the host: the host port is the container port, or left out.",
		"Leave the host port out.", "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html"),
	flawRule("grace-period-without-load-balancer", "A grace period without a load balancer",
		"The health check grace period makes the scheduler ignore a load balancer's health checks for a while; ECS refuses it on a service that has none.",
		"Drop the grace period.", "https://github.com/aws-cloudformation/cfn-lint/issues/3612"),
	flawRule("listener-after-service", "A service does not wait for its listener",
		"A target group has a load balancer only once a listener or a listener rule forwards to it, and ECS refuses a service that registers with a target group without one. CloudFormation creates both at once unless DependsOn orders them; the listener waits for the load balancer, which takes minutes, so the service is first.",
		"Add DependsOn from the service to the listener or the listener rule.", "https://github.com/aws/aws-cdk/issues/1160"),
	flawRule("fargate-network-mode", "Fargate does not take the network mode",
		"A task on Fargate has a network interface of its own: network mode awsvpc. Without a network mode a task definition has bridge, and Fargate refuses it.",
		"Set the network mode.", "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-networking.html"),
	flawRule("network-configuration-missing", "A service gives its tasks no subnets",
		"Tasks of network mode awsvpc need subnets for their network interfaces; ECS refuses a service without a network configuration.",
		"Give subnets and security groups.", "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html"),
	flawRule("execution-role-missing", "A Fargate task has no execution role",
		"Fargate pulls an image of Amazon ECR, and writes the log of the awslogs driver, with the task's execution role; RegisterTaskDefinition refuses such a task without one. The task role is another: the app's own.",
		"Set the execution role.",
		"https://github.com/virtual-kubelet/virtual-kubelet/issues/193, https://github.com/hashicorp/terraform-provider-aws/issues/3051"),
	flawRule("namespace-missing", "Service Connect has no namespace",
		"A service that enables Service Connect names a namespace or takes its cluster's default. Without either there is none in which to publish or look up a name.",
		"Name a namespace.", semantics.Section(9).Cite()),
	flawRule("no-way-to-registry", "A task cannot reach the registry of its image",
		"A Fargate task pulls its image through its own network interface. In a public subnet, whose default route leads to an internet gateway, that takes a public address; without one, and without VPC endpoints, the pull times out and no task starts.",
		"Assign public addresses, or use private subnets with a NAT gateway.",
		"https://github.com/aws/amazon-ecs-agent/issues/1266, https://github.com/aws/amazon-ecs-agent/issues/1128"),
	{
		ID: "duplicate-rule-priority", Severity: Error, Title: "Two rules of a listener have the same priority",
		Explain: "A priority belongs to one rule of a listener; the API refuses the second (PriorityInUse).",
		Fix:     "Give each rule its own priority.",
		Source:  "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html", run: duplicatePriorities,
	},
	{
		ID: "duplicate-listener-port", Severity: Error, Title: "Two listeners of a load balancer have the same port",
		Explain: "A port of a load balancer belongs to one listener; the API refuses the second (DuplicateListener).",
		Fix:     "Give each listener its own port, or make one of them rules of the other.",
		Source:  "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html", run: duplicatePorts,
	},
	{
		ID: "grpc-without-https", Severity: Error, Title: "A gRPC target group behind an HTTP listener",
		Explain: "A target group of protocol version GRPC can be the target of an HTTPS listener only; the API refuses the action.",
		Fix:     "Use an HTTPS listener.",
		Source:  "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html", run: grpcListeners,
	},
	{
		ID: "health-check-timeout-too-long", Severity: Error, Title: "A health check waits longer than its interval",
		Explain: "The interval of a health check must be greater than its timeout; the API refuses the target group. The defaults are 30 s and 5 s.",
		Fix:     "Make the interval longer or the timeout shorter.",
		Source:  "https://github.com/aws/aws-cdk/issues/29062, https://github.com/aws/aws-cdk/issues/3703", run: checkTimeouts,
	},
	{
		ID: "vpc-differs", Severity: Error, Title: "What is used together stands in two VPCs",
		Explain: "The security groups of a network interface belong to the VPC of its subnet, and a load balancer forwards to target groups of its own VPC. EC2 and Elastic Load Balancing refuse others.",
		Fix:     "Use groups of one VPC.",
		Source:  "https://github.com/philschmid/efsync/pull/16, https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2188",
		run:     vpcsDiffer,
	},
	{
		ID: "protocol-of-other-load-balancer", Severity: Error, Title: "A protocol is one of the other kind of load balancer",
		Explain: "Listeners and target groups of an Application Load Balancer have the protocol HTTP or HTTPS, those of a Network Load Balancer TCP, TLS, UDP and the like. The API refuses a listener, or a forward to a target group, of the other kind.",
		Fix:     "Use a protocol of the load balancer's kind.",
		Source:  "https://github.com/hashicorp/terraform-provider-aws/issues/4955, https://github.com/hashicorp/terraform-provider-aws/issues/6173",
		run:     balancerProtocols,
	},
	{
		ID: "health-check-path-relative", Severity: Error, Title: "A health check's path has no slash",
		Explain: "The path of a health check over HTTP begins with a slash; the API refuses the target group.",
		Fix:     "Begin the path with /.",
		Source:  "https://github.com/hashicorp/terraform-provider-aws/pull/2580", run: relativeHealthPaths,
	},
	{
		ID: "namespace-created-twice", Severity: Error, Title: "Cluster and namespace are created at once, under one name",
		Explain: "A cluster whose default namespace is given by name creates that namespace when it does not exist. When the same source declares the namespace and nothing orders the cluster after it, both create it and one of the two fails.",
		Fix:     "Give the cluster the namespace's ARN, which orders the two, or drop the declared namespace.",
		Source:  "https://github.com/aws/aws-cdk/issues/25554, https://github.com/aws/aws-cdk/issues/25616", run: namespaceTwice,
	},
	{
		ID: "cluster-default-by-name", Severity: Error, Title: "Terraform takes the cluster's default namespace by ARN only",
		Explain: "The provider checks that the namespace of service_connect_defaults is an ARN and refuses a name.",
		Fix:     "Use the namespace's arn.", Source: "https://github.com/terraform-aws-modules/terraform-aws-ecs/issues/343", run: clusterByName,
	},
	{
		ID: "unknown-protocol", Severity: Error, Title: "A rule's protocol is none",
		Explain: "A security-group rule takes tcp, udp, icmp, icmpv6, the number of an IP protocol, or -1 for all. HTTP and the like are spoken over tcp and are refused.",
		Fix:     "Write tcp.",
		Source:  "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html, https://github.com/stroeer/terraform-aws-ecs-fargate/pull/87",
		run:     protocols,
	},
	{
		ID: "value-malformed", Severity: Error, Title: "A value is no whole number",
		Explain: "Ports, counts and times are whole numbers. CloudFormation, and in Terraform the AWS provider, refuse a value that is text, a fraction, or larger than any integer, and hoplab does not guess what was meant.",
		Fix:     "Write a whole number.",
		Source:  "CloudFormation template reference, the property's type (Integer); the AWS provider's schemas (Number)", run: malformed,
	},
	{
		ID: "port-out-of-range", Severity: Error, Title: "A port is no TCP port",
		Explain: "A TCP port is 1 to 65535. Elastic Load Balancing and Amazon ECS refuse any other for a listener, a target, a health check, a container or a client alias. An override has rules of its own.",
		Fix:     "Choose 1 to 65535.", Source: "RFC 9293, section 3.1", run: portsOutOfRange,
	},
	{
		ID: "duplicate-discovery-name", Severity: Error, Title: "A name is published twice in a namespace",
		Explain: "Discovery names, and each pair of name and port that clients use, must be unique in a namespace.",
		Fix:     "Give one of the endpoints another discovery name.", Source: semantics.Section(2).Cite(), run: duplicateNames,
	},
	{
		ID: "https-without-certificate", Severity: Error, Title: "An HTTPS listener has no certificate",
		Explain: "An HTTPS listener needs a certificate to be created.",
		Fix:     "Add the ARN of an ACM certificate.", Source: semantics.Section(6).Cite(),
		run: func(c *checker) {
			c.eachListener(func(lb *topology.LoadBalancer, l *topology.Listener) {
				if p, ok := l.Protocol.Get(); ok && p == "HTTPS" && len(l.Certificates) == 0 {
					f := c.add(l.Origin, "Add Certificates with the ARN of an ACM certificate.",
						"HTTPS listener %s of %s has no certificate", reach.PortText(l.Port), topology.Label(lb.Origin, lb.Name))
					f.Effect = "the deployment fails"
				}
			})
		},
	},
	{
		ID: "slow-start-with-least-outstanding", Severity: Error, Title: "Slow start and least outstanding requests exclude each other",
		Explain: "A target group with the algorithm least_outstanding_requests cannot have a slow start.",
		Fix:     "Drop one of the two attributes.", Source: semantics.Section(6).Cite(),
		run: func(c *checker) {
			for _, g := range c.x.Topology.TargetGroups {
				slow := g.Attributes["slow_start.duration_seconds"].Or("0")
				if g.Attributes["load_balancing.algorithm.type"].Or("") == "least_outstanding_requests" && slow != "0" {
					f := c.add(g.Origin, "Set slow_start.duration_seconds to 0 or the algorithm to round_robin.",
						"%s has a slow start of %s s with least_outstanding_requests", topology.Label(g.Origin, g.Name), slow)
					f.Effect = "the deployment fails"
				}
			}
		},
	},
}

func duplicateNames(c *checker) {
	for _, ns := range c.x.ConnectNamespaces() {
		first := map[string][]*topology.ConnectEndpoint{}
		seen := map[*topology.ConnectEndpoint]bool{}
		for _, n := range ns.Names {
			e := n.Endpoint
			if d, ok := e.Config.Discovery().Get(); ok && !seen[e] {
				seen[e] = true
				k := "d/" + d
				if c.duplicate(e, first[k], fmt.Sprintf("discovery name %q", d)) {
					continue
				}
				first[k] = append(first[k], e)
			}
			name, okn := n.Name.Get()
			port, okp := n.Port.Get()
			if !okn || !okp {
				continue
			}
			k := fmt.Sprintf("n/%s:%d", name, port)
			if !slices.Contains(first[k], e) && !c.duplicate(e, first[k], fmt.Sprintf("%s:%d", name, port)) {
				first[k] = append(first[k], e)
			}
		}
	}
}

// duplicate reports that e publishes what an earlier one does, if one exists
// at once with it.
func (c *checker) duplicate(e *topology.ConnectEndpoint, earlier []*topology.ConnectEndpoint, what string) bool {
	for _, other := range earlier {
		f := c.conflict(e.Service.Origin, other.Service.Origin, "Give one of the two a discovery name of its own.",
			"%s publishes %s, which %s publishes already in the same namespace", topology.Label(e.Service.Origin, e.Service.Name), what, topology.Label(other.Service.Origin, other.Service.Name))
		if f != nil {
			f.Effect = "the deployment fails"
			return true
		}
	}
	return false
}

func malformed(c *checker) {
	for _, n := range c.x.Topology.Malformed {
		f := c.add(n.Origin, "Write a whole number.", "%s: %s", c.label(n.Origin), n.Text)
		f.Effect = "the deployment fails"
	}
}

// portsOutOfRange leaves overrides to override-out-of-range and
// override-privileged-port. A task definition that several services share has
// its ports once.
func portsOutOfRange(c *checker) {
	first := once()
	for _, p := range c.x.Topology.PortNumbers() {
		n := p.N.Or(0)
		if !p.OutOfRange() || p.Override || !first(p.At.ID, p.What, n) {
			continue
		}
		f := c.add(p.At, "Choose a port from 1 to 65535.", "%s: %s %d is no TCP port", c.label(p.At), p.What, n)
		f.Effect = "the deployment fails"
	}
}
