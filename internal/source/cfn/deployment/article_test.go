package deployment_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/topology"
)

// TestArticle reads the stack of the article this project grew from, as CDK
// 2.260.0 writes it for the same constructs: without override, with it and a group that opens only port 80,
// and with both ports open.
func TestArticle(t *testing.T) {
	tests := []struct {
		name     string
		override int // 0: none
		open     []int
	}{
		{"default", 0, []int{80}},
		{"override-closed", 8080, []int{80}},
		{"override-open", 8080, []int{80, 8080}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join("testdata/article", tt.name)
			top := build(t, nil, file+".template.json")
			golden.Check(t, file+".golden", dump(top))

			app := topology.NewIndex(top).Service(named(t, top, "sample-ecs-app"))
			if n := len(app.Connect.Endpoints); n != 1 {
				t.Fatalf("%d endpoints, want 1", n)
			}
			e := app.Connect.Endpoints[0]
			if got := e.IngressPortOverride.Or(0); got != tt.override {
				t.Errorf("override %d, want %d", got, tt.override)
			}
			if _, m := app.PortMapping(e.PortName.Or("")); m == nil || m.Port.Or(0) != 80 || m.AppProtocol.Or("") != "http" {
				t.Errorf("port mapping %+v, want 80 with http", m)
			}
			client := topology.NewIndex(top).Service(named(t, top, "client-service"))
			from, _ := client.Groups[0].Get()
			to, _ := app.Groups[0].Get()
			if got := opened(top, to, from); fmt.Sprint(got) != fmt.Sprint(tt.open) {
				t.Errorf("client may reach ports %v, want %v", got, tt.open)
			}
			if len(client.After) != 0 {
				t.Errorf("the client waits for %v; the article's does not wait", client.After)
			}
			role, _ := app.Task.TaskRole.Get()
			if got := len(topology.NewIndex(top).Role(role).Managed); got != 3 {
				t.Errorf("%d managed policies on the task role, want 3", got)
			}
			if len(top.Unknowns) != 0 {
				t.Errorf("unknown: %v", top.Unknowns)
			}
		})
	}
}

// named returns the ID of the service with that name.
func named(t *testing.T, top *topology.Topology, name string) topology.ID {
	t.Helper()
	for _, s := range top.Services {
		if s.Name.Or("") == name {
			return s.ID
		}
	}
	t.Fatalf("no service is named %s", name)
	return ""
}

// opened lists the ports that group to opens for group from.
func opened(top *topology.Topology, to, from topology.ID) []int {
	var out []int
	for _, r := range topology.NewIndex(top).SecurityGroup(to).Ingress {
		if r.Peer.Group == from {
			out = append(out, r.From)
		}
	}
	return out
}
