package check

import (
	"maps"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// deployed is what the healthy fixture is changed to before it changes, by
// rule; the fixture itself where there is no entry.
var deployed = map[string]func(*topologytest.Fixture){
	"agent-setting-dropped": func(f *topologytest.Fixture) {
		f.Server.Connect.AccessLog, f.Server.Connect.HasLog = topology.Known("JSON"), true
	},
}

// options are those of a check by the rule's example.
func options(rule string) Options {
	f := topologytest.Healthy()
	if change := deployed[rule]; change != nil {
		change(f)
	}
	return Options{Before: f.Topology}
}

// The examples of what an update or the end of a stack does.
func init() { maps.Copy(examples, changeExamples) }

var changeExamples = map[string]example{
	"replaced-with-service-connect": {
		"`ServiceName` changes from `app-service` to `app-2`",
		func(f *topologytest.Fixture) { f.Server.Name = topology.Known("app-2") },
		func(f *topologytest.Fixture) { f.Server.Name, f.Server.Connect = topology.Known("app-2"), nil },
	},
	"outage-during-update": {
		"`ingressPortOverride` changes, and with it the port of a rule that stands in the app's group",
		func(f *topologytest.Fixture) {
			f.Endpoint().IngressPortOverride = topology.Known(9090)
			f.AppGroup.Ingress[1] = topologytest.TCP(9090, 9090, topologytest.Group(f.ClientGroup))
		},
		func(f *topologytest.Fixture) {
			f.Endpoint().IngressPortOverride = topology.Known(9090)
			f.AppGroup.Ingress = append(f.AppGroup.Ingress, topologytest.TCP(9090, 9090, topologytest.Group(f.ClientGroup)))
		},
	},
	"update-hides-failure": {
		"the rule that lets clients in is taken out of the app's group",
		func(f *topologytest.Fixture) { f.AppGroup.Ingress = f.AppGroup.Ingress[:1] },
		nothing,
	},
	"app-protocol-changed": {
		"`AppProtocol` changes from `http` to `grpc`",
		func(f *topologytest.Fixture) { f.Mapping().AppProtocol = topology.Known("grpc") },
		func(f *topologytest.Fixture) {
			f.Mapping().AppProtocol = topology.Known("grpc")
			f.Endpoint().DiscoveryName = topology.Known("app-grpc")
		},
	},
	"agent-setting-dropped": {
		"a template that had `AccessLogConfiguration` and has it no more",
		func(f *topologytest.Fixture) {
			f.Server.Connect.AccessLog, f.Server.Connect.HasLog = topology.Opt[string]{}, true
		},
		func(f *topologytest.Fixture) {
			f.Server.Connect.AccessLog, f.Server.Connect.HasLog = topology.Known("TEXT"), true
		},
	},
	"namespace-outlives-stack": {
		"a cluster with `ServiceConnectDefaults: {Namespace: apps}` and no namespace of that name",
		func(f *topologytest.Fixture) { defaultNamespace(f, "apps") },
		func(f *topologytest.Fixture) { defaultNamespace(f, "sample-namespace") },
	},
}

func defaultNamespace(f *topologytest.Fixture, name string) {
	f.Topology.Clusters = append(f.Topology.Clusters, &topology.Cluster{Origin: topologytest.Origin("Cluster", "AWS::ECS::Cluster"),
		Default: topology.Known(name), DefaultVia: "name", DefaultName: name})
}
