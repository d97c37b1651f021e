// Package fabric is the interface between the lab and the network under it.
//
// The lab deals in logical addresses: every network interface (of a task, an
// ALB node, a host that load comes from) has a private IP of its subnet, and
// things listen on the ports that the template names. A Fabric makes that
// real in one of two ways. loopback keeps a table from logical to real
// addresses and hands each process its own view of it; the process looks up
// the table when it dials, and security groups are evaluated there. netns
// gives each interface a network namespace where logical and real are the
// same, and security groups and redirects are kernel rules.
//
// It has two sides. The controller uses Fabric and Host. A
// process that carries traffic (ALB node, agent) uses Net, which it makes
// from the NetSpec that its Host gave it.
package fabric

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// VIPs is the range of the virtual addresses behind Service Connect names,
// one per name; connections to it never leave the task.
var VIPs = netip.MustParsePrefix("127.255.0.0/16")

// VIPs6 is the IPv6 range beside VIPs. An endpoint's two addresses have the
// same number in their ranges: 127.255.0.1 and 2600:f0f0::1.
var VIPs6 = netip.MustParsePrefix("2600:f0f0::/96")

// VIP6 returns the IPv6 twin of an address of VIPs.
func VIP6(v4 netip.Addr) netip.Addr {
	a, b := VIPs6.Addr().As16(), v4.As4()
	a[14], a[15] = b[2], b[3]
	return netip.AddrFrom16(a)
}

// VIP4 returns the IPv4 twin of an address of VIPs6.
func VIP4(v6 netip.Addr) netip.Addr {
	a, b := v6.As16(), VIPs.Addr().As4()
	b[2], b[3] = a[14], a[15]
	return netip.AddrFrom4(b)
}

// HostsFile is the hosts file of a task as Fargate writes it: loopback, the
// task's own address, and of each endpoint name, by alphabet, both virtual
// addresses, the IPv6 one in full and whether or not the task has IPv6.
func HostsFile(spec HostSpec) string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n")
	if spec.IP.IsValid() {
		fmt.Fprintf(&b, "%s ip-%s.ec2.internal\n", spec.IP, strings.ReplaceAll(spec.IP.String(), ".", "-"))
	}
	for _, name := range slices.Sorted(maps.Keys(spec.VIPs)) {
		v6 := VIP6(spec.VIPs[name]).As16()
		var groups []string
		for i := 0; i < len(v6); i += 2 {
			groups = append(groups, strconv.FormatUint(uint64(v6[i])<<8|uint64(v6[i+1]), 16))
		}
		fmt.Fprintf(&b, "%s %s\n%s %s\n", spec.VIPs[name], name, strings.Join(groups, ":"), name)
	}
	return b.String()
}

// Range is an inclusive range of TCP ports.
type Range struct {
	From uint16 `json:"from"`
	To   uint16 `json:"to"`
}

// Contains reports whether the port lies in any of the ranges.
func Contains(rs []Range, port uint16) bool {
	for _, r := range rs {
		if r.From <= port && port <= r.To {
			return true
		}
	}
	return false
}

// HostSpec is one network interface with its network namespace. What runs in
// one task (containers and agent) shares a host.
type HostSpec struct {
	Name string     `json:"name"` // for people: "task app-1", "alb node", "load"
	IP   netip.Addr `json:"ip"`
	// Subnet is the CIDR that IP belongs to.
	Subnet netip.Prefix `json:"subnet"`
	// IP6 is a second, IPv6 address; the zero Addr for none. Only fabrics that
	// are Isolated have it.
	IP6 netip.Addr `json:"ip6,omitzero"`
	// Delay is how long a packet is under way on the host's link, in each
	// direction. Only fabrics that are Isolated have it.
	Delay time.Duration `json:"delay,omitempty"`
	// Unaware is set for a host from which programs call that know nothing of
	// the lab and so cannot be asked to use an address of its choice.
	Unaware bool `json:"unaware,omitempty"`
	// VIPs are the addresses of endpoint names that the host's agent serves, by name.
	VIPs map[string]netip.Addr `json:"vips,omitempty"`
}

// Policy returns which TCP ports of one host another may reach, by the
// security groups of both and the routes between them. Everything else is
// dropped without an answer. It must be safe for concurrent use.
type Policy func(from, to netip.Addr) []Range

// Fabric is a network, seen from the controller. Its methods are called from
// one goroutine at a time, but for those of which it is said.
type Fabric interface {
	Name() string
	// AddHost makes a host. The policy that is in force holds for it too; without
	// one nothing can reach it. Within a Batch it may be called by several
	// goroutines, and so may the methods of hosts.
	AddHost(ctx context.Context, spec HostSpec) (Host, error)
	// SetPolicy puts the policy in force for all hosts and those that come, for
	// new connections. What it says of two addresses must stay the same until the
	// next SetPolicy.
	SetPolicy(p Policy) error
	// Batch runs f, which makes changes to the network. Hosts may learn of them
	// only when f has ended, but then of all: many changes together cost little
	// more than one. It returns what f does, or why a change is not in force.
	Batch(f func() error) error
	// Close removes everything that is left.
	Close() error
}

// Isolated is a Fabric whose hosts are separated from the machine: a program
// that is started in one has the host's addresses, ports and names and no
// others, whatever program it is.
type Isolated interface {
	Fabric
	// SetPolicies takes the place of SetPolicy: egress says what a host may send
	// and ingress what may reach it, each decided at that host's own interface.
	SetPolicies(egress, ingress Policy) error
	// SetNames sets the names that the network's resolver answers, beside those
	// in the hosts' own files.
	SetNames(names map[string]netip.Addr)
}

// Namespaced is a Host that is a network namespace of the kernel's: a process
// elsewhere can make sockets in it.
type Namespaced interface {
	Host
	// Namespace returns the namespace, open until the host is removed.
	Namespace() *os.File
}

// Counting is a Host whose rules count packets.
type Counting interface {
	Host
	// Packets returns the counts so far by name, such as "dropped_in".
	Packets() (map[string]uint64, error)
}

// Host is a host of a fabric.
type Host interface {
	Spec() HostSpec
	// Start starts a process in the host; the caller ends it.
	Start(cmd *exec.Cmd) error
	// Net returns what a node process that was started in the host needs to make
	// its Net, Outside what one needs that was not.
	Net() NetSpec
	Outside() NetSpec
	// Watch calls push whenever what the host can see differs from what Net last
	// described or push was last given, with a value for the Update of the host's
	// Nets. Isolated fabrics never call it.
	Watch(push func(json.RawMessage)) (stop func())
	// AppEnv returns the address and port that an app has to bind so as to
	// appear on the given port of the host: bind is "all", "loopback" or "interface".
	AppEnv(bind Bind, port uint16) (listenAddress string, realPort uint16)
	// Bound tells the fabric that a process of the host listens on the port,
	// really at the address that the process reported.
	Bound(port uint16, bind Bind, real netip.AddrPort) error
	// Redirect gives connections from other hosts to the port to the listener
	// that an agent of this host opened, the redirect rule of the default mode.
	Redirect(port uint16, listener netip.AddrPort) error
	// Outbound tells where the agent takes connections to VIPs: its listeners
	// by VIP and port where the fabric has one for each, and the listener for
	// all others under the zero AddrPort.
	Outbound(listeners map[netip.AddrPort]netip.AddrPort) error
	// Unbound forgets what a process of the host listened on at the port.
	Unbound(port uint16) error
	// Lookup returns where a connection from this host to the logical address
	// really goes, and what becomes of it.
	Lookup(dst netip.AddrPort) (real netip.AddrPort, v Verdict)
	// From returns the real address that a process of the host calls the
	// logical address from; the zero Addr when it need not choose one.
	From(dst netip.AddrPort) netip.Addr
	// Dial connects from the host as a process in it would.
	Dial(ctx context.Context, dst netip.AddrPort) (net.Conn, error)
	// Remove takes the host off the network; connections to it are dropped from then on.
	Remove() error
}

// Bind is where an app listens.
type Bind string

// The ways in which an app binds its port.
const (
	BindAll       Bind = "all"
	BindLoopback  Bind = "loopback"
	BindInterface Bind = "interface"
)

// Verdict is what becomes of a new connection.
type Verdict string

// The verdicts. A dropped connection is never answered; a refused one is reset.
const (
	Passed  Verdict = "passed"
	Refused Verdict = "refused"
	Dropped Verdict = "dropped"
	// Unreachable is the verdict on an address to which the host has no route:
	// connecting fails at once.
	Unreachable Verdict = "unreachable"
)

// NetSpec describes a Net to a node process.
type NetSpec struct {
	Fabric string          `json:"fabric"`
	Config json.RawMessage `json:"config,omitempty"`
}

// Net is the network as a node process sees it. It is safe for concurrent use.
type Net interface {
	// Listen listens on the port of the host, on all its addresses; port 0
	// asks for any free one.
	Listen(port uint16) (net.Listener, error)
	// Outbound listens for connections from this host to VIPs. vips lists
	// the destinations that the agent has a listener for.
	Outbound(vips []netip.AddrPort) (Outbound, error)
	// Dial connects to a logical address. Without an answer it fails when ctx
	// ends, with an error whose Timeout is true; ctx should have a deadline.
	Dial(ctx context.Context, dst netip.AddrPort) (net.Conn, error)
	// DialLocal connects to a port of the host's own loopback address.
	DialLocal(ctx context.Context, port uint16) (net.Conn, error)
	// Logical returns the logical address behind the one that a peer was seen
	// with; an address that belongs to no host comes back as it is.
	Logical(real netip.Addr) netip.Addr
	// Update takes a value from the controller's Watch.
	Update(json.RawMessage) error
}

// Outbound accepts connections to VIPs together with where they were going.
type Outbound interface {
	// Accept returns the next connection. A destination outside the VIPs that
	// were asked for is the agent's to refuse.
	Accept() (net.Conn, netip.AddrPort, error)
	// Listeners is what Host.Outbound wants to know.
	Listeners() map[netip.AddrPort]netip.AddrPort
	Close() error
}

// Mapped is a Net whose logical addresses are not real: a program that knows
// nothing of the lab has to be told the real ones.
type Mapped interface {
	Net
	// Lookup returns where a connection to the logical address really goes, by
	// what the Net has last been told, and what becomes of it.
	Lookup(dst netip.AddrPort) (real netip.AddrPort, v Verdict)
	// From returns the address that the host's processes call other hosts from;
	// the zero Addr when they need not choose one.
	From() netip.Addr
}
