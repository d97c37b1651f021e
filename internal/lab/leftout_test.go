package lab

import (
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab/vpc"
	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// What the lab cannot run is left out by name, never run as something else.
func TestLeavesOutByName(t *testing.T) {
	f := topologytest.Healthy()
	f.Server.Task.NetworkMode = topology.Known("bridge")
	f.ALB.Kind = "network"
	index := topology.NewIndex(f.Topology)
	l := &Lab{opts: Options{Topology: f.Topology}, index: index, network: vpc.New(index)}
	dc := l.newCopy("", nil)
	if len(dc.balancers) > 0 || dc.service(f.Server.ID) != nil || dc.service(f.Client.ID) == nil {
		t.Errorf("%d load balancers, %d services", len(dc.balancers), len(dc.services))
	}
	notes := strings.Join(l.notes, "\n")
	for _, want := range []string{"Main/Alb: a load balancer of the kind network", "Main/Service: its tasks run in network mode bridge"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not among the notes:\n%s", want, notes)
		}
	}
}
