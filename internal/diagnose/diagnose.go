// Package diagnose answers "why is my target unhealthy?": it walks the
// checklist (process, listening port, port and path of the target group,
// ingress of the target, egress of the load balancer, and what lies between)
// for every target of a topology, each line with its evidence, the culprit
// first.
//
// It works from the source alone, and better with live evidence that the
// caller observed: AWS, or a shell in the task. FromLab observes a running lab.
package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// Status is the answer to one line of the checklist.
type Status string

// The answers. Suspect is what remains when the evidence contradicts all that
// the source shows.
const (
	Fault   Status = "fault"
	Suspect Status = "suspect"
	Unknown Status = "unknown"
	OK      Status = "ok"
)

// The lines of the checklist, in the order in which a probe meets them.
const (
	InUse     = "in-use"     // does a listener forward to the target group?
	Process   = "process"    // is the process running?
	Egress    = "alb-egress" // does the load balancer's group let the probe out?
	Ingress   = "ingress"    // does the target's group let it in?
	Network   = "network"    // subnets, routes, network ACLs
	Port      = "port"       // does the check ask the right port?
	Listening = "listening"  // does anything listen there?
	Protocol  = "protocol"   // do both speak the same?
	Path      = "path"       // does the path answer with a code that the matcher wants?
	Time      = "time"       // in time?
)

// order ranks the lines: of two faults the one that the probe meets first is
// the culprit, because nothing behind it can be seen until it is mended.
var order = []string{InUse, Process, Egress, Ingress, Network, Port, Listening, Protocol, Path, Time}

// Line is one line of the checklist.
type Line struct {
	Check    string   `json:"check"`
	Question string   `json:"question"`
	Status   Status   `json:"status"`
	Evidence []string `json:"evidence"` // sentences; what was read in the source or observed
	// Live is set when the answer rests on live evidence.
	Live bool   `json:"live,omitempty"`
	Fix  string `json:"fix,omitempty"`
	// Origin is the resource to change, if one is known.
	Origin *topology.Origin `json:"origin,omitempty"`
	// Add is the security-group rule that mends it, if one does.
	Add *reach.OpenRule `json:"add,omitempty"`
}

// Diagnosis is the checklist of one target.
type Diagnosis struct {
	TargetGroup topology.ID `json:"target_group"`
	Label       string      `json:"label"`  // the group's name
	Target      string      `json:"target"` // the target's name
	State       string      `json:"state"`  // observed if there is live evidence, else predicted
	Reason      string      `json:"reason,omitempty"`
	Observed    bool        `json:"observed"`
	// Lines holds the faults first, in the order in which a probe meets them,
	// then suspects, then the rest of the checklist.
	Lines []Line `json:"lines"`
	// Conclusion is one sentence.
	Conclusion string `json:"conclusion"`
}

// Faults returns the lines with a fault.
func (d *Diagnosis) Faults() []Line {
	return slices.DeleteFunc(slices.Clone(d.Lines), func(l Line) bool { return l.Status != Fault })
}

// Options adjusts a diagnosis.
type Options struct {
	Reach reach.Options
	// TargetGroup limits the diagnosis to one group; empty means all.
	TargetGroup topology.ID
	// Evidence is what was observed of running targets.
	Evidence []Evidence
}

// NothingWrong is the conclusion for a target without fault or suspect.
const NothingWrong = "nothing wrong found"

// Diagnose returns one diagnosis per registered target, those with faults
// first. It fails when the topology has no such target group, or no target.
func Diagnose(t *topology.Topology, o Options) ([]Diagnosis, error) {
	p, err := reach.New(t, o.Reach)
	if err != nil {
		return nil, err
	}
	var out []Diagnosis
	for _, probe := range p.Probes() {
		if o.TargetGroup != "" && probe.Group.ID != o.TargetGroup {
			continue
		}
		out = append(out, diagnose(probe, find(o.Evidence, probe)))
	}
	if len(out) == 0 {
		return nil, nothingToDo(t, o.TargetGroup)
	}
	slices.SortStableFunc(out, func(a, b Diagnosis) int { return cmp.Compare(rank(a), rank(b)) })
	return out, nil
}

func rank(d Diagnosis) int {
	switch d.Lines[0].Status {
	case Fault:
		return 0
	case Suspect:
		return 1
	}
	return 2
}

func nothingToDo(t *topology.Topology, id topology.ID) error {
	var names []string
	for _, g := range t.TargetGroups {
		names = append(names, string(g.ID))
	}
	if len(names) == 0 {
		return fail.Newf(fail.Usage, "give a template with a load balancer", "%s has no target group", t.Name)
	}
	if id != "" && !slices.Contains(names, string(id)) {
		return fail.Newf(fail.Usage, "choose one of "+strings.Join(names, ", "), "%s has no target group %s", t.Name, id)
	}
	return fail.Newf(fail.Usage, "register a service or an instance with the target group", "%s: nothing registers targets with %s", t.Name, strings.Join(names, ", "))
}

func diagnose(f reach.Probe, e *Evidence) Diagnosis {
	d := Diagnosis{TargetGroup: f.Group.ID, Label: name(f.Group.Origin, f.Group.Name), Target: f.Target}
	if t := f.Prediction.Target; t != nil {
		d.State, d.Reason = t.State, t.Reason
	}
	if e != nil && e.State != "" {
		d.State, d.Reason, d.Observed = e.State, e.Reason, true
	}
	x := examination{f: f, e: e}
	d.Lines = []Line{x.inUse(), x.process(), x.egress(), x.ingress(), x.network(), x.port(), x.listening(), x.protocol(), x.path(), x.time()}
	x.weigh(d.Lines)
	slices.SortStableFunc(d.Lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(weight(a.Status), weight(b.Status)), cmp.Compare(slices.Index(order, a.Check), slices.Index(order, b.Check)))
	})
	d.Conclusion = conclude(d)
	return d
}

func weight(s Status) int {
	return slices.Index([]Status{Fault, Suspect, OK, Unknown}, s)
}

func conclude(d Diagnosis) string {
	first := d.Lines[0]
	faults := len(d.Faults())
	switch {
	case faults == 1:
		return first.Evidence[0]
	case faults > 1:
		return fmt.Sprintf("%s; and %d more, behind it", first.Evidence[0], faults-1)
	case first.Status == Suspect:
		return "the source shows nothing wrong; suspect " + first.Check + ": " + first.Evidence[0]
	}
	for _, l := range d.Lines {
		if l.Status == Unknown && l.Check != Network && l.Check != Process && l.Check != Listening && l.Check != Path && l.Check != Time {
			return "cannot tell: " + l.Evidence[0]
		}
	}
	return NothingWrong
}

func name(o topology.Origin, n topology.Opt[string]) string { return topology.Label(o, n) }
