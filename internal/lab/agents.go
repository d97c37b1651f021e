package lab

import (
	"path/filepath"
	"slices"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/node"
)

// What Options.Agent can be.
const (
	AgentLab   = "lab"   // the lab's own agent
	AgentEnvoy = "envoy" // the Envoy that Options.Envoy names
)

// CheckAgent fails when the other options do not allow the Agent. Envoy runs in
// real time, so it needs an unscaled clock.
func (o *Options) CheckAgent() error {
	const hint = "use --agent lab, the lab's own"
	switch {
	case o.Agent == "" || o.Agent == AgentLab:
		return nil
	case o.Agent != AgentEnvoy:
		return fail.Newf(fail.Usage, "use --agent lab or envoy", "there is no agent %q", o.Agent)
	case o.Scale > 1:
		return fail.Newf(fail.Usage, hint, "Envoy's timers cannot be scaled")
	case slices.ContainsFunc(o.Inject, func(i Injection) bool { return i.Hop == "agent" }):
		return fail.Newf(fail.Usage, hint, "no delay can be injected into Envoy")
	}
	return nil
}

// envoyPath returns the program that takes the agents' place; empty for the lab's own.
func (o *Options) envoyPath() (string, error) {
	if err := o.CheckAgent(); err != nil || o.Agent != AgentEnvoy {
		return "", err
	}
	if o.Envoy == "" {
		return "", fail.Newf(fail.Usage, "name one; package envoybin finds it", "the agents are to be Envoy, and no Envoy is named")
	}
	return o.Envoy, nil
}

// envoyOf says how a node runs Envoy for the task; nil for the lab's own agent.
func (t *task) envoyOf() *node.Envoy {
	if t.service.copy.lab.envoy == "" {
		return nil
	}
	return &node.Envoy{Path: t.service.copy.lab.envoy, Dir: filepath.Join(t.dir, "envoy")}
}
