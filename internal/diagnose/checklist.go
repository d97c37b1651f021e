package diagnose

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// examination answers the checklist for one target.
type examination struct {
	f reach.Probe
	e *Evidence // nil without live evidence
}

func (x examination) line(check, question string) Line {
	return Line{Check: check, Question: question, Status: OK}
}

func (l *Line) say(format string, args ...any) {
	l.Evidence = append(l.Evidence, fmt.Sprintf(format, args...))
}

// set records an answer with its first piece of evidence in front.
func (l *Line) set(s Status, fix, format string, args ...any) {
	l.Status, l.Fix = s, fix
	l.Evidence = append([]string{fmt.Sprintf(format, args...)}, l.Evidence...)
}

func (l *Line) at(o topology.Origin) { l.Origin = &o }

func (x examination) inUse() Line {
	l := x.line(InUse, "Does a listener forward to the target group, with health checks on?")
	group := name(x.f.Group.Origin, x.f.Group.Name)
	on := x.f.Group.Health.Enabled
	switch {
	case x.f.LB == nil && x.f.Prediction.Outcome.Class == reach.Unknown:
		l.set(Unknown, "", "%s", x.f.Prediction.Outcome.Why)
	case x.f.LB == nil:
		l.set(Fault, "Forward to the group from a listener.", "no listener forwards to %s, so its targets are unused (Target.NotInUse)", group)
		l.at(x.f.Group.Origin)
	case on.IsUnknown():
		l.set(Unknown, "", "whether health checks are on is not settled: %s", on.Why())
	case !on.Or(true):
		l.set(Fault, "Set HealthCheckEnabled.", "health checks of %s are off, so its targets are unavailable", group)
		l.at(x.f.Group.Origin)
	default:
		l.say("%s forwards to %s", name(x.f.LB.Origin, x.f.LB.Name), group)
	}
	return l
}

func (x examination) process() Line {
	l := x.line(Process, "Is the process running?")
	switch {
	case len(x.f.Refused) > 0:
		l.set(Fault, "Mend the configuration; hoplab check names the rule.", "%s is never deployed: %s", x.f.Target, x.f.Refused[0])
		l.at(x.f.Service.Origin)
	case !x.f.Tasks:
		l.set(Fault, "Set DesiredCount to 1 or more.", "%s has a desired count of 0: no task runs", x.f.Target)
		l.at(x.f.Service.Origin)
	case x.e != nil && x.e.Running != nil && !*x.e.Running:
		l.set(Fault, "Read the app's log and the stopped task's reason.", "the process does not run")
		l.Live = true
	case x.e != nil && x.e.Running != nil:
		l.say("the process runs")
		l.Live = true
	default:
		l.set(Unknown, "", "the source does not say whether the process runs; look at the task's state or its log")
	}
	if x.e != nil && x.e.ContainerHealth != "" {
		l.say("the container health check says %s; it runs inside the task and proves nothing about the way from the load balancer", x.e.ContainerHealth)
	}
	return l
}

func (x examination) egress() Line {
	return x.groups(x.line(Egress, "Does the load balancer's security group let the probe out to the target?"), x.f.Out)
}

func (x examination) ingress() Line {
	return x.groups(x.line(Ingress, "Does the target's security group let the load balancer in?"), x.f.In)
}

func (x examination) groups(l Line, s reach.GroupVerdict) Line {
	switch s.State {
	case reach.HopClosed:
		l.set(Fault, "Add to "+s.Block.Open.String()+".", "%s", s.Why)
		l.Add = s.Block.Open
		l.at(s.Block.At)
		if s.Block.Nearest != "" {
			l.say("the nearest rule is %s", s.Block.Nearest)
		}
	case reach.HopUnknown:
		l.set(Unknown, "", "%s", s.Why)
	default:
		for _, a := range s.Admits {
			l.say("%s has %s", a.Label, a.Text)
		}
	}
	return l
}

func (x examination) network() Line {
	l := x.line(Network, "Do subnets, routes and network ACLs connect the two?")
	l.set(Unknown, "", "routes and network ACLs are not modelled; they need the same port, and ephemeral ports for the answers")
	if x.e == nil || x.e.ProbesSeen == nil {
		return l
	}
	l.Live = true
	if n := *x.e.ProbesSeen; n > 0 {
		l.Status, l.Evidence = OK, []string{fmt.Sprintf("the app's log has %d probes, so they arrive", n)}
	} else {
		l.Evidence = []string{"the app's log has no probe; routes and network ACLs, which are not modelled, can be a reason too"}
	}
	return l
}

// port asks whether the check goes where the requests go.
func (x examination) port() Line {
	l := x.line(Port, "Does the health check ask the right port?")
	at, ok := x.f.CheckPort.Get()
	traffic, okt := x.f.Port.Get()
	switch {
	case !ok:
		l.set(Unknown, "", "the port of the check is not settled: %s", x.f.CheckPort.Why())
	case okt && at == traffic:
		l.say("it asks port %d, where the requests go", at)
	case x.f.Service == nil:
		l.say("it asks port %d, requests go to %d", at, traffic)
	case !x.f.Declared && !x.f.Agent:
		l.set(Fault, "Use traffic-port, or a port that the container declares.", "it asks port %d, which no container of %s declares; requests go to %d", at, x.f.Target, traffic)
		l.at(x.f.Group.Origin)
		if x.e != nil && x.e.Listening != nil && x.e.reachable(at, true) {
			l.Status, l.Live, l.Fix, l.Origin = OK, true, "", nil
			l.Evidence = []string{fmt.Sprintf("something listens on port %d although no container declares it", at)}
		}
	default:
		l.say("it asks port %d; requests go to %d", at, traffic)
	}
	return l
}

func (x examination) listening() Line {
	l := x.line(Listening, "Does the app listen on that port?")
	at, ok := x.f.CheckPort.Get()
	if !ok {
		l.set(Unknown, "", "the port of the check is not settled")
		return l
	}
	if x.e != nil && x.e.Listening != nil {
		return x.observedListening(l, at)
	}
	switch {
	case x.f.Answer == reach.DeliveryRefused:
		l.set(Fault, "Listen on all addresses, on the port that is checked.", "%s", x.f.Why)
	case x.f.Answer == reach.DeliveryAgentRefused:
		l.set(Fault, "Listen on all addresses, loopback included.", "%s", x.f.Why)
	case x.f.Answer == reach.DeliveryUnsettled:
		l.set(Unknown, "", "%s", x.f.Why)
	case x.f.Agent:
		l.set(Unknown, "", "the agent takes port %d; whether the app listens behind it is not in the source", at)
	default:
		l.set(Unknown, "", "a container declares port %d; whether the app listens there is not in the source", at)
	}
	return l
}

// observedListening judges a list of listeners. The agent reaches the app on
// loopback at its container port, everybody else from outside.
func (x examination) observedListening(l Line, at int) Line {
	l.Live = true
	var has []string
	for _, k := range x.e.Listening {
		has = append(has, fmt.Sprintf("%s:%d", orAll(k.Address), k.Port))
	}
	list := "nothing listens"
	if len(has) > 0 {
		list = "listening: " + strings.Join(has, ", ")
	}
	port, outside := at, true
	if x.f.Agent {
		outside = false
		if n, ok := x.f.Port.Get(); ok {
			port = n
		}
	}
	if x.e.reachable(port, outside) {
		l.say("%s", list)
		return l
	}
	how := "reachable from outside the task"
	if !outside {
		how = "on 127.0.0.1, where the agent dials it"
	}
	l.set(Fault, fmt.Sprintf("Let the app listen on 0.0.0.0:%d.", port), "the app does not listen on port %d %s", port, how)
	l.say("%s", list)
	return l
}

func orAll(address string) string {
	if address == "" {
		return "*"
	}
	return address
}

func (x examination) protocol() Line {
	l := x.line(Protocol, "Do the health check and whoever takes it speak the same protocol?")
	proto, ok := x.f.Protocol.Get()
	switch {
	case !ok:
		l.set(Unknown, "", "the check's protocol is not settled: %s", x.f.Protocol.Why())
	case x.f.Answer == reach.DeliveryWantsTLS:
		l.set(Fault, "Set HealthCheckProtocol and Protocol to HTTPS.", "the check speaks %s, and %s", proto, x.f.Why)
		l.at(x.f.Group.Origin)
	case x.f.Answer == reach.DeliveryWantsPlain:
		l.set(Fault, "Set HealthCheckProtocol to HTTP.", "the check speaks %s, and %s", proto, x.f.Why)
		l.at(x.f.Group.Origin)
	default:
		l.say("the check speaks %s", proto)
	}
	return l
}

func (x examination) path() Line {
	l := x.line(Path, "Does the path answer with a code that the matcher wants?")
	if x.f.Protocol.Or("") == "TCP" {
		l.say("a TCP check asks for no path: an accepted connection is all that it wants")
		return l
	}
	path, ok1 := x.f.Path.Get()
	matcher, ok2 := x.f.Matcher.Get()
	if !ok1 || !ok2 {
		l.set(Unknown, "", "path or matcher is not settled: %s%s", x.f.Path.Why(), x.f.Matcher.Why())
		return l
	}
	code, how := x.answered(path)
	switch {
	case code == 0:
		l.set(Unknown, "", "it asks GET %s and wants %s; what the app answers is not in the source", path, matcher)
	case !reach.Matches(matcher, code):
		l.set(Fault, "Ask a path that answers "+matcher+", or accept the code that it answers.", "GET %s answers %d, and the matcher wants %s", path, code, matcher)
		l.at(x.f.Group.Origin)
		l.say("%s", how)
	default:
		l.say("GET %s answers %d, and the matcher wants %s (%s)", path, code, matcher, how)
	}
	l.Live = x.e != nil && code != 0 && how != "as the app is known to answer"
	return l
}

// answered returns the status of the check's path, 0 when nobody knows, and how it is known.
func (x examination) answered(path string) (int, string) {
	if x.e != nil && x.e.Code != 0 {
		return x.e.Code, "as the load balancer reports"
	}
	if x.e != nil && x.e.Inside != 0 {
		return x.e.Inside, "as a request from inside the task was answered"
	}
	bare, _, _ := strings.Cut(path, "?")
	if s, ok := x.f.App.Paths[bare]; ok {
		return s, "as the app is known to answer"
	}
	return x.f.App.Status, "as the app is known to answer"
}

func (x examination) time() Line {
	l := x.line(Time, "Does the answer come in time?")
	switch {
	case x.f.App.Delay.Seconds() > float64(x.f.TimeoutSeconds):
		l.set(Fault, "Raise HealthCheckTimeoutSeconds, or ask a path that answers at once.", "the app takes %s, and the check waits %d s", x.f.App.Delay, x.f.TimeoutSeconds)
		l.at(x.f.Group.Origin)
	case x.f.App.Delay > 0:
		l.say("the app takes %s, and the check waits %d s", x.f.App.Delay, x.f.TimeoutSeconds)
	default:
		l.set(Unknown, "", "the check waits %d s every %d s; how long the app takes is not in the source", x.f.TimeoutSeconds, x.f.IntervalSeconds)
	}
	return l
}

// speaksOtherwise suspects the protocol: somebody listens, the process runs,
// and still the check ends without an answer that it understands.
func (x examination) speaksOtherwise(lines []Line) {
	for i := range lines {
		if l := &lines[i]; l.Check == Protocol && l.Status == OK {
			said := l.Evidence
			l.Evidence = nil
			l.set(Suspect, "Let the check speak what the app speaks: HTTP, HTTPS, and its version.", "the connection is made and fails (%s)", x.e.Reason)
			l.Evidence, l.Live = append(l.Evidence, said...), true
		}
	}
}

// weigh brings in what the load balancer reports. When no line explains it,
// the lines that it points at become suspects.
func (x examination) weigh(lines []Line) {
	if x.e == nil || x.e.State != reach.StateUnhealthy {
		return
	}
	for _, l := range lines {
		if l.Status == Fault {
			return
		}
	}
	suspect := func(check, fix, format string, args ...any) {
		for i := range lines {
			if lines[i].Check == check && lines[i].Status != OK {
				lines[i].set(Suspect, fix, format, args...)
				lines[i].Live = true
			}
		}
	}
	seen := -1
	if x.e.ProbesSeen != nil {
		seen = *x.e.ProbesSeen
	}
	switch {
	case x.e.Reason == reach.ReasonTimeout && seen > 0:
		suspect(Time, "Raise the timeout, or ask a path that answers at once.", "probes arrive and time out (%s)", x.e.Reason)
	case x.e.Reason == reach.ReasonTimeout:
		suspect(Egress, "Look at the group's rules as deployed.", "the probe times out (%s), and what the group lets out is not settled", x.e.Reason)
		suspect(Ingress, "Look at the group's rules as deployed.", "the probe times out (%s), and what the group lets in is not settled", x.e.Reason)
		suspect(Network, "Look at the network ACLs and routes of both subnets.", "the probe times out (%s) although the security groups in the source let it pass", x.e.Reason)
	case x.e.Reason == reach.ReasonMismatch:
		suspect(Path, "Ask the path from inside the task and compare the code with the matcher.", "the app answers with a code that the matcher does not want (%s)", x.e.Reason)
	case x.e.Reason == reach.ReasonFailed:
		suspect(Process, "Look whether the process runs.", "the connection fails (%s)", x.e.Reason)
		suspect(Listening, "Look where the process listens.", "the connection fails (%s)", x.e.Reason)
		for i := range lines {
			if lines[i].Check == Listening && lines[i].Status == OK { // so it is not refused
				x.speaksOtherwise(lines)
			}
		}
	}
}
