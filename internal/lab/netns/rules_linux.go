package netns

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// A host's rules are one table:
//
//	security_groups_in   what reaches the interface, before any redirect: a
//	                     rule names the port that the caller dialled
//	security_groups_out  what leaves the interface
//	open_in, open_out    which of that the groups allow: for each range of ports a
//	                     set of peers, which is all that changes as hosts come and go
//	PREROUTING, OUTPUT   the redirects of Service Connect, in the chains that
//	                     Amazon's plugin makes (semantics, section 1)
var (
	table    = &nftables.Table{Name: "hoplab", Family: nftables.TableFamilyINet}
	groupsIn = &nftables.Chain{Name: "security_groups_in", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle}
	groupsOut = &nftables.Chain{Name: "security_groups_out", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityFilter}

	openIn  = &nftables.Chain{Name: "open_in", Table: table}
	openOut = &nftables.Chain{Name: "open_out", Table: table}

	prerouting = &nftables.Chain{Name: "PREROUTING", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest}
	inbound = &nftables.Chain{Name: "ECS_SERVICE_CONNECT_INGRESS", Table: table}
	output  = &nftables.Chain{Name: "OUTPUT", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest}
)

// The counters of a host. New connections count one packet each time they are tried.
const (
	AcceptedIn  = "accepted_in"  // new connections that the groups let in
	DroppedIn   = "dropped_in"   // packets that they did not
	AcceptedOut = "accepted_out" // new connections that they let out
	DroppedOut  = "dropped_out"
	ToAgentIn   = "to_agent_in"  // connections from outside that went to the agent's listener instead
	ToAgentOut  = "to_agent_out" // connections of the task to virtual addresses
)

// newTable makes a host's table, in its thread. Everything but the chains of
// the redirects is in force from then on: nothing passes yet.
func newTable() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.AddTable(table)
	for _, n := range []string{AcceptedIn, DroppedIn, AcceptedOut, DroppedOut, ToAgentIn, ToAgentOut} {
		c.AddObj(&nftables.NamedObj{Table: table, Name: n, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{}})
	}
	for _, chain := range []*nftables.Chain{openIn, openOut, groupsIn, groupsOut} {
		c.AddChain(chain)
	}
	writeGroups(c)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("its nftables rules: %w", err)
	}
	return nil
}

// writeGroups writes what of the security groups stays the same.
func writeGroups(c *nftables.Conn) {
	write := func(chain, open *nftables.Chain, key expr.MetaKey, dropped string) {
		addRule(c, chain, "inside the task", notDevice(key), verdict(expr.VerdictAccept))
		addRule(c, chain, "stateful", states(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
		addRule(c, chain, "the link", neighbours(), verdict(expr.VerdictAccept))
		if chain == groupsOut {
			addRule(c, chain, "the resolver has no security group", address(destination, netip.PrefixFrom(resolverAddr, 32)),
				protocol(unix.IPPROTO_UDP), ports(fabric.Range{From: 53, To: 53}), verdict(expr.VerdictAccept))
		}
		addRule(c, chain, "what the groups allow", states(expr.CtStateBitNEW), protocol(unix.IPPROTO_TCP), jump(open.Name))
		addRule(c, chain, "everything else", counted(dropped), verdict(expr.VerdictDrop))
	}
	write(groupsIn, openIn, expr.MetaKeyIIFNAME, DroppedIn)
	write(groupsOut, openOut, expr.MetaKeyOIFNAME, DroppedOut)
}

func addRule(c *nftables.Conn, chain *nftables.Chain, comment string, parts ...[]expr.Any) {
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all(parts...),
		UserData: userdata.AppendString(nil, userdata.TypeComment, comment)})
}

// Redirect gives new connections from other hosts to the port to the agent's
// listener:
//
//	-N ECS_SERVICE_CONNECT_INGRESS
//	-A ECS_SERVICE_CONNECT_INGRESS -p tcp --dport <port> -j REDIRECT --to-port <listener>
//	-A PREROUTING -p tcp -m addrtype ! --src-type LOCAL -j ECS_SERVICE_CONNECT_INGRESS
func (h *Host) Redirect(p uint16, listener netip.AddrPort) error {
	return h.do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		if !h.redirects {
			c.AddChain(prerouting)
			c.AddChain(inbound)
			c.AddRule(&nftables.Rule{Table: table, Chain: prerouting, Exprs: all(protocol(unix.IPPROTO_TCP), fromOutside(), jump(inbound.Name))})
		}
		c.AddRule(&nftables.Rule{Table: table, Chain: inbound, Exprs: all(
			protocol(unix.IPPROTO_TCP), ports(fabric.Range{From: p, To: p}), counted(ToAgentIn), redirect(listener.Port()))})
		if err := c.Flush(); err != nil {
			return fmt.Errorf("redirect of port %d: %w", p, err)
		}
		h.redirects = true
		return nil
	})
}

// Outbound gives the task's connections to virtual addresses, of any TCP
// port, to the agent's listener:
//
//	-A OUTPUT -p tcp -d <virtual addresses> -j REDIRECT --to-port <listener>
func (h *Host) Outbound(listeners map[netip.AddrPort]netip.AddrPort) error {
	l, ok := listeners[netip.AddrPort{}]
	if !ok {
		return fmt.Errorf("%s: the agent has no listener for virtual addresses", h.spec.Name)
	}
	return h.do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		c.AddChain(output)
		c.FlushChain(output)
		families := []netip.Prefix{fabric.VIPs} // one rule for each that the task has
		if h.spec.IP6.IsValid() {
			families = append(families, fabric.VIPs6)
		}
		for _, vips := range families {
			c.AddRule(&nftables.Rule{Table: table, Chain: output, Exprs: all(
				protocol(unix.IPPROTO_TCP), address(destination, vips), counted(ToAgentOut), redirect(l.Port()))})
		}
		if err := c.Flush(); err != nil {
			return fmt.Errorf("redirect of virtual addresses: %w", err)
		}
		return nil
	})
}

// Packets reads what the host's rules have counted.
func (h *Host) Packets() (map[string]uint64, error) {
	out := map[string]uint64{}
	err := h.do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		objs, err := c.GetNamedObjects(table)
		if err != nil {
			return err
		}
		for _, o := range objs {
			if n, ok := o.(*nftables.NamedObj); ok {
				if k, ok := n.Obj.(*expr.Counter); ok {
					out[n.Name] = k.Packets
				}
			}
		}
		return nil
	})
	return out, err
}
