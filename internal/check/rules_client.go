package check

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// clientRules are about what programs do on both sides of the agents: how
// they look names up, what they speak, how long they keep connections.
var clientRules = []Rule{
	{
		ID: "client-may-take-ipv6", Severity: Note, Title: "A client may take the IPv6 address of a name, which leads nowhere",
		Explain: "Every name of Service Connect has two lines in a task's hosts file, 127.255.0.n and 2600:f0f0::n, and a task without IPv6 has no route to the second: connecting fails at once with \"network is unreachable\". Programs that try one address after the other do not notice. nginx takes all addresses of an upstream for servers of equal rank, and its resolver directive asks the VPC's resolver, which does not know the names at all.",
		Fix:     "Resolve the name to IPv4 in the entrypoint (getent ahostsv4) and give nginx the address, or give the task IPv6.",
		Source:  semantics.Section(2).Row(38, 39).Cite(),
		run:     mayTakeIPv6,
	},
	{
		ID: "grpc-without-app-protocol", Severity: Warning, Title: "gRPC through an agent that proxies TCP goes to one task",
		Explain: "A gRPC client keeps one connection for all its calls. Without AppProtocol the agent proxies TCP and chooses a task once for each connection, so all calls of a client go to one task. With grpc it chooses for each call. AppProtocol cannot be changed on a live service.",
		Fix:     "Set AppProtocol to grpc on the port mapping.", Source: semantics.Section(3).Row(41).Cite(),
		run: grpcWithoutProtocol,
	},
	{
		ID: "http-on-a-raw-port", Severity: Error, Title: "AppProtocol says HTTP on a port that speaks something else",
		Explain: "With AppProtocol http, http2 or grpc the agents on both sides read HTTP and answer anything else with an error of their own. Databases, caches and message brokers need a port mapping without AppProtocol.",
		Fix:     "Leave AppProtocol out of the port mapping.", Source: semantics.Section(3).Row(42).Cite(),
		run: httpOnRawPort,
	},
	{
		ID: "agent-outlives-keep-alive", Severity: Note, Title: "The app closes idle connections before its agent does",
		Explain: "The agent keeps connections to its app for its idle timeout, 5 minutes unless IdleTimeoutSeconds says otherwise. Servers with a short keep-alive (uvicorn, gunicorn and Node: 5 s or less unless told otherwise) close one now and then just as a request is on its way, in default mode and for callers by name; the caller gets 503 or a reset.",
		Fix:     "Make the server's keep-alive longer than the agent's idle timeout, or the agent's idle timeout shorter.",
		Source:  semantics.Section(3).Row(40).Cite(),
		run:     agentOutlivesKeepAlive,
	},
	{
		ID: "namespace-by-name", Severity: Warning, Title: "A DNS namespace is given by its name",
		Explain: "Given a name, Service Connect looks for an HTTP namespace of that name and makes one when there is none, although a private DNS namespace has the same name. There are two namespaces then, and names are published in the one that nobody meant.",
		Fix:     "Give the namespace's ARN.", Source: semantics.Section(4).Row(45).Cite(),
		run: namespaceByName,
	},
	{
		ID: "blue-green-test-header", Severity: Note, Title: "Test traffic of a blue/green deployment has Amazon ECS's own header",
		Explain: "During a blue/green, linear or canary deployment the agents of all callers in the namespace know a test route beside the production one. Without TestTrafficRules a request takes it that has the header x-amzn-ecs-blue-green-test. Only HTTP has headers: on a port without AppProtocol nothing can be tested by name.",
		Fix:     "Send the header in tests of the new version, or name one of your own in TestTrafficRules.",
		Source:  semantics.Section(4).Cite(),
		run:     blueGreenHeader,
	},
}

var nginxImage = regexp.MustCompile(`(^|/)(nginx|openresty|nginx-unprivileged)(:|@|$)`)

func mayTakeIPv6(c *checker) {
	for _, s := range c.x.Topology.Services {
		if !s.Connected() || s.Task == nil || c.hasIPv6(s) {
			continue
		}
		ns := c.x.NamespaceOf(s.Connect)
		if ns == nil {
			continue
		}
		for i := range s.Task.Containers {
			k := &s.Task.Containers[i]
			if !nginxImage.MatchString(k.Image.Or("")) {
				continue
			}
			once := once()
			reach.EachURL(&topology.TaskDefinition{Containers: []topology.Container{*k}}, func(host string, _ int, variable string) {
				if len(ns.Named(host)) == 0 || !once(host) {
					return
				}
				f := c.add(s.Origin, "Give nginx the IPv4 address: resolve the name with getent ahostsv4 when the container starts.",
					"nginx in %s calls %s (%s); the name's first address is an IPv6 one, to which the task has no route",
					topology.Label(s.Origin, s.Name), host, variable)
				f.Effect = "half of the connections fail at once, or all with a resolver directive"
			})
		}
	}
}

// hasIPv6 reports whether a subnet of the service has IPv6.
func (c *checker) hasIPv6(s *topology.Service) bool {
	for _, o := range s.Subnets {
		id, ok := o.Get()
		if sub := c.x.Subnet(id); !ok || sub == nil || !sub.CIDR6.IsAbsent() {
			return ok && sub != nil
		}
	}
	return false
}

// grpcPorts are ports that gRPC servers are commonly given: that of its
// examples and OpenTelemetry's.
var grpcPorts = map[int]bool{50051: true, 4317: true}

func grpcWithoutProtocol(c *checker) {
	c.eachEndpoint(func(e *topology.ConnectEndpoint) {
		if e.Mapping == nil || !e.Mapping.AppProtocol.IsAbsent() {
			return
		}
		name, port := e.Config.PortName.Or(""), e.ContainerPort.Or(0)
		if !strings.Contains(strings.ToLower(name), "grpc") && !grpcPorts[port] {
			return
		}
		f := c.add(e.Service.Origin, "Set AppProtocol to grpc before the first deployment.",
			"port %q (%d) of %s looks like gRPC and its mapping has no AppProtocol, so its callers' agents choose a task once for each connection",
			name, port, topology.Label(e.Service.Origin, e.Service.Name))
		f.Effect = "all calls of a client go to one task"
	})
}

// rawPorts are well-known ports of protocols other than HTTP.
var rawPorts = map[int]string{
	1883: "MQTT", 3306: "MySQL", 4222: "NATS", 5432: "PostgreSQL", 5672: "AMQP", 6379: "Redis", 9042: "Cassandra", 9092: "Kafka",
	11211: "memcached", 27017: "MongoDB",
}

func httpOnRawPort(c *checker) {
	c.eachEndpoint(func(e *topology.ConnectEndpoint) {
		port, ok := e.ContainerPort.Get()
		what := rawPorts[port]
		if !ok || what == "" || !e.HTTP() {
			return
		}
		f := c.add(e.Service.Origin, "Leave AppProtocol out of the port mapping.",
			"container port %d of %s is that of %s, and AppProtocol %s makes the agents read HTTP there",
			port, topology.Label(e.Service.Origin, e.Service.Name), what, e.Protocol.Or("http"))
		f.Effect = "clients get an HTTP error from the agent"
	})
}

// keepAlives are servers with a short keep-alive by default, in seconds, by
// the image that brings them.
var keepAlives = []struct {
	image  *regexp.Regexp
	server string
	s      int
}{
	{nodeImage, "Node", 5},
	{regexp.MustCompile(`uvicorn|fastapi`), "uvicorn", 5},
	{regexp.MustCompile(`gunicorn`), "gunicorn", 2},
}

func agentOutlivesKeepAlive(c *checker) {
	const agentIdle = 300
	c.eachEndpoint(func(e *topology.ConnectEndpoint) {
		port, ok := e.ContainerPort.Get()
		idle, settled := e.Config.IdleTimeoutSeconds.Get()
		if e.Config.IdleTimeoutSeconds.IsAbsent() {
			idle, settled = agentIdle, true
		}
		if !ok || !settled || !e.HTTP() || e.Service.Task == nil {
			return
		}
		for i := range e.Service.Task.Containers {
			k := &e.Service.Task.Containers[i]
			for _, a := range keepAlives {
				if !k.MayMap(port) || !a.image.MatchString(k.Image.Or("")) || idle > 0 && idle <= a.s {
					continue
				}
				f := c.add(e.Service.Origin, fmt.Sprintf("Set the server's keep-alive above %s.", idleText(idle)),
					"the agent of %s keeps idle connections to its app for %s; %s closes them after %d s unless it is told otherwise, which the source does not show",
					topology.Label(e.Service.Origin, e.Service.Name), idleText(idle), a.server, a.s)
				f.Effect = "now and then a caller gets 503 or a reset"
				return
			}
		}
	})
}

func idleText(s int) string {
	if s == 0 {
		return "ever"
	}
	return strconv.Itoa(s) + " s"
}

func namespaceByName(c *checker) {
	for _, s := range c.x.Topology.Services {
		if !s.Connected() || s.Connect.NamespaceVia != "name" {
			continue
		}
		ns := c.x.NamespaceOf(s.Connect)
		if ns == nil {
			continue
		}
		for _, n := range c.x.Topology.Namespaces {
			if n.Kind == "http" || n.Name.Or("") == "" || n.Name.Or("") != ns.Name.Or("") {
				continue
			}
			f := c.add(s.Origin, "Give the ARN of "+topology.OriginLabel(n.Origin)+".",
				"%s names its namespace %s, and %s of that name is a %s namespace", topology.Label(s.Origin, s.Name), n.Name.Or(""),
				topology.OriginLabel(n.Origin), n.Kind)
			f.Effect = "Amazon ECS makes a second, HTTP namespace of that name"
			f.Related = []topology.Origin{n.Origin}
		}
	}
}

// blueGreenTest is the header of test traffic when a service names none
// (section 4 of the semantics).
const blueGreenTest = "x-amzn-ecs-blue-green-test"

func blueGreenHeader(c *checker) {
	c.eachEndpoint(func(e *topology.ConnectEndpoint) {
		switch e.Service.Strategy.Or("") {
		case "BLUE_GREEN", "LINEAR", "CANARY":
		default:
			return
		}
		for _, a := range e.Config.Aliases {
			if !a.TestHeader.IsAbsent() {
				return
			}
		}
		who, name := topology.Label(e.Service.Origin, e.Service.Name), e.Config.PortName.Or("?")
		if !e.HTTP() {
			c.add(e.Service.Origin, "Set AppProtocol if the port speaks HTTP, or test through the load balancer's test listener.",
				"port %q of %s has no AppProtocol: without HTTP there is no %s header, and no test traffic by name", name, who, blueGreenTest)
			return
		}
		c.add(e.Service.Origin, "Send "+blueGreenTest+": test to reach the new version.",
			"port %q of %s names no header for test traffic, so its callers' agents go by %s", name, who, blueGreenTest)
	})
}
