package netns

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// opening is a range of ports that is open to or from some peers, in one
// direction and address family: a set in the kernel, and a rule that looks it up.
type opening struct {
	out   bool // from the host to its peers
	six   bool // IPv6
	ports fabric.Range
}

// everyPort is the range that a rule need not ask for.
var everyPort = fabric.Range{From: 0, To: 65535}

func (o opening) set() *nftables.Set {
	key, way := nftables.TypeIPAddr, "in"
	if o.six {
		key = nftables.TypeIP6Addr
	}
	if o.out {
		way = "out"
	}
	name := fmt.Sprintf("%s_%d_%d_%s", way, o.ports.From, o.ports.To, key.Name)
	// An ID of its own choice: those that the package gives out are not safe for
	// concurrent use, and matter within one transaction only.
	return &nftables.Set{Table: table, Name: name, KeyType: key, ID: 1}
}

// add makes the set and its rule.
func (o opening) add(c *nftables.Conn) error {
	chain, from, accepted := openIn, source, AcceptedIn
	if o.out {
		chain, from, accepted = openOut, destination, AcceptedOut
	}
	s := o.set()
	if err := c.AddSet(s, nil); err != nil {
		return err
	}
	match := addressIn(from, o.six, s.Name)
	if o.ports != everyPort {
		match = append(ports(o.ports), match...)
	}
	addRule(c, chain, fmt.Sprintf("ports %d to %d", o.ports.From, o.ports.To), match, counted(accepted), verdict(expr.VerdictAccept))
	return nil
}

// allowed lists the openings between the host and a peer, with the peer's
// address; none for a peer that is gone.
func (h *Host) allowed(peer *Host) map[opening]netip.Addr {
	out := map[opening]netip.Addr{}
	if peer == h || h.fabric.hosts[peer.spec.IP] != peer {
		return out
	}
	mine, theirs := [2]netip.Addr{h.spec.IP, h.spec.IP6}, [2]netip.Addr{peer.spec.IP, peer.spec.IP6}
	for i := range mine {
		if !mine[i].IsValid() || !theirs[i].IsValid() {
			continue
		}
		for _, r := range h.fabric.ingress(theirs[i], mine[i]) {
			out[opening{six: i == 1, ports: r}] = theirs[i]
		}
		for _, r := range h.fabric.egress(mine[i], theirs[i]) {
			out[opening{out: true, six: i == 1, ports: r}] = theirs[i]
		}
	}
	return out
}

// filter puts in force what the security groups allow between the host and the
// peers; what they allow others stays. Fabric.mu is held, and connections that
// exist go on.
func (h *Host) filter(peers []*Host) error {
	come, leave := map[opening][]nftables.SetElement{}, map[opening][]nftables.SetElement{}
	for _, p := range peers {
		now := h.allowed(p)
		for o, ip := range now {
			if !h.open[o][ip] {
				come[o] = append(come[o], nftables.SetElement{Key: ip.AsSlice(), Comment: p.spec.Name})
			}
		}
		for o, members := range h.open {
			for _, ip := range []netip.Addr{p.spec.IP, p.spec.IP6} {
				if now[o] != ip && members[ip] {
					leave[o] = append(leave[o], nftables.SetElement{Key: ip.AsSlice()})
				}
			}
		}
	}
	if len(come)+len(leave) == 0 {
		return nil
	}
	return h.do(func() error { return h.put(come, leave) })
}

// perTransaction bounds the messages of a transaction: the kernel answers each
// of them, and answers that do not fit the socket's buffer (212,992 bytes, of
// which each takes about 800) are lost.
const perTransaction = 64

// perMessage bounds the elements of a message, whose length is a 16-bit number.
const perMessage = 500

// put changes the host's sets, in its thread. What it adds is there before what
// it takes away is gone.
func (h *Host) put(come, gone map[opening][]nftables.SetElement) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	messages := 0
	for _, change := range []struct {
		of    map[opening][]nftables.SetElement
		apply func(*nftables.Set, []nftables.SetElement) error
		there bool
	}{{come, c.SetAddElements, true}, {gone, c.SetDeleteElements, false}} {
		for o, elements := range change.of {
			if h.open[o] == nil {
				if err := o.add(c); err != nil {
					return err
				}
				h.open[o] = map[netip.Addr]bool{}
				messages += 2
			}
			for part := range slices.Chunk(elements, perMessage) {
				if err := change.apply(o.set(), part); err != nil {
					return err
				}
				messages++
			}
			for _, e := range elements {
				ip, _ := netip.AddrFromSlice(e.Key)
				if change.there {
					h.open[o][ip] = true
				} else {
					delete(h.open[o], ip)
				}
			}
			if messages >= perTransaction {
				if err := c.Flush(); err != nil {
					return err
				}
				messages = 0
			}
		}
	}
	return c.Flush()
}

// all returns the hosts.
func (f *Fabric) all() []*Host { return slices.Collect(maps.Values(f.hosts)) }
