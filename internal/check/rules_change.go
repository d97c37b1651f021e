package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// changeRules are about what an update or the end of a stack does. Those about
// updates compare with the deployment as it is now, and find nothing when it is
// not known.
var changeRules = []Rule{
	{
		ID: "replaced-with-service-connect", Severity: Error, Title: "A change replaces a service with Service Connect",
		Explain: "CloudFormation carries out a change of ServiceName, Cluster or LaunchType by replacing the service, and creates the new one first. Its discovery names are still the old one's, and a name can be published once in a namespace, so the update of the stack fails.",
		Fix:     "Leave the property as it is, or do it in two updates: take Service Connect (or the service) out, then change the property and put it back. Callers are without the name in between.",
		Source:  semantics.Section(8).Row(46).Cite(),
		run:     replacedWithConnect,
	},
	{
		ID: "app-protocol-changed", Severity: Error, Title: "The application protocol of a live endpoint changes",
		Explain: "The AppProtocol of a port mapping cannot be changed while a service publishes it with Service Connect.",
		Fix:     "Delete the service and create it anew, or publish the port under another discovery name in a service of its own.",
		Source:  semantics.Section(3).Cite(),
		run:     protocolChanged,
	},
	{
		ID: "agent-setting-dropped", Severity: Note, Title: "A setting of the agent goes back to its default",
		Explain: "What an update leaves out of the Service Connect configuration is not kept as it was: AccessLogConfiguration and LogConfiguration go back to their defaults, no access log and no log at all, in the tasks that start after the update.",
		Fix:     "Keep the setting in the template.", Source: semantics.Section(4).Cite(),
		run: settingDropped,
	},
	{
		ID: "outage-during-update", Severity: Warning, Title: "Callers are locked out while an update is carried out",
		Explain: "CloudFormation changes a security group, a listener or a target group before the services that refer to it, and Amazon ECS takes its time to start the new tasks. Until they run, the old tasks are behind the new rules. A port that only the old tasks have, closed in the same update, is closed too early.",
		Fix:     "Make the rule a resource of its own (AWS::EC2::SecurityGroupIngress) on which the service depends: its successor is created before the deployment, and it is deleted after it. Or do it in three updates: open both ports, change the service, close the old port. hoplab explain --before shows the phases.",
		Source:  semantics.Section(7).Cite(),
		run:     outageDuringUpdate,
	},
	{
		ID: "update-hides-failure", Severity: Warning, Title: "An update succeeds, and then callers fail",
		Explain: "Nothing in the update waits for what it breaks: no service gets new tasks whose health would be looked at, or what they need is removed in the clean-up, when all else has succeeded. The stack is UPDATE_COMPLETE and there is no rollback.",
		Fix:     "Keep what the callers need. hoplab explain --before shows the phase in which it goes.",
		Source:  semantics.Section(7).Cite(),
		run:     updateHidesFailure,
	},
	{
		ID: "namespace-outlives-stack", Severity: Note, Title: "Amazon ECS makes a namespace that the stack does not own",
		Explain: "A cluster whose default namespace is given by the name of one that does not exist makes Amazon ECS create it, outside the stack. It stays in Cloud Map when the stack is deleted.",
		Fix:     "Declare the namespace and give the cluster its ARN, or delete it by hand after the stack.",
		Source:  semantics.Section(4).Row(49).Cite(),
		run:     namespaceOutlives,
	},
}

// eachChange calls f for every service that is deployed now and stays, of
// which both sides have Service Connect.
func (c *checker) eachChange(f func(before, after *topology.Service)) {
	if c.before == nil {
		return
	}
	for _, s := range c.x.Topology.Services {
		if old := c.deployed(s); old != nil && old.Connected() && s.Connected() {
			f(old, s)
		}
	}
}

// deployed returns the service as it is deployed now, or nil. A stack that was
// read from a template alone is called by its file, which may have another name
// now: then the logical ID counts, if it is one service's.
func (c *checker) deployed(s *topology.Service) *topology.Service {
	if old := c.before.Service(s.ID); old != nil {
		return old
	}
	var found *topology.Service
	for _, old := range c.before.Topology.Services {
		if logical(string(old.ID)) != logical(string(s.ID)) {
			continue
		}
		if found != nil {
			return nil
		}
		found = old
	}
	return found
}

// logical is an ID without its stack.
func logical(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// differs reports that a value certainly changes.
func differs(a, b topology.Opt[string]) bool {
	if a.IsUnknown() || b.IsUnknown() {
		return false
	}
	return a.IsAbsent() != b.IsAbsent() || a.Or("") != b.Or("")
}

func withoutStack(o topology.Opt[string]) topology.Opt[string] {
	if id, ok := o.Get(); ok {
		return topology.Known(logical(id))
	}
	return o
}

func replacedWithConnect(c *checker) {
	c.eachChange(func(before, after *topology.Service) {
		if terraformed(after.Origin) {
			return // Terraform deletes first
		}
		var what []string
		for _, p := range []struct {
			property string
			a, b     topology.Opt[string]
		}{
			{"ServiceName", before.Name, after.Name},
			{"Cluster", withoutStack(before.Cluster), withoutStack(after.Cluster)},
			{"LaunchType", before.LaunchType, after.LaunchType},
		} {
			// Without a cluster or a launch type the service may still have the same.
			defaulted := p.property != "ServiceName" && (p.a.IsAbsent() || p.b.IsAbsent())
			if differs(p.a, p.b) && !defaulted {
				what = append(what, fmt.Sprintf("%s (%s to %s)", p.property, p.a.Or("none"), p.b.Or("none")))
			}
		}
		if len(what) == 0 {
			return
		}
		f := c.add(after.Origin, "Leave "+strings.Join(what, " and ")+" as it is, or take Service Connect out first.",
			"%s has Service Connect and changes %s, which CloudFormation does by creating another service first", topology.Label(after.Origin, after.Name), strings.Join(what, ", "))
		f.Effect = "the update of the stack fails: the new service's names are taken by the old one"
	})
}

func protocolChanged(c *checker) {
	c.eachChange(func(before, after *topology.Service) {
		was := map[string]topology.Opt[string]{}
		for _, e := range c.before.Endpoints(before.ID) {
			if d, ok := e.Config.Discovery().Get(); ok && e.Mapping != nil {
				was[d] = e.Mapping.AppProtocol
			}
		}
		for _, e := range c.x.Endpoints(after.ID) {
			d, ok := e.Config.Discovery().Get()
			old, known := was[d]
			if !ok || !known || e.Mapping == nil || !differs(old, e.Mapping.AppProtocol) {
				continue
			}
			f := c.add(after.Origin, "Leave AppProtocol as it is, or delete the service and create it anew.",
				"the AppProtocol of %s's endpoint %s changes from %s to %s", topology.Label(after.Origin, after.Name), d,
				old.Or("none"), e.Mapping.AppProtocol.Or("none"))
			f.Effect = "the deployment fails"
		}
	})
}

func settingDropped(c *checker) {
	c.eachChange(func(before, after *topology.Service) {
		var what []string
		if !before.Connect.AccessLog.IsAbsent() && after.Connect.AccessLog.IsAbsent() {
			what = append(what, "AccessLogConfiguration")
		}
		if before.Connect.HasLog && !after.Connect.HasLog {
			what = append(what, "LogConfiguration")
		}
		if len(what) == 0 {
			return
		}
		f := c.add(after.Origin, "Keep "+strings.Join(what, " and ")+".",
			"%s had %s for its agent and leaves it out now", topology.Label(after.Origin, after.Name), strings.Join(what, " and "))
		f.Effect = "new tasks have the default again: the agent's log is not kept"
	})
}

func namespaceOutlives(c *checker) {
	for _, k := range c.x.Topology.Clusters {
		if k.DefaultVia != "name" || k.DefaultName == "" || terraformed(k.Origin) {
			continue
		}
		declared := false
		for _, n := range c.x.Topology.Namespaces {
			name, ok := n.Name.Get()
			declared = declared || !ok || name == k.DefaultName
		}
		if !declared {
			c.add(k.Origin, "Declare an AWS::ServiceDiscovery::HttpNamespace and use its ARN.",
				"%s names its default namespace %s, which the source does not declare: if there is none, Amazon ECS makes it, and nothing deletes it with the stack",
				topology.Label(k.Origin, k.Name), k.DefaultName)
		}
	}
}

// timeline is what callers see while the update is carried out; without what is
// deployed now, or when the two have nothing in common, one in which nothing
// changes.
func (c *checker) timeline() *rollout.Timeline {
	if c.rollout == nil {
		c.rollout = &rollout.Timeline{}
		if c.before != nil {
			if t, err := rollout.Follow(c.before.Topology, c.x.Topology, reach.Options{}); err == nil {
				c.rollout = t
			}
		}
	}
	return c.rollout
}

func outageDuringUpdate(c *checker) {
	t := c.timeline()
	for _, w := range t.Paths {
		at, ok := w.Outage()
		if !ok || !w.Last().Likely {
			continue
		}
		p := w.Seen[at]
		f := c.add(c.place(w.Last()), c.rule.Fix, "%s works before and after this update, and not while %s", p.URL, t.Phases[at])
		f.Effect = effect(p) + ", until the new tasks run"
	}
}

func updateHidesFailure(c *checker) {
	t := c.timeline()
	for _, w := range t.Paths {
		at, ok := w.Breaks()
		if !ok || !w.Last().Likely || w.Last().Kind == reach.KindHealth {
			continue
		}
		if slices.Contains(t.Rolls, w.Last().Service) && t.Phases[at] != rollout.CleanedUp {
			continue // its deployment fails, or says so
		}
		f := c.add(c.place(w.Last()), c.rule.Fix, "%s works now and fails as soon as %s; the update succeeds all the same", w.Last().URL, t.Phases[at])
		f.Effect = effect(w.Last())
	}
}
