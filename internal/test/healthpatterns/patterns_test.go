package healthpatterns

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

//go:generate go test . -run TestPage$ -count=1 -update

var update = flag.Bool("update", false, "rewrite docs/health-checks.md")

// service is the measured app, built once for all tests.
var service string

func TestMain(m *testing.M) {
	os.Exit(labtest.WithService(m, &service))
}

// situations maps each pattern to the tests of its two situations.
var situations = map[string]struct{ right, lies func(*testing.T) }{
	"alb-root":           {frontPageFails, dependencyGoneAsking("/")},
	"alb-api":            {processHangs, dependencyGoneAsking("/api/v1/health_check")},
	"alb-ready":          {dependencyGoneNoticed, dependencyGoneForAll},
	"alb-proxy":          {proxyHangs, appBehindProxyDead},
	"container-process":  {processEnded, hangingProcessFound},
	"container-socket":   {socketGone, socketLeftBehind},
	"container-http":     {hangingProcessAsked, loopbackOnly},
	"container-combined": {combinedSeesHang, combinedTwoProcesses},
}

// TestPatterns makes every situation that the table describes.
func TestPatterns(t *testing.T) {
	layer.Full(t, "starts labs")
	for _, p := range Patterns {
		s, ok := situations[p.Name]
		if !ok {
			t.Errorf("%s has no test", p.Name)
			continue
		}
		t.Run(p.Name+"/right", s.right)
		t.Run(p.Name+"/lies", s.lies)
	}
	if len(situations) != len(Patterns) {
		t.Errorf("%d tests for %d patterns", len(situations), len(Patterns))
	}
}

func TestPage(t *testing.T) {
	const path = "../../../docs/health-checks.md"
	if *update {
		if err := os.WriteFile(path, []byte(Page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(Page())) {
		t.Errorf("%s is not what the table says; run go test ./internal/test/healthpatterns -run TestPage -update", path)
	}
}
