package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// Net is the node side: plain sockets, in the namespace of this process or, for
// a process outside its host, in the host's. It is safe for concurrent use.
type Net struct {
	ns *os.File // nil for this process's own
}

// Config is what a process outside the host is told.
type Config struct {
	Namespace string `json:"namespace"` // path of an open network namespace
}

// NewNet returns the Net of the namespace that this process is in or, with a
// configuration, of another one. The caller closes it.
func NewNet(config json.RawMessage) (fabric.Net, error) {
	if len(config) == 0 {
		return Net{}, nil
	}
	var c Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("where the host's network is: %w", err)
	}
	ns, err := os.Open(c.Namespace)
	if err != nil {
		return nil, fmt.Errorf("the host's network: %w", err)
	}
	return Net{ns}, nil
}

// Close lets go of the host's namespace. Sockets that are open stay in it.
func (n Net) Close() error {
	if n.ns == nil {
		return nil
	}
	return n.ns.Close()
}

// inside runs f in the namespace: what sockets f makes belong there.
func (n Net) inside(f func() error) error {
	if n.ns == nil {
		return f()
	}
	return visit(n.ns, f)
}

// visit runs f in a network namespace, in a thread of its own.
func visit(ns *os.File, f func() error) error {
	t := newThread()
	defer t.close()
	return t.do(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// Listen listens on the port of all the host's addresses, IPv4 and IPv6.
func (n Net) Listen(port uint16) (l net.Listener, err error) {
	err = n.inside(func() (err error) {
		l, err = net.Listen("tcp", ":"+strconv.Itoa(int(port)))
		return err
	})
	return l, err
}

// Dial connects to an address.
func (n Net) Dial(ctx context.Context, dst netip.AddrPort) (c net.Conn, err error) {
	err = n.inside(func() (err error) {
		d := net.Dialer{KeepAlive: -1}
		c, err = d.DialContext(ctx, "tcp", dst.String())
		return err
	})
	return c, err
}

// DialLocal connects to the app of the task.
func (n Net) DialLocal(ctx context.Context, port uint16) (net.Conn, error) {
	return n.Dial(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
}

// Logical returns the address itself.
func (Net) Logical(real netip.Addr) netip.Addr { return real.Unmap() }

// Update does nothing: the controller has nothing to tell.
func (Net) Update(json.RawMessage) error { return nil }

// Outbound opens one listener for all virtual addresses, on 127.0.0.1 as the
// agent's is; the kernel says where a connection was going.
func (n Net) Outbound([]netip.AddrPort) (fabric.Outbound, error) {
	var l net.Listener
	err := n.inside(func() (err error) {
		l, err = net.Listen("tcp4", "127.0.0.1:0")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &outbound{l.(*net.TCPListener)}, nil
}

type outbound struct{ listener *net.TCPListener }

// Accept returns the next connection. The destination of one that was not
// redirected, because somebody called the agent's own port, is the zero
// AddrPort, which no endpoint has.
func (o *outbound) Accept() (net.Conn, netip.AddrPort, error) {
	for {
		c, err := o.listener.AcceptTCP()
		if err != nil {
			return nil, netip.AddrPort{}, err
		}
		c.SetKeepAlive(false)
		dst, err := originalDestination(c)
		if err != nil {
			c.Close() // its client has gone already
			continue
		}
		switch ip := dst.Addr(); {
		case fabric.VIPs.Contains(ip):
			return c, dst, nil
		case fabric.VIPs6.Contains(ip):
			return c, netip.AddrPortFrom(fabric.VIP4(ip), dst.Port()), nil
		}
		return c, netip.AddrPort{}, nil
	}
}

func (o *outbound) Listeners() map[netip.AddrPort]netip.AddrPort {
	return map[netip.AddrPort]netip.AddrPort{{}: o.listener.Addr().(*net.TCPAddr).AddrPort()}
}

func (o *outbound) Close() error { return o.listener.Close() }

// originalDst is SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; see
// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h.
const originalDst = 80

// originalDestination returns where a connection was going before the
// redirect, or its local address when there was none.
func originalDestination(c *net.TCPConn) (netip.AddrPort, error) {
	local := c.LocalAddr().(*net.TCPAddr).AddrPort()
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var dst netip.AddrPort
	ctl := raw.Control(func(fd uintptr) {
		if local.Addr().Unmap().Is4() {
			var sa unix.RawSockaddrInet4
			if err = getsockopt(fd, unix.IPPROTO_IP, unsafe.Pointer(&sa), unsafe.Sizeof(sa)); err == nil {
				dst = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), swap(sa.Port))
			}
			return
		}
		var sa unix.RawSockaddrInet6
		if err = getsockopt(fd, unix.IPPROTO_IPV6, unsafe.Pointer(&sa), unsafe.Sizeof(sa)); err == nil {
			dst = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), swap(sa.Port))
		}
	})
	switch {
	case ctl != nil:
		return netip.AddrPort{}, ctl
	case errors.Is(err, unix.ENOENT): // the kernel tracks nothing: no rule, no redirect
		return local, nil
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("SO_ORIGINAL_DST: %w", err)
	}
	return dst, nil
}

func getsockopt(fd uintptr, level int, value unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, uintptr(level), originalDst, uintptr(value), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// swap turns a port in network order, as it lies in memory, into a number.
func swap(p uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&p))
	return uint16(b[0])<<8 | uint16(b[1])
}
