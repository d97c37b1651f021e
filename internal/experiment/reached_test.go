package experiment

import (
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestReached: what the arms can reach runs, and nothing else: the services at
// the ends of their routes, the caller of one by name, and whoever is named in
// the environment of one of those, and so on.
func TestReached(t *testing.T) {
	short := func(id topology.ID) string { return string(id[strings.LastIndexByte(string(id), '/')+1:]) }
	check := func(what string, top *topology.Topology, arms []string, want ...string) {
		t.Helper()
		p, err := plan.New(plan.ProfileQuick)
		if err != nil {
			t.Fatal(err)
		}
		p.Arms = nil
		for _, a := range arms {
			p.Arms = append(p.Arms, plan.Arm{Name: a})
		}
		ids, err := Reached(top, &p)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, id := range ids {
			got = append(got, short(id))
		}
		for _, w := range want {
			if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, w) }) {
				t.Errorf("%s: %v run; %s is missing", what, got, w)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v run, want %v", what, got, want)
		}
	}
	both := golden(t, "both")
	var apps []string
	var client string
	for _, s := range both.Services {
		if len(s.LoadBalancers) > 0 {
			apps = append(apps, short(s.ID))
		} else {
			client = short(s.ID)
		}
	}
	check("two arms through the load balancer", both, []string{plan.ArmAgent, plan.ArmBypass}, apps...)
	check("one by name beside them", both, []string{plan.ArmAgent, plan.ArmBypass, plan.ArmMesh}, append(slices.Clone(apps), client)...)

	agent := golden(t, "agent")
	var server *topology.Service
	for _, s := range agent.Services {
		if len(s.LoadBalancers) > 0 {
			server = s
		}
	}
	// One more service, which the app's environment may name.
	other := *server
	other.ID, other.Name, other.LoadBalancers = "Main/Other", topology.Known("other"), nil
	connect := *server.Connect
	connect.Endpoints = slices.Clone(connect.Endpoints)
	connect.Endpoints[0].DiscoveryName = topology.Known("other")
	other.Connect = &connect
	agent.Services = append(agent.Services, &other)
	check("a service that nobody names", agent, []string{plan.ArmAgent}, short(server.ID))
	name := topology.NewIndex(agent).Endpoints(other.ID)
	if len(name) == 0 {
		t.Fatal("the other service has no endpoint")
	}
	task := *server.Task
	task.Containers = slices.Clone(task.Containers)
	task.Containers[0].Environment = map[string]topology.Opt[string]{"DEPENDENCIES": topology.Known("http://other.sample-namespace:80/healthz")}
	server.Task = &task
	check("a service that the app's environment names", agent, []string{plan.ArmAgent}, short(server.ID), "Other")
}
