package rollout_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/reach/rollout"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/source"
	"github.com/hoplab/hoplab/internal/topology"
)

func golden(t *testing.T, variant string) *topology.Topology {
	t.Helper()
	topo, err := source.Load(t.Context(), []string{"../../../stacks/testdata/golden/" + variant}, source.Options{NoSynth: true})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func built(t *testing.T, edit ...func(*scenario.Config)) *topology.Topology {
	t.Helper()
	c := scenario.Default()
	c.Name, c.ContainerPort, c.AliasPort = "rollout", 80, 80
	c.AppFromClient, c.AppFromALB = []int{80}, []int{80}
	for _, f := range edit {
		f(&c)
	}
	topo, err := c.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// brief writes the ways that somebody uses, one a line, with what is seen in
// each phase: "ok", an HTTP status or a class; "-" where there is no such way.
func brief(tl *rollout.Timeline) string {
	var b strings.Builder
	for _, w := range tl.Paths {
		if p := w.Last(); p == nil || !p.Likely {
			continue
		}
		fmt.Fprintf(&b, "%s:", w.ID[:strings.IndexByte(w.ID, '/')])
		for _, p := range w.Seen {
			switch {
			case p == nil:
				b.WriteString(" -")
			case p.Outcome.Class == reach.OK:
				b.WriteString(" ok")
			case p.Outcome.Status != 0:
				fmt.Fprintf(&b, " %d", p.Outcome.Status)
			default:
				fmt.Fprintf(&b, " %s", p.Outcome.Class)
			}
		}
		if _, ok := w.Outage(); ok {
			b.WriteString(" outage")
		}
		if at, ok := w.Breaks(); ok {
			fmt.Fprintf(&b, " breaks when %s", tl.Phases[at])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestFollow(t *testing.T) {
	override := func(c *scenario.Config) { c.Override = new(8080) }
	inline := func(c *scenario.Config) { c.InlineRules = true }
	opens := func(ports ...int) func(*scenario.Config) {
		return func(c *scenario.Config) { c.AppFromClient = ports }
	}
	for _, c := range []struct {
		name          string
		before, after *topology.Topology
		want          []string // lines that brief has
		not           string   // and what it has not
	}{
		{"our own stacks toggle without a gap", golden(t, "agent"), golden(t, "bypass"), []string{"alb: ok ok"}, "outage"},
		{"and back", golden(t, "bypass"), golden(t, "agent"), []string{"alb: ok ok"}, "outage"},
		{"a rule inside its group moves with the override", built(t, inline),
			built(t, inline, override, opens(8080)), []string{"mesh: ok 504 ok outage"}, "breaks"},
		{"one that is a resource of its own waits for the clean-up", built(t), built(t, override, opens(8080)),
			[]string{"alb: ok ok"}, "outage"},
		{"with both ports open first, nothing", built(t), built(t, opens(80, 8080)), nil, "mesh"},
		{"then the override", built(t, opens(80, 8080)), built(t, opens(80, 8080), override), nil, "outage"},
		{"then the old port closed", built(t, opens(80, 8080), override), built(t, opens(8080), override), nil, "mesh"},
		{"the load balancer's egress goes with the clean-up", golden(t, "agent"), golden(t, "no-egress"),
			[]string{"alb: ok 504 breaks when " + rollout.CleanedUp}, "outage"},
		{"the clients' rule is closed at once", built(t, inline), built(t, inline, opens()),
			[]string{"mesh: ok 504 breaks when " + rollout.OldTasks}, "outage"},
		{"nothing changes", golden(t, "both"), golden(t, "both"), nil, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tl, err := rollout.Follow(c.before, c.after, reach.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := brief(tl)
			if !strings.Contains(got, "ok ok") && strings.Contains(c.name, "egress") && len(tl.Rolls) > 0 {
				t.Errorf("a change of a rule alone replaces the tasks of %v", tl.Rolls)
			}
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("want %q in\n%s", want, got)
				}
			}
			if c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("%q in\n%s", c.not, got)
			}
		})
	}
}

func TestFollowStrangers(t *testing.T) {
	if _, err := rollout.Follow(built(t), golden(t, "both"), reach.Options{}); !errors.Is(err, rollout.ErrStrangers) {
		t.Errorf("got %v, want ErrStrangers", err)
	}
}

// TestPhasesEnds: the ends are the two deployments themselves, and what is
// between shares no slice with them that it changes.
func TestPhasesEnds(t *testing.T) {
	before, after := golden(t, "agent"), golden(t, "bypass")
	groups, services := len(after.SecurityGroups), len(after.Services)
	ph := rollout.Phases(before, after)
	if ph[0].Topology != before || ph[len(ph)-1].Topology != after {
		t.Error("the first and the last phase are not the deployments")
	}
	if !topology.Same(after, golden(t, "bypass")) || len(after.SecurityGroups) != groups || len(after.Services) != services {
		t.Error("Phases changed the topology that it was given")
	}
}
