package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// local reports whether a host can only be one of the deployment: a name
// without a dot, or one in a private namespace that the source declares.
// Loopback and addresses are none.
func (x *index) local(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.ContainsAny(host, "$%{}[]<>@:") || host == "" || host[0] >= '0' && host[0] <= '9' && strings.Contains(host, ".") {
		return false
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, n := range x.Topology.Namespaces {
		if name, ok := n.Name.Get(); ok && n.Kind == "private-dns" && strings.HasSuffix(host, "."+strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// Lookup says what a host name means to the containers of s.
type Lookup struct {
	// Endpoints are the Service Connect names of that spelling in the caller's namespace.
	Endpoints []*topology.EndpointName
	// Record is the name that DNS answers.
	Record *topology.Record
	// Nobody is set when certainly nobody has the name. Open says why that is
	// not certain.
	Nobody bool
	Open   string
}

// Lookup returns what host means to the containers of s, which runs task d; s
// is nil for a task that no service runs. Only a name that can belong to the
// deployment alone may turn out to be nobody's.
func (p *Predictor) Lookup(s *topology.Service, d *topology.TaskDefinition, host string) Lookup {
	return p.x.lookup(s, d, host)
}

func (x *index) lookup(s *topology.Service, d *topology.TaskDefinition, host string) Lookup {
	var l Lookup
	open := ""
	if s != nil && s.ConnectUnknown != "" {
		open = s.ConnectUnknown
	}
	if s != nil && s.Connected() {
		if ns := x.NamespaceOf(s.Connect); ns == nil {
			open = cmp.Or(open, "the caller's namespace is not settled: "+s.Connect.Namespace.Why())
		} else {
			l.Endpoints = ns.Named(host)
			open = cmp.Or(open, x.openIn(ns))
		}
	}
	names := x.dnsNames()
	l.Record = names.exact[strings.ToLower(host)]
	for _, r := range names.wild {
		if name := r.Name.Or(""); strings.HasSuffix(strings.ToLower(host), strings.ToLower(name[1:])) {
			l.Record = r
		}
	}
	open = cmp.Or(open, names.open, x.Topology.OpenServices, x.Topology.OpenRecords, x.sameTask(d, host))
	switch {
	case len(l.Endpoints) > 0 || l.Record != nil || !x.local(host):
	case open != "":
		l.Open = open
	default:
		l.Nobody = true
	}
	return l
}

// dnsNames are the records by name, and why there may be other names.
type dnsNames struct {
	exact map[string]*topology.Record
	wild  []*topology.Record
	open  string
}

func (x *index) dnsNames() *dnsNames {
	if x.dns != nil {
		return x.dns
	}
	n := &dnsNames{exact: map[string]*topology.Record{}}
	x.dns = n
	for _, r := range x.Topology.Records {
		name, ok := r.Name.Get()
		switch {
		case !ok:
			n.open = cmp.Or(n.open, r.Name.Why(), "a record's name is not settled")
		case strings.HasPrefix(name, "*."):
			n.wild = append(n.wild, r)
		default:
			n.exact[strings.ToLower(name)] = r
		}
	}
	for _, s := range x.Topology.Services {
		n.open = cmp.Or(n.open, s.ConnectUnknown)
	}
	return n
}

// openIn says why a namespace may have names that are not known.
func (x *index) openIn(ns *topology.ConnectNamespace) string {
	if why, ok := x.openNames[ns]; ok {
		return why
	}
	why := ""
	for _, n := range ns.Names {
		if n.Name.IsUnknown() {
			why = cmp.Or(why, n.Name.Why())
		}
	}
	for _, c := range ns.Clients {
		why = cmp.Or(why, c.Connect.EndpointSet().Why())
	}
	for _, other := range x.NamespaceUnsettled() {
		why = cmp.Or(why, "the namespace of "+topology.Label(other.Origin, other.Name)+" is not settled")
	}
	x.openNames[ns] = why
	return why
}

// sameTask says why a name may be known inside the task alone: Docker writes
// links, host entries and, in bridge mode, nothing else into /etc/hosts.
func (x *index) sameTask(d *topology.TaskDefinition, host string) string {
	if d == nil {
		return "the task definition is not in the source"
	}
	if d.Uncertain != "" {
		return d.Uncertain
	}
	for i := range d.Containers {
		if d.Containers[i].Hosts[host] {
			return fmt.Sprintf("container %s has %s in its host entries or links", d.Containers[i].Name, host)
		}
		for _, w := range slices.Concat(d.Containers[i].Command, d.Containers[i].EntryPoint) {
			if mentions(w.Or(""), host) {
				return fmt.Sprintf("a command of container %s writes %s outside of a URL too, and may give it an address", d.Containers[i].Name, host)
			}
		}
	}
	return ""
}

// mentions reports that host stands in text as a word of its own outside of
// URLs, as where nginx's configuration declares an upstream server group.
func mentions(text, host string) bool {
	word := func(c byte) bool {
		return c == '-' || c == '.' || c == '_' || c == ':' || c == '/' || c == '@' || isAlnum(c)
	}
	for i := 0; ; i++ {
		n := strings.Index(text[i:], host)
		if n < 0 {
			return false
		}
		i += n
		end := i + len(host)
		if (i == 0 || !word(text[i-1])) && end < len(text) && !word(text[end]) {
			return true
		}
	}
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// lookups predicts the URLs in the services' containers that name nobody, or a
// DNS name behind which tasks of a service stand.
func (p *Predictor) lookups() []Prediction {
	var out []Prediction
	seen := map[string]bool{}
	for _, s := range p.x.Topology.Services {
		EachURL(s.Task, func(host string, port int, variable string) {
			c := serviceCaller(s)
			key := fmt.Sprintf("url/%s/%s:%d", s.ID, host, port)
			if seen[key] {
				return
			}
			l := p.x.lookup(s, s.Task, host)
			if len(l.Endpoints) > 0 {
				return
			}
			begin := func() *trace {
				seen[key] = true
				tr := p.begin(key, KindURL, c, "http://"+host+":"+strconv.Itoa(port)+"/", fmt.Sprintf("%s calls %s:%d (%s)", c.Name, host, port, variable))
				tr.pr.Hint = HintURL
				return tr
			}
			switch {
			case l.Nobody:
				out = append(out, begin().end(noName(host, "nobody in the source has that name: no Service Connect endpoint of the caller's namespace, no Cloud Map service, no record")))
			case l.Record != nil:
				for _, t := range p.x.registered[l.Record.ID] {
					out = append(out, p.byRecord(begin(), s, t, port))
				}
			}
		})
	}
	return out
}

// byRecord predicts a call to a task that Cloud Map's DNS gives the address of.
func (p *Predictor) byRecord(tr *trace, from, to *topology.Service, port int) Prediction {
	tr.pr.Service = to.ID
	for _, s := range []*topology.Service{to, from} {
		if o := p.deployOutcome(s); o != nil {
			return tr.end(*o)
		}
	}
	if has, _ := running(to); !has {
		return tr.end(noName(tr.pr.URL, topology.Label(to.Origin, to.Name)+" has a desired count of 0, so no instance is registered under the name"))
	}
	sg := tr.hop(p.x.taskHost(from), p.x.taskHost(to), "client", "app", port)
	switch sg.state {
	case HopUnknown:
		return tr.unknown(sg.why)
	case HopClosed:
		return tr.end(Outcome{
			Class: Timeout, By: "network", Curl: curlTimeout(topology.Label(to.Origin, to.Name), port),
			Basis: semantics.Section(7), Inferred: true,
			Why: sg.why + "; a security group drops packets, so the caller waits until it gives up",
		})
	}
	a := tr.enter(to, port, inPlain)
	switch a.Kind {
	case DeliveryServed:
		o := appOutcome(a, "/")
		o.Basis = semantics.Section(1)
		return tr.end(o)
	case DeliveryRefused:
		return tr.end(Outcome{
			Class: Refused, By: "network", Curl: curlRefused(topology.Label(to.Origin, to.Name), port), TimeKnown: true,
			Basis: semantics.Section(1), Why: a.Why,
		})
	case DeliveryAgentRefused:
		return tr.end(agentRefused(a))
	}
	return tr.unknown(a.Why)
}
