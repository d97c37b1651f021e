//go:build linux

package lab_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestAProgramStandsForAnImage: a command that knows nothing of the lab answers in
// the place of a service's image, behind the load balancer and the agents.
func TestAProgramStandsForAnImage(t *testing.T) {
	layer.Full(t, "starts a lab")
	labtest.Need(t, "python3")
	topo := labtest.Deployment(t, "bypass")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := start(t, lab.Options{Topology: topo, Scale: 8, Programs: []lab.Program{{Service: "sample-ecs-app",
		Command: strings.Fields("python3 -m http.server --bind $LISTEN_ADDRESS --directory " + dir + " ${PORT}")}}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.WaitHealthy(ctx); err != nil {
		t.Fatal(err)
	}
	url, err := l.LoadBalancerURL(topo.LoadBalancers[0].ID, 80)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from lab.Caller
		url  string
	}{{lab.Caller{}, url}, {lab.Caller{Service: clientID(t, topo)}, "http://app.sample-namespace:80"}} {
		if o, err := l.Curl(t.Context(), c.from, c.url); err != nil || o.Status != 200 || o.Body != "from a file" {
			t.Errorf("%s: %+v, %v", c.url, o, err)
		}
	}
}

// TestAProgramThatDoesNotListen: the lab says which port nobody listens on, and
// leaves nothing of what the command has started.
func TestAProgramThatDoesNotListen(t *testing.T) {
	layer.Full(t, "starts a lab")
	t.Cleanup(lab.SetProgramListens(300 * time.Millisecond))
	topo := labtest.Deployment(t, "bypass")
	for name, c := range map[string]struct {
		command string
		wants   []string
	}{
		"it ends": {"false", []string{"container App of task", "ended before it listened on 127.0.0.1:", "exit status 1"}},
		"it is somewhere else": {"sleep 30", []string{"container App of task", "does not listen on 127.0.0.1:", "within 300ms",
			"$LISTEN_ADDRESS and $PORT"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			l, err := lab.Start(ctx, lab.Options{Topology: topo, App: lab.App{Command: []string{service}}, Log: testLog{t},
				Programs: []lab.Program{{Service: "sample-ecs-app", Command: strings.Fields(c.command)}}})
			if err == nil {
				l.Close()
				t.Fatal("the lab is up")
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error()+" → "+fail.HintOf(err), want) {
					t.Errorf("%v → %s lacks %q", err, fail.HintOf(err), want)
				}
			}
		})
	}
}

// TestAProgramForNobody: a name that is no service's is refused before anything starts.
func TestAProgramForNobody(t *testing.T) {
	_, err := lab.Start(t.Context(), lab.Options{Topology: labtest.Deployment(t, "bypass"), App: lab.App{Command: []string{"app"}},
		Node: []string{"node"}, Programs: []lab.Program{{Service: "nobody", Command: []string{"sleep", "1"}}}})
	if fail.CodeOf(err) != fail.Usage || !strings.Contains(fail.HintOf(err), "sample-ecs-app, client-service") {
		t.Errorf("%v → %s", err, fail.HintOf(err))
	}
}

func TestProgramsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		program lab.Program
		want    string
	}{
		"no command":          {lab.Program{Service: "sample-ecs-app"}, "SERVICE=COMMAND"},
		"no such program":     {lab.Program{Service: "sample-ecs-app", Command: []string{"no-such-program"}}, "no-such-program"},
		"an unknown variable": {lab.Program{Service: "sample-ecs-app", Command: []string{"sh", "$HOME"}}, `names the variable "HOME"`},
	} {
		err := lab.CheckPrograms([]lab.Program{c.program})
		if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error()+" "+fail.HintOf(err), c.want) {
			t.Errorf("%s: %v; want a refusal with %q", name, err, c.want)
		}
	}
}
