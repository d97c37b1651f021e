package differential_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/test/differential"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	"github.com/hoplab/hoplab/internal/topology"
)

var (
	meshes   = flag.Int("meshes", 2, "generated deployments of many services to compare")
	services = flag.String("services", "10-30", "how many services they have, between two numbers")
	everyone = flag.Int("everyone", 25, "services of the deployment in which every one calls every other; 200 for 40,000 calls")
)

// meshApp is what the measured app does in a mesh.
func meshApp(s *topology.Service) reach.App {
	a := reach.AppOf(s)
	a.Status, a.Body, a.Paths = 404, "404 page not found\n", map[string]int{"/": 200, "/healthz": 200, "/readyz": 200}
	return a
}

// compareMesh compares a mesh, whose agents may share processes: what is asked,
// and without that all of the report.
func compareMesh(t *testing.T, top *topology.Topology, seed uint64, share bool, scale float64, limit time.Duration,
	ask ...differential.Question) []differential.Row {
	t.Helper()
	app, self := labtest.Programs(t)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	x := topology.NewIndex(top)
	rows, err := differential.Compare(ctx, top, differential.Options{
		App: []string{app}, Node: []string{self, "node"}, Fabric: *fabric, Scale: scale, Seed: seed, Share: share,
		Dir: filepath.Join(t.TempDir(), "lab"), Reach: reach.Options{App: meshApp},
		Ask: ask,
		Want: func(p *reach.Prediction) bool { // a service without tasks makes no calls
			caller := x.Service(p.Caller.Service)
			return len(ask) == 0 && (caller == nil || caller.DesiredCount.Or(1) > 0)
		},
	})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return rows
}

// count counts rows by what became of them, and returns the first that differs.
func count(rows []differential.Row) (agree, skipped int, differs *differential.Row) {
	for i := range rows {
		switch r := &rows[i]; {
		case r.Skipped != "":
			skipped++
		case r.Differs != "":
			if differs == nil {
				differs = r
			}
		default:
			agree++
		}
	}
	return agree, skipped, differs
}

// TestGeneratedMeshes holds prediction against observation over deployments of
// many services with random names, groups and namespaces; in every second one
// the agents share processes. Fifty of them:
// go test ./internal/test/differential -run Meshes -meshes 50 -timeout 60m -v
func TestGeneratedMeshes(t *testing.T) {
	layer.Full(t, "starts labs")
	seed := *first
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e9
	}
	least, most := span(t)
	pace := max(*scale/3, 1) // so many processes do not keep up with the fastest clock
	var reruns labtest.Reruns
	agreed := 0
	for i := range *meshes {
		s := seed + uint64(i)
		rng := rand.New(rand.NewPCG(s, 2))
		top := labtest.Mesh(t, cfntest.RandomMesh(rng, least+rng.IntN(most-least+1)))
		rows := compareMesh(t, top, s, i%2 == 0, pace, 5*time.Minute)
		agree, skipped, differs := count(rows)
		why := ""
		if differs != nil {
			why = differs.ID + ": " + differs.Differs
			agree, skipped, differs = count(compareMesh(t, top, s, i%2 == 0, max(pace/8, 1), 10*time.Minute))
		}
		reruns.Case(fmt.Sprintf("seed %d", s), why)
		t.Logf("seed %d: %d services, %d predictions agree, %d cannot be shown", s, len(top.Services), agree, skipped)
		if differs != nil {
			t.Errorf("seed %d, %d services\n  %s: %s\n  predicted %s\n  observed  %s\n  differs:  %s", s, len(top.Services),
				differs.ID, differs.What, differs.Predicted, differs.Observed, differs.Differs)
		}
		agreed += agree
	}
	reruns.Judge(t)
	t.Logf("%d predictions agree with the lab, from seed %d", agreed, seed)
	if agreed < *meshes*least {
		t.Errorf("only %d predictions compared over %d deployments", agreed, *meshes)
	}
}

// span parses -services.
func span(t *testing.T) (least, most int) {
	t.Helper()
	low, high, ok := strings.Cut(*services, "-")
	least, err := strconv.Atoi(low)
	most, err2 := strconv.Atoi(high)
	if !ok || err != nil || err2 != nil || least < 2 || most < least {
		t.Fatalf("-services %q: expected two numbers such as 10-30, from 2 on", *services)
	}
	return least, most
}

// TestEveryServiceCallsEveryOther: each of many services calls every one by its
// name, itself too, and sees what is predicted: those that are deployed before
// it answer, the others' names it does not know. With 200 that is 40,000 calls:
// go test ./internal/test/differential -run EveryOther -everyone 200 -timeout 30m -v
func TestEveryServiceCallsEveryOther(t *testing.T) {
	layer.Full(t, "starts a lab")
	mesh := cfntest.Uniform(*everyone, 1)
	for i := range mesh.Services[1:] {
		mesh.Services[i+1].After = []int{i}
	}
	top := labtest.Mesh(t, mesh)
	// The report leaves pairs of large deployments out; here all are asked.
	var ask []differential.Question
	for _, from := range top.Services {
		for _, to := range mesh.Services {
			caller := reach.Caller{Kind: reach.CallerService, Name: from.Name.Or(""), Service: from.ID}
			ask = append(ask, differential.Question{Caller: caller, URL: "http://" + to.Name + "." + mesh.Namespaces[0]})
		}
	}
	rows := compareMesh(t, top, 1, true, 5, 25*time.Minute, ask...)
	agree, skipped, differs := count(rows)
	t.Logf("%d calls as predicted, %d cannot be shown", agree, skipped)
	if differs != nil {
		t.Errorf("%s: %s\n  predicted %s\n  observed  %s\n  differs:  %s", differs.ID, differs.What, differs.Predicted, differs.Observed, differs.Differs)
	}
	if want := *everyone * *everyone; agree != want {
		t.Errorf("%d calls were compared, want %d", agree, want)
	}
}
