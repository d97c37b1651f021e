package reach

import (
	"fmt"
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// pair is a Service Connect client and a name it may call.
type pair struct {
	client *topology.Service
	name   endpointName
	space  *space
	likely bool
}

// pairs returns who may call what. A template does not say which client calls
// which endpoint; all pairs of a namespace are returned while they are few,
// and beyond MaxPairs only those that the source hints at.
func (p *Predictor) pairs() ([]pair, []string) {
	var out []pair
	var notes []string
	for _, key := range p.x.spaceOrder {
		sp := p.x.spaces[key]
		few := len(sp.clients)*len(sp.names) <= p.o.MaxPairs
		hinted := p.hints(sp, !few)
		for _, c := range sp.clients {
			calls := hinted[c.ID]
			// A client without endpoints of its own is there to call; with no
			// hint which, all of them are likely.
			all := len(calls) == 0 && len(c.Connect.Endpoints) == 0
			if few {
				for _, n := range sp.names {
					if n.ep.svc != c {
						out = append(out, pair{c, n, sp, all || calls[n.ep]})
					}
				}
				continue
			}
			for _, n := range p.hintedNames(c, calls) {
				out = append(out, pair{c, n, sp, true})
			}
		}
		if !few {
			notes = append(notes, fmt.Sprintf("namespace %s has %d clients and %d names; predicted are the pairs that an environment variable, a security group (for %d services of each) or a dependency hints at, up to %d per client",
				sp.name.Or(key), len(sp.clients), len(sp.names), maxMembers, maxHints))
		}
	}
	for _, s := range p.x.vague {
		notes = append(notes, fmt.Sprintf("%s: its namespace is not settled (%s), so what it can call is unknown", label(s.Origin, s.Name), s.Connect.Namespace.Why()))
	}
	return out, notes
}

// hintedNames returns the names of the hinted endpoints of c, in the order of their services.
func (p *Predictor) hintedNames(c *topology.Service, calls map[*endpoint]bool) []endpointName {
	if len(calls) == 0 {
		return nil
	}
	var out []endpointName
	for _, e := range p.x.hintOrder[c.ID] {
		out = append(out, p.x.endpointNames(e)...)
	}
	return out
}

// Bounds that keep the number of predictions proportional to the number of
// resources. They apply only above MaxPairs, and the report's notes say so.
const (
	maxMembers = 8  // services of one security group that a rule's hint is followed to
	maxHints   = 32 // endpoints per client
)

// hints returns, by client, the endpoints that the source says it calls: an
// environment variable of the client holds the endpoint's name, a security
// group of the endpoint's tasks names a group of the client, or the client is
// deployed after the endpoint's service. bounded applies the bounds.
func (p *Predictor) hints(sp *space, bounded bool) map[topology.ID]map[*endpoint]bool {
	out := map[topology.ID]map[*endpoint]bool{}
	add := func(c *topology.Service, e *endpoint) {
		if c == e.svc || out[c.ID][e] || bounded && len(out[c.ID]) >= maxHints {
			return
		}
		if out[c.ID] == nil {
			out[c.ID] = map[*endpoint]bool{}
		}
		out[c.ID][e] = true
		p.x.hintOrder[c.ID] = append(p.x.hintOrder[c.ID], e)
	}
	for _, c := range sp.clients {
		eachURL(c, func(host string, _ int, _ string) {
			for _, n := range sp.byName[host] {
				add(c, n.ep)
			}
		})
	}
	p.groupHints(sp, bounded, add)
	for _, c := range sp.clients {
		for _, id := range c.After {
			for _, e := range p.x.endpoints[id] {
				add(c, e)
			}
			if bounded && len(out[c.ID]) >= maxHints {
				break
			}
		}
	}
	return out
}

// groupHints adds the clients whose security group an ingress rule of a server names.
func (p *Predictor) groupHints(sp *space, bounded bool, add func(*topology.Service, *endpoint)) {
	members := map[topology.ID][]*topology.Service{}
	for _, c := range sp.clients {
		for _, g := range c.Groups {
			if id, ok := g.Get(); ok && (!bounded || len(members[id]) < maxMembers) {
				members[id] = append(members[id], c)
			}
		}
	}
	delete(members, "")
	for _, s := range sp.clients {
		for _, g := range s.Groups {
			id, ok := g.Get()
			if !ok || p.x.groups[id] == nil {
				continue
			}
			for _, e := range p.x.endpoints[s.ID] {
				for _, r := range p.x.groups[id].Ingress {
					for _, c := range members[r.Peer.Group] {
						add(c, e)
					}
				}
			}
		}
	}
}

// eachURL calls f for every host[:port] that an environment variable of the
// service's containers holds in a URL; port is 0 when the URL has none.
func eachURL(s *topology.Service, f func(host string, port int, variable string)) {
	if s.Task == nil {
		return
	}
	taskURLs(s.Task, f)
}

func taskURLs(d *topology.TaskDefinition, f func(host string, port int, variable string)) {
	for i := range d.Containers {
		env := d.Containers[i].Environment
		for _, k := range sortedKeys(env) {
			if v, ok := env[k].Get(); ok {
				scanURLs(v, func(host string, port int) { f(host, port, k) })
			}
		}
	}
}

// scanURLs finds http and https URLs in text.
func scanURLs(text string, f func(host string, port int)) {
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			return
		}
		scheme := text[:i]
		text = text[i+3:]
		secure := strings.HasSuffix(scheme, "https")
		if !secure && !strings.HasSuffix(scheme, "http") {
			continue
		}
		end := strings.IndexAny(text, "/?#,; \t\n\"'")
		if end < 0 {
			end = len(text)
		}
		host, port, has := strings.Cut(text[:end], ":")
		n := 80
		if secure {
			n = 443
		}
		if has {
			n = atoi(port)
		}
		if host != "" && n > 0 {
			f(host, n)
		}
	}
}
