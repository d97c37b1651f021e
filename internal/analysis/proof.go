package analysis

import (
	"fmt"
	"net/netip"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// proof is what one kind of response says about its way.
type proof struct {
	ok bool // answered as the plan expects; nothing below is set otherwise
	// hops is the number of agent hops that both legs of the evidence prove for
	// this response: 0 or 1. A second one shows only in the agents' counters.
	hops int
	// against says how the evidence contradicts the plan, as a predicate for
	// "3 of 12,000 `bypass` requests ..."; "" when it agrees.
	against string
	// missing is set when the app did not say who called it: the proof rests on
	// the response headers alone.
	missing bool
	bytes   int // of the response, without hoplab's own evidence headers
	reused  bool
}

// prove judges an outcome by what its arm must show. Two legs prove the way:
// Envoy's response headers, which the last agent adds, and the address from
// which the app was called, which is loopback when an agent of its own task
// called it. Either alone could be forged by a proxy on the way; together they
// must say the same. from, if not empty, is the address that the load generator
// called the app from with nothing between them: the app must see just that. body,
// if not 0, is the size that the app was told to give its response bodies.
func prove(e plan.Expect, from string, body int, o samplefile.Outcome) proof {
	if o.Error != "" || o.Status != e.Status {
		return proof{}
	}
	p := proof{ok: true, bytes: o.HeaderBytes + o.BodyBytes - evidenceBytes(o), reused: o.Reused}
	byHeaders := o.AgentHeaders == 1
	byPeer, known := ownTask(o.Peer)
	p.missing = !known
	if byHeaders {
		p.hops = 1
	}
	want := e.AgentHeaders == 1
	switch {
	case o.AgentHeaders < 0:
		p.against = "carry only one of Envoy's two headers"
	case known && byHeaders && !byPeer:
		p.against = "carry Envoy's headers, but the app was not called from its own task"
	case known && !byHeaders && byPeer:
		p.against = "reached the app from its own task without Envoy's headers"
	case byHeaders && !want:
		p.against = "passed the agent"
	case !byHeaders && want:
		p.against = "did not pass the agent"
	case known && (byPeer != e.PeerLoopback || from != "" && o.Peer != from):
		p.against = "reached the app from another place than the plan says"
	case body != 0 && o.BodyBytes != body:
		p.against = "brought a body of another size than the plan says"
	}
	return p
}

// ownTask reports whether a peer address is the loopback address of the app's
// own network namespace, where only an agent of its task can be. The lab gives
// other hosts other addresses of 127.0.0.0/8, so the whole block does not count.
func ownTask(peer string) (own, known bool) {
	a, err := netip.ParseAddr(peer)
	if err != nil {
		return false, false
	}
	a = a.Unmap()
	return a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || a == netip.IPv6Loopback(), true
}

// evidenceBytes is the size of the header lines that the app adds for us.
func evidenceBytes(o samplefile.Outcome) int {
	n := 0
	if o.Peer != "" {
		n += len("X-Hoplab-Peer: \r\n") + len(o.Peer)
	}
	if o.Via != "" {
		n += len("X-Hoplab-App: \r\n") + len(o.Via)
	}
	return n
}

// armCount is what was counted of one arm in one replicate.
type armCount struct {
	requests, failed int64 // measured ones
	answered, sent   int64 // warm-up included
	hops             [2]int64
	missing          int64
	against          map[string]int64 // by predicate
	byStatus         map[string]int64 // failures by what came back
	fresh            int64            // measured requests on a new connection
	bytes            map[int]int64    // responses by size
}

func newArmCount() *armCount {
	return &armCount{against: map[string]int64{}, byStatus: map[string]int64{}, bytes: map[int]int64{}}
}

// take counts n responses of one kind.
func (a *armCount) take(p proof, o samplefile.Outcome, n int64, measured bool) {
	if n == 0 {
		return
	}
	a.sent += n
	if p.ok {
		a.answered += n
	}
	if !measured {
		return
	}
	a.requests += n
	if !o.Reused {
		a.fresh += n
	}
	if !p.ok {
		a.failed += n
		a.byStatus[failureWords(o)] += n
		return
	}
	a.hops[p.hops] += n
	a.bytes[p.bytes] += n
	if p.missing {
		a.missing += n
	}
	if p.against != "" {
		a.against[p.against] += n
	}
}

func failureWords(o samplefile.Outcome) string {
	if o.Error != "" {
		return o.Error
	}
	return fmt.Sprintf("status %d", o.Status)
}
