package experiment

import (
	"strconv"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/topology"
)

// Vary makes of a deployment what the plan wants of it beyond its templates:
// the appProtocol of every endpoint, and the access log of every agent. It
// fails when an endpoint's port mapping is not to be found.
func Vary(t *topology.Topology, p *plan.Plan) error {
	x := topology.NewIndex(t)
	for _, s := range t.Services {
		if s.Connect == nil {
			continue
		}
		switch p.AccessLog {
		case "":
		case plan.AccessLogOff:
			s.Connect.AccessLog = topology.Opt[string]{}
		default:
			s.Connect.HasLog, s.Connect.AccessLog = true, topology.Known(p.AccessLog)
		}
		if p.AppProtocol == "" {
			continue
		}
		for _, e := range x.Endpoints(s.ID) {
			if e.Mapping == nil {
				return fail.Newf(fail.Usage, "leave --app-protocol out",
					"an endpoint of %s cannot be given an appProtocol: %s", s.ID, e.Missing)
			}
			e.Mapping.AppProtocol = topology.Known(p.AppProtocol)
		}
	}
	return nil
}

// appEnv is what the plan wants of the app beyond its container's environment.
func appEnv(p *plan.Plan) []string {
	if p.ResponseBytes == 0 {
		return nil
	}
	return []string{"BODY_BYTES=" + strconv.Itoa(p.ResponseBytes)}
}
