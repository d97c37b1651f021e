package check

import (
	"maps"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// The examples of paths that stop, or that pass what they need not.
func init() {
	maps.Copy(examples, map[string]example{
		"ingress-port-closed": {
			"`ingressPortOverride: 8080`, and the app's group opens only 80",
			func(f *topologytest.Fixture) {
				f.AppGroup.Ingress[1] = topologytest.TCP(80, 80, topologytest.Group(f.ClientGroup))
			},
			func(f *topologytest.Fixture) {
				f.AppGroup.Ingress[1] = topologytest.TCP(8000, 9000, topologytest.CIDR("10.0.0.0/16"))
			},
		},
		"client-egress-closed": {
			"the client's group lets out only 443",
			func(f *topologytest.Fixture) {
				f.ClientGroup.Egress = []topology.Rule{topologytest.TCP(443, 443, topologytest.CIDR("0.0.0.0/0"))}
			},
			func(f *topologytest.Fixture) {
				f.ClientGroup.Egress = []topology.Rule{topologytest.TCP(8080, 8080, topologytest.Group(f.AppGroup)),
					topologytest.TCP(80, 80, topologytest.Group(f.ALBGroup))}
			},
		},
		"alb-ingress-closed": {
			"the listener is on 80, and the load balancer's group opens only 443",
			func(f *topologytest.Fixture) {
				f.ALBGroup.Ingress = []topology.Rule{topologytest.TCP(443, 443, topologytest.CIDR("10.0.0.0/16"))}
			},
			func(f *topologytest.Fixture) {
				f.ALBGroup.Ingress = []topology.Rule{topologytest.TCP(80, 80, topologytest.CIDR("10.0.7.0/24"))}
			},
		},
		"alb-egress-closed": {
			"the load balancer's group has no egress (Terraform without an `egress` block)",
			func(f *topologytest.Fixture) { f.ALBGroup.Egress = nil },
			func(f *topologytest.Fixture) {
				f.ALBGroup.Egress = []topology.Rule{topologytest.TCP(0, 65535, topologytest.CIDR("10.0.0.0/8"))}
			},
		},
		"target-ingress-closed": {
			"the app's group lets in only the clients",
			func(f *topologytest.Fixture) { f.AppGroup.Ingress = f.AppGroup.Ingress[1:] },
			func(f *topologytest.Fixture) {
				f.AppGroup.Ingress[0] = topologytest.TCP(80, 80, topologytest.CIDR("10.0.1.0/24"))
			},
		},
		"health-check-port-closed": {
			"the health check asks 9000, and only 80 is open",
			func(f *topologytest.Fixture) { f.TargetGroup.Health.Port = topology.Known("9000") },
			func(f *topologytest.Fixture) { f.TargetGroup.Health.Port = topology.Known("80") },
		},
		"target-unhealthy": {
			"the health check uses HTTPS against an agent without TLS",
			func(f *topologytest.Fixture) {
				f.DefaultMode()
				f.TargetGroup.Health.Protocol = topology.Known("HTTPS")
			},
			func(f *topologytest.Fixture) { f.DefaultMode(); f.TargetGroup.Health.Protocol = topology.Known("HTTP") },
		},
		"needless-agent-hop": {
			"a load balancer and Service Connect on the same port, no override, no TLS",
			func(f *topologytest.Fixture) { f.DefaultMode() },
			func(f *topologytest.Fixture) {
				f.DefaultMode()
				f.Endpoint().TLS = topology.Known(true)
				f.TargetGroup.Protocol, f.TargetGroup.Health.Protocol = topology.Known("HTTPS"), topology.Known("HTTPS")
			},
		},
		"tls-with-http-target-group": {
			"Service Connect TLS in default mode, target group HTTP",
			func(f *topologytest.Fixture) { f.DefaultMode(); f.Endpoint().TLS = topology.Known(true) },
			func(f *topologytest.Fixture) {
				f.DefaultMode()
				f.Endpoint().TLS = topology.Known(true)
				f.TargetGroup.Protocol, f.TargetGroup.Health.Protocol = topology.Known("HTTPS"), topology.Known("HTTPS")
			},
		},
		"listener-without-targets": {
			"a target group that no service names",
			func(f *topologytest.Fixture) { f.Server.LoadBalancers = nil },
			nothing,
		},
		"path-unknown": {
			"the override is a parameter without a default",
			func(f *topologytest.Fixture) {
				f.Endpoint().IngressPortOverride = topology.Unknown[int]("Ref Override has no value")
			},
			nothing,
		},
		"client-without-dependency": {
			"a client service without `DependsOn`",
			func(f *topologytest.Fixture) { f.Client.After = nil },
			nothing,
		},
		"namespace-mismatch": {
			"the client is in another namespace than the server",
			func(f *topologytest.Fixture) {
				f.Client.Connect.Namespace, f.Client.Connect.NamespaceByID = topology.Known("other"), false
			},
			func(f *topologytest.Fixture) {
				// The same namespace, by its name instead of its ARN.
				f.Client.Connect.Namespace, f.Client.Connect.NamespaceByID = topology.Known("sample-namespace"), false
			},
		},
		"wrong-url-port": {
			"a client with `API_URL=http://app.sample-namespace:8080`",
			func(f *topologytest.Fixture) { f.ClientEnv("API_URL", "http://app.sample-namespace:8080/v1") },
			func(f *topologytest.Fixture) { f.ClientEnv("API_URL", "http://app.sample-namespace/v1") },
		},
		"endpoint-needs-service-connect": {
			"a scheduled task with `API_URL=http://app.sample-namespace`",
			func(f *topologytest.Fixture) {
				d := topologytest.Task("Batch", f.Role.ID)
				d.Containers = []topology.Container{{Name: "batch",
					Environment: map[string]topology.Opt[string]{"API_URL": topology.Known("http://app.sample-namespace")}}}
				f.Standalone = append(f.Standalone, d)
			},
			func(f *topologytest.Fixture) {
				d := topologytest.Task("Batch", f.Role.ID)
				d.Containers = []topology.Container{{Name: "batch",
					Environment: map[string]topology.Opt[string]{"API_URL": topology.Known("http://internal-alb.example")}}}
				f.Standalone = append(f.Standalone, d)
			},
		},
	})
}
