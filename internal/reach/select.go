package reach

import (
	"cmp"
	"iter"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

// Selection says which predictions are wanted. The zero value wants all.
type Selection struct {
	// From names callers and To what is called, each by any of its names; an
	// empty list wants all.
	From, To []string
	// OnlyFailures wants the paths that do not work, or of which the source does
	// not say so. A call that is wrong by its nature (an ingress port in the URL,
	// a name without Service Connect) is no failure of the deployment.
	OnlyFailures bool
}

// Failed reports whether a path does not work, or is not known to.
func (p *Prediction) Failed() bool {
	switch {
	case p.Kind == KindWhatIf || p.Kind == KindOutside:
		return false
	case p.Kind == KindALB && p.Outcome.By == "alb" && p.TargetGroup == "":
		return false // the listener answers itself, as it was told to
	case p.Target != nil:
		return p.Target.State == StateUnhealthy || p.Target.State == StateUnknown
	}
	return p.Outcome.Class != OK && p.Outcome.Class != NoTraffic
}

// Select returns those of the predictions that are wanted. It fails when
// nothing in the topology has a name that is asked for.
func (p *Predictor) Select(all iter.Seq[Prediction], want Selection) (iter.Seq[Prediction], error) {
	callers, called := p.callerNames(), p.calledNames()
	for _, check := range []struct {
		flag  string
		names []string
		known map[string]bool
	}{{"from", want.From, callers}, {"to", want.To, called}} {
		for _, name := range check.names {
			if _, ok := check.known[strings.ToLower(name)]; !ok {
				return nil, fail.Newf(fail.Usage, "choose from "+choices(check.known), "--%s %q: nothing in %s has that name", check.flag, name, p.x.Topology.Name)
			}
		}
	}
	return func(yield func(Prediction) bool) {
		for pr := range all {
			if want.keeps(p.x, &pr) && !yield(pr) {
				return
			}
		}
	}, nil
}

func (w Selection) keeps(x *index, pr *Prediction) bool {
	if w.OnlyFailures && !pr.Failed() {
		return false
	}
	return (len(w.From) == 0 || meetsAny(w.From, x.callerOf(pr))) && (len(w.To) == 0 || meetsAny(w.To, x.calledBy(pr)))
}

func meetsAny(want, has []string) bool {
	return slices.ContainsFunc(want, func(w string) bool {
		return slices.ContainsFunc(has, func(h string) bool { return strings.EqualFold(w, h) })
	})
}

// callerOf returns the names of who calls.
func (x *index) callerOf(pr *Prediction) []string {
	names := []string{pr.Caller.Name, string(pr.Caller.Kind)}
	if s := x.Service(pr.Caller.Service); s != nil {
		names = append(names, serviceNames(s)...)
	}
	return names
}

// calledBy returns the names of what is called: the host of the URL, and the
// service and the load balancer on the path.
func (x *index) calledBy(pr *Prediction) []string {
	var names []string
	if u, err := url.Parse(pr.URL); err == nil {
		names = append(names, u.Hostname(), u.Host)
	}
	if s := x.Service(pr.Service); s != nil {
		names = append(names, serviceNames(s)...)
	}
	if lb := x.LoadBalancer(pr.LoadBalancer); lb != nil {
		names = append(names, topology.Label(lb.Origin, lb.Name), string(lb.ID))
	}
	return names
}

// serviceNames are the names by which a service may be asked for, the one that
// people know first.
func serviceNames(s *topology.Service) []string {
	label := topology.Label(s.Origin, s.Name)
	return []string{label, strings.TrimSuffix(label, "-service"), string(s.ID), path.Base(string(s.ID))}
}

// callerNames returns the names of callers in lower case, and whether a list of
// choices has them.
func (p *Predictor) callerNames() map[string]bool {
	known := map[string]bool{}
	for _, k := range []CallerKind{
		CallerService, CallerAdmitted, CallerHealth, CallerStandalone, CallerLambda, CallerCloudShell, CallerWithoutAgent,
	} {
		known[string(k)] = k == CallerAdmitted
	}
	for _, c := range p.o.Callers {
		known[strings.ToLower(c.Name)] = true
	}
	for _, d := range p.x.Topology.Standalone {
		known[strings.ToLower(topology.Label(d.Origin, d.Family))] = true
	}
	p.addServices(known)
	return known
}

// calledNames does the same for what is called.
func (p *Predictor) calledNames() map[string]bool {
	known := map[string]bool{}
	for _, ns := range p.x.ConnectNamespaces() {
		for _, n := range ns.Names {
			if name, ok := n.Spelled(); ok {
				known[strings.ToLower(name)] = true
				known[strings.ToLower(name)+":"+strconv.Itoa(n.Port.Or(0))] = false
			}
		}
	}
	for _, r := range p.x.Topology.Records {
		if name, ok := r.Name.Get(); ok {
			known[strings.ToLower(name)] = true
		}
	}
	for _, lb := range p.x.Topology.LoadBalancers {
		known[strings.ToLower(string(lb.ID))] = false
		known[strings.ToLower(topology.Label(lb.Origin, lb.Name))] = true
	}
	p.addServices(known)
	return known
}

func (p *Predictor) addServices(known map[string]bool) {
	for _, s := range p.x.Topology.Services {
		for i, name := range serviceNames(s) {
			name = strings.ToLower(name)
			known[name] = known[name] || i == 0
		}
	}
}

// choices lists some of the names that there are.
func choices(known map[string]bool) string {
	const most = 12
	names := slices.DeleteFunc(sortedKeys(known), func(name string) bool { return !known[name] })
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and others"
	}
	return cmp.Or(strings.Join(names, ", "), "nothing: there is none")
}
