package reach

import (
	"cmp"
	"fmt"
	"iter"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// pair is a Service Connect client and a name it may call.
type pair struct {
	client    *topology.Service
	name      *topology.EndpointName
	namespace *topology.ConnectNamespace
	likely    bool
	hint      Hint
}

// Hint is what in the source says that a client calls an endpoint.
type Hint string

// The hints, the strongest first. A security group that lets somebody in and an
// order of deployment are no proof that he means to call.
const (
	HintURL   Hint = "url"   // a URL in the client's containers names the endpoint
	HintGroup Hint = "group" // a rule of the endpoint's group names the client's
	HintOrder Hint = "order" // the client is deployed after the endpoint
	HintNone  Hint = ""
)

// pairs yields who may call what, client by client. A template does not say
// which client calls which endpoint; all pairs of a namespace are yielded while
// they are few, and beyond MaxPairs only those that the source hints at.
func (p *Predictor) pairs() iter.Seq[pair] {
	return func(yield func(pair) bool) {
		for _, ns := range p.x.ConnectNamespaces() {
			hinted := p.hintsOf(ns)
			for _, c := range ns.Clients {
				for _, q := range p.pairsOf(ns, c, hinted[c.ID]) {
					if !yield(q) {
						return
					}
				}
			}
		}
	}
}

// few reports whether all pairs of a namespace are predicted.
func (p *Predictor) few(ns *topology.ConnectNamespace) bool {
	return len(ns.Clients)*len(ns.Names) <= p.o.MaxPairs
}

// pairsOf returns what a client may call, of which the source hints at calls.
func (p *Predictor) pairsOf(ns *topology.ConnectNamespace, c *topology.Service, calls map[*topology.ConnectEndpoint]Hint) []pair {
	var out []pair
	if !p.few(ns) {
		for _, n := range p.hintedNames(c, calls) {
			out = append(out, pair{c, n, ns, true, calls[n.Endpoint]})
		}
		return out
	}
	// A client without endpoints of its own is there to call; with no hint
	// which, all of them are likely.
	all := len(calls) == 0 && len(c.Connect.Endpoints) == 0 && !p.x.callsSomebody(c)
	lost := p.x.callsNobody(c)
	for _, n := range ns.Names {
		if n.Endpoint.Service == c {
			continue
		}
		hint, hinted := calls[n.Endpoint]
		if lost && hint != HintURL {
			all, hinted = false, false // it is known whom it means to call, and that it does not resolve
		}
		out = append(out, pair{c, n, ns, all || hinted, hint})
	}
	return out
}

// pairNotes says which pairs are left out, and why.
func (p *Predictor) pairNotes() []string {
	var notes []string
	for _, ns := range p.x.ConnectNamespaces() {
		if !p.few(ns) {
			notes = append(notes, fmt.Sprintf("namespace %s has %d clients and %d names; predicted are the pairs that an environment variable, a security group (for %d services of each) or a dependency hints at, up to %d per client",
				ns.Name.Or(ns.Key), len(ns.Clients), len(ns.Names), maxMembers, maxHints))
		}
	}
	for _, s := range p.x.NamespaceUnsettled() {
		notes = append(notes, fmt.Sprintf("%s: its namespace is not settled (%s), so what it can call is unknown", topology.Label(s.Origin, s.Name), s.Connect.Namespace.Why()))
	}
	return notes
}

// hintedNames returns the names of the hinted endpoints of c, in the order of their services.
func (p *Predictor) hintedNames(c *topology.Service, calls map[*topology.ConnectEndpoint]Hint) []*topology.EndpointName {
	if len(calls) == 0 {
		return nil
	}
	var out []*topology.EndpointName
	for _, e := range p.x.hintOrder[c.ID] {
		out = append(out, e.Names...)
	}
	return out
}

// Bounds that keep the number of predictions proportional to the number of
// resources. They apply only above MaxPairs, and the report's notes say so.
const (
	maxMembers = 8  // services of one security group that a rule's hint is followed to
	maxHints   = 32 // endpoints per client
)

// hintsOf is hints, worked out once for a namespace.
func (p *Predictor) hintsOf(ns *topology.ConnectNamespace) map[topology.ID]map[*topology.ConnectEndpoint]Hint {
	h, ok := p.hinted[ns]
	if !ok {
		h = p.hints(ns, !p.few(ns))
		p.hinted[ns] = h
	}
	return h
}

// hints returns, by client, the endpoints that the source says it calls, and
// what says so: a URL in the client's containers holds the endpoint's name, a
// security group of the endpoint's tasks names a group of the client, or the
// client is deployed after the endpoint's service. bounded applies the bounds.
func (p *Predictor) hints(ns *topology.ConnectNamespace, bounded bool) map[topology.ID]map[*topology.ConnectEndpoint]Hint {
	out := map[topology.ID]map[*topology.ConnectEndpoint]Hint{}
	add := func(c *topology.Service, e *topology.ConnectEndpoint, h Hint) {
		if c == e.Service || out[c.ID][e] != HintNone || bounded && len(out[c.ID]) >= maxHints {
			return
		}
		if h != HintURL && p.x.After(e.Service.ID, c.ID) {
			return // whoever is deployed before an endpoint is not meant to call it
		}
		if out[c.ID] == nil {
			out[c.ID] = map[*topology.ConnectEndpoint]Hint{}
		}
		out[c.ID][e] = h
		p.x.hintOrder[c.ID] = append(p.x.hintOrder[c.ID], e)
	}
	for _, c := range ns.Clients {
		EachURL(c.Task, func(host string, _ int, _ string) {
			for _, n := range ns.Named(host) {
				add(c, n.Endpoint, HintURL)
			}
		})
	}
	p.groupHints(ns, bounded, add)
	for _, c := range ns.Clients {
		for _, id := range c.After {
			for _, e := range p.x.Endpoints(id) {
				add(c, e, HintOrder)
			}
			if bounded && len(out[c.ID]) >= maxHints {
				break
			}
		}
	}
	return out
}

// groupHints adds the clients whose security group an ingress rule of a server names.
func (p *Predictor) groupHints(ns *topology.ConnectNamespace, bounded bool, add func(*topology.Service, *topology.ConnectEndpoint, Hint)) {
	members := map[topology.ID][]*topology.Service{}
	for _, c := range ns.Clients {
		for _, g := range c.Groups {
			if id, ok := g.Get(); ok && (!bounded || len(members[id]) < maxMembers) {
				members[id] = append(members[id], c)
			}
		}
	}
	delete(members, "")
	for _, s := range ns.Clients {
		for _, g := range s.Groups {
			id, ok := g.Get()
			if !ok || p.x.SecurityGroup(id) == nil {
				continue
			}
			g := p.x.SecurityGroup(id)
			for _, e := range p.x.Endpoints(s.ID) {
				for i := range g.Ingress {
					r := &g.Ingress[i]
					// That a group lets in its own members says nothing of who calls whom.
					if r.Peer.Group == id || !meant(r, e, members[id]) {
						continue
					}
					for _, c := range members[r.Peer.Group] {
						add(c, e, HintGroup)
					}
				}
			}
		}
	}
}

// meant reports whether a rule of the group that siblings share may be meant
// for the endpoint: it opens the endpoint's port, or none that any of them has.
func meant(r *topology.Rule, e *topology.ConnectEndpoint, siblings []*topology.Service) bool {
	in, ok := e.IngressPort.Get()
	if !ok || covers(r, in) {
		return true
	}
	for _, s := range append(siblings[:len(siblings):len(siblings)], e.Service) {
		if s.Task == nil {
			return true
		}
		for _, c := range s.Task.Containers {
			for _, m := range c.Ports {
				if n, ok := m.Port.Get(); ok && covers(r, n) && !(s == e.Service && n == e.ContainerPort.Or(0)) {
					return false
				}
			}
		}
	}
	return true
}

// callsNobody reports whether a URL in the containers of s names nobody.
func (x *index) callsNobody(s *topology.Service) bool {
	found := false
	EachURL(s.Task, func(host string, _ int, _ string) {
		found = found || x.local(host) && x.lookup(s, s.Task, host).Nobody
	})
	return found
}

// callsSomebody reports whether a URL in the containers of s names a host of
// the deployment or nobody, so that it is known whom s calls.
func (x *index) callsSomebody(s *topology.Service) bool {
	found := false
	EachURL(s.Task, func(host string, _ int, _ string) { found = found || x.local(host) })
	return found
}

// EachURL calls f for every host and port of an http or https URL that an
// environment variable, the command or the entry point of the task's containers
// holds; d may be nil. The port is the scheme's when the URL has none. variable
// is the environment variable's name, or "command" or "entry point".
func EachURL(d *topology.TaskDefinition, f func(host string, port int, variable string)) {
	if d == nil {
		return
	}
	for i := range d.Containers {
		env := d.Containers[i].Environment
		for _, k := range sortedKeys(env) {
			if v := cmp.Or(env[k].Or(""), env[k].Symbol()); v != "" {
				scanURLs(v, func(host string, port int) { f(host, port, k) })
			}
		}
		for _, part := range []struct {
			name  string
			words []topology.Opt[string]
		}{{"command", d.Containers[i].Command}, {"entry point", d.Containers[i].EntryPoint}} {
			for _, w := range part.words {
				if v := cmp.Or(w.Or(""), w.Symbol()); v != "" {
					scanURLs(v, func(host string, port int) { f(host, port, part.name) })
				}
			}
		}
	}
}

// scanURLs finds http and https URLs in text, which may be a shell command or a
// piece of configuration. A host that holds a variable or a wildcard is nobody's
// name and is passed over, as is a port that is no number.
func scanURLs(text string, f func(host string, port int)) {
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			return
		}
		scheme := text[:i]
		text = text[i+3:]
		port := 80
		if strings.HasSuffix(scheme, "https") {
			port = 443
		} else if !strings.HasSuffix(scheme, "http") {
			continue
		}
		rest := afterUserinfo(text)
		n := hostLength(rest)
		host, rest := strings.TrimRight(rest[:n], "."), rest[n:]
		if after, has := strings.CutPrefix(rest, ":"); has {
			digits := len(after) - len(strings.TrimLeft(after, "0123456789"))
			port, rest = atoi(after[:digits]), after[digits:]
		}
		if host != "" && port > 0 && (rest == "" || !strings.ContainsRune("$%{*+@:[", rune(rest[0]))) {
			f(host, port)
		}
	}
}

// afterUserinfo cuts the user and password of a URL off, whose scheme is gone.
func afterUserinfo(text string) string {
	end := strings.IndexAny(text, "/?#,; \t\n\"'()<>|&`")
	if end < 0 {
		end = len(text)
	}
	return text[strings.LastIndexByte(text[:end], '@')+1:]
}

// hostLength is how many bytes of text are a host name, in which what is not
// settled stands as ${…}.
func hostLength(text string) int {
	n := 0
	for n < len(text) {
		c := text[n]
		switch end := strings.IndexByte(text[n:], '}'); {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c >= 0x80:
			n++
		case strings.HasPrefix(text[n:], "${") && end > 0:
			n += end + 1
		default:
			return n
		}
	}
	return n
}
