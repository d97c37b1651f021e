package lab

import (
	"path/filepath"
	"slices"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/inject"
	"github.com/hoplab/hoplab/internal/lab/node"
)

// What Options.Agent can be.
const (
	AgentLab   = "lab"   // the lab's own agent
	AgentEnvoy = "envoy" // the Envoy that Options.Envoy names
)

// AgentWorkers is how many worker threads AWS starts its agent's Envoy with
// (semantics, section 3).
const AgentWorkers = 2

// CheckAgent fails when the other options do not allow the Agent. Envoy runs in
// real time, so it needs an unscaled clock.
func (o *Options) CheckAgent() error {
	switch {
	case o.Agent == "" || o.Agent == AgentLab:
		return nil
	case o.Agent != AgentEnvoy:
		return fail.Newf(fail.Usage, "use --agent lab or envoy", "there is no agent %q", o.Agent)
	case o.Scale > 1:
		return fail.Newf(fail.Usage, "use --agent lab, the lab's own", "Envoy's timers cannot be scaled")
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

// agentInjection is the delay of a service's agents. An Envoy delays in a filter,
// which costs something itself: when one has it all have, and the others'
// delay is 0.
func (l *Lab) agentInjection(s *service) *inject.Spec {
	spec := l.injectionFor("agent", s)
	if spec == nil && l.envoy != "" && slices.ContainsFunc(l.opts.Inject, func(i Injection) bool { return i.Hop == "agent" }) {
		return &inject.Spec{Delay: call.Delay{Share: 1}}
	}
	return spec
}
