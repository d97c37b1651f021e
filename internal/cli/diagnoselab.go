package cli

import (
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/diagnose"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/topology"
)

// insideLimit bounds the request that a diagnosis makes inside a host.
const insideLimit = 2 * time.Second

// labEvidence asks the running lab of that name what a checklist wants to know
// about its targets. t is what the lab was started from.
func labEvidence(t *topology.Topology, name string) ([]diagnose.Evidence, error) {
	f := labFlags{name: name}
	var st lab.Status
	if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		return nil, err
	}
	return diagnose.FromLab(t, &st, func(c lab.Caller, url string) (o call.Observation, err error) {
		err = f.call(labctl.Request{Op: labctl.OpCurl, Caller: c, URL: url, Timeout: insideLimit}, &o)
		return o, err
	})
}
