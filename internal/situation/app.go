package situation

import (
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/topology"
)

// App tells reach what the situation's app does, from the environment that
// the lab gives to the real one.
func (s Situation) App(svc *topology.Service) reach.App {
	a := reach.AppOf(svc)
	if !strings.HasSuffix(string(svc.ID), scenario.AppService) {
		return a
	}
	a.Status, a.Body = 404, "404 page not found\n"
	root := 200
	if v, err := strconv.Atoi(s.Config.App["STATUS"]); err == nil {
		root = v
	}
	a.Paths = map[string]int{"/": root, "/healthz": 200, "/readyz": 200}
	if text, ok := strings.CutPrefix(s.Config.App["DELAY"], "/="); ok {
		if d, err := time.ParseDuration(text); err == nil {
			a.Delay, a.Prompt = d, []string{"/healthz", "/readyz"}
		}
	}
	return a
}

// Ask is the situation's call in reach's words: who calls which URL. The URL
// is empty when the situation has no call.
func (s Situation) Ask(t *topology.Topology) (reach.Caller, string) {
	if s.Call == nil {
		return reach.Caller{}, ""
	}
	c := reach.Caller{Kind: reach.CallerStandalone, Name: "a task without Service Connect"}
	for _, svc := range t.Services {
		if s.Call.FromClient && strings.HasSuffix(string(svc.ID), scenario.ClientService) {
			c = reach.Caller{Kind: reach.CallerService, Name: "client", Service: svc.ID}
		}
	}
	c.Lookup = s.Call.Lookup
	host, port := s.Config.Endpoint(), s.Config.AliasPort
	if s.Call.To == "alb" {
		c.Kind, c.Name = reach.CallerAdmitted, "an admitted caller"
		host, port = "Alb", s.Config.Listener
	}
	if s.Call.Port != 0 {
		port = s.Call.Port
	}
	if s.Call.HTTPS {
		return c, "https://" + host + ":443" + s.Call.Path
	}
	return c, "http://" + host + ":" + strconv.Itoa(port) + s.Call.Path
}
