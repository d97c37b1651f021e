package reach

import (
	"testing"

	"github.com/hoplab/hoplab/internal/test/topologytest"
)

// predict returns the report, or stops the test.
func predict(t *testing.T, f *topologytest.Fixture, o Options) *Report {
	t.Helper()
	r, err := Predict(f.Topology, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The IDs of the fixture's predictions.
const (
	idALB       = "alb/Main/Alb:80/default"
	idALBClient = "alb/Main/ClientService/Main/Alb:80/default"
	idMesh      = "mesh/Main/ClientService/app.sample-namespace:80"
	idWhatIf    = "what-if/Main/ClientService/app.sample-namespace:8080"
	idHealth    = "health/Main/Targets/Main/Service:80"
	idDirect    = "direct/Main/ClientService/Main/Service:80"
	idDirect2   = "direct/Main/ClientService/Main/Service:8080"
)
