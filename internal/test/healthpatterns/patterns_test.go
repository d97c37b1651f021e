package healthpatterns

import (
	"os"
	"testing"

	"github.com/hoplab/hoplab/internal/test/golden"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

//go:generate go test . -run TestPage$ -count=1 -update

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
	golden.Check(t, "../../../docs/health-checks.md", []byte(Page()))
}
