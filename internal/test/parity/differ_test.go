package parity

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// difference is one thing in which the agent is unlike Envoy.
type difference struct {
	x           *exchange
	where       string // "ingress: status line", "both agents: origin", "counters of egress: bytes in"
	agent, real string
}

func (d difference) String() string {
	return fmt.Sprintf("%s\n      agent  %q\n      Envoy  %q", d.where, d.agent, d.real)
}

// differences compares everything that came of an exchange.
func (t *trial) differences() (out []difference) {
	note := func(where, a, e string) {
		if a != e {
			out = append(out, difference{t.x, where, a, e})
		}
	}
	for _, r := range routes {
		a, e := t.outcome["agent"][r], t.outcome["Envoy"][r]
		note(r+": client", a.down, e.down)
		note(r+": end", a.end, e.end)
		slices.Sort(a.up) // connections that begin together come in any order
		slices.Sort(e.up)
		note(r+": origin", strings.Join(a.up, "\n"), strings.Join(e.up, "\n"))
	}
	routeOf := map[string]string{"ingress": through, "ingress of both": "", "egress": both}
	for _, where := range slices.Sorted(maps.Keys(routeOf)) {
		route := routeOf[where]
		a, e := t.counters["agent"][where], t.counters["Envoy"][where]
		a.BytesOut -= t.outcome["agent"][route].digits
		e.BytesOut -= t.outcome["Envoy"][route].digits
		if d := a.BytesOut - e.BytesOut; route == "" && -3 <= d && d <= 3 {
			a.BytesOut = e.BytesOut // nobody has seen the service times of the agent in the middle
		}
		for _, c := range counted(a, e) {
			note("counters of "+where+": "+c[0], c[1], c[2])
		}
	}
	return out
}

// counted lists the counters that both hops have, with both values.
func counted(a, e agent.EndpointStatus) [][3]string {
	n := func(name string, a, e int64) [3]string { return [3]string{name, fmt.Sprint(a), fmt.Sprint(e)} }
	out := [][3]string{
		n("requests", a.Requests, e.Requests), n("new connections", a.NewConnections, e.NewConnections),
		n("active connections", a.ActiveConnections, e.ActiveConnections), n("upstream connections", a.UpstreamConnections,
			e.UpstreamConnections),
		n("bytes in", a.BytesIn, e.BytesIn), n("bytes out", a.BytesOut, e.BytesOut),
	}
	for _, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx"} {
		out = append(out, n(class, a.Codes[class], e.Codes[class]))
	}
	return out
}
