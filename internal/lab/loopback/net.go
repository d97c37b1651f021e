package loopback

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// Net is the node side of the fabric.
type Net struct {
	mu   sync.Mutex // for Update
	view atomic.Pointer[View]
}

// NewNet makes a Net from a NetSpec's config, a View.
func NewNet(config json.RawMessage) (*Net, error) {
	n := &Net{}
	var v View
	if err := json.Unmarshal(config, &v); err != nil {
		return nil, fmt.Errorf("view of the network: %w", err)
	}
	n.view.Store(&v)
	return n, nil
}

// Update takes a Change.
func (n *Net) Update(raw json.RawMessage) error {
	var c Change
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("change of the network: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.view.Store(n.view.Load().with(c))
	return nil
}

// Listen listens on the host's real address; the kernel chooses the port,
// whatever the logical one is. A process that takes another one's place gets
// that one's port, so that callers find it.
func (n *Net) Listen(port uint16) (net.Listener, error) {
	v := n.view.Load()
	if before, ok := v.Own[port]; ok && port != 0 {
		if l, err := net.Listen("tcp4", before.String()); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp4", netip.AddrPortFrom(v.Real, 0).String())
}

// Logical looks up the host that calls from the address.
func (n *Net) Logical(real netip.Addr) netip.Addr {
	if ip, ok := n.view.Load().Callers[real]; ok {
		return ip
	}
	return real
}

// Dial connects to a logical address from the host's real one.
func (n *Net) Dial(ctx context.Context, dst netip.AddrPort) (net.Conn, error) {
	return n.view.Load().dial(ctx, dst)
}

// DialLocal connects to the host's own loopback, from there.
func (n *Net) DialLocal(ctx context.Context, port uint16) (net.Conn, error) {
	return n.view.Load().dial(ctx, netip.AddrPortFrom(localhost, port))
}

func (v *View) dial(ctx context.Context, dst netip.AddrPort) (net.Conn, error) {
	real, verdict := v.Lookup(dst)
	return dial(ctx, v.Real, dst, real, verdict)
}

// dial connects from one real address to another, or fails as the verdict on
// the logical address says.
func dial(ctx context.Context, from netip.Addr, dst, real netip.AddrPort, verdict fabric.Verdict) (net.Conn, error) {
	failed := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(dst), Err: err}
	}
	switch verdict {
	case fabric.Dropped:
		<-ctx.Done()
		return failed(os.ErrDeadlineExceeded)
	case fabric.Refused:
		return failed(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	case fabric.Unreachable:
		return failed(os.NewSyscallError("connect", syscall.ENETUNREACH))
	}
	d := net.Dialer{KeepAlive: -1}
	if !dst.Addr().IsLoopback() && from != localhost {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	return d.DialContext(ctx, "tcp4", real.String())
}

// Outbound opens one listener for all destinations where the system can tell
// them apart by an address of their own, else one for each and one for all
// others: without the kernel's redirect a connection does not say where it was going.
func (n *Net) Outbound(vips []netip.AddrPort) (fabric.Outbound, error) {
	o := &outbound{accepted: make(chan accepted), stop: make(chan struct{}), listeners: map[netip.AddrPort]netip.AddrPort{}}
	all := append([]netip.AddrPort{{}}, vips...)
	if l, err := listenAny(); err == nil {
		port := l.Addr().(*net.TCPAddr).AddrPort().Port()
		at := map[netip.Addr]netip.AddrPort{}
		for i, dst := range all {
			a := stand(i)
			at[a], o.listeners[dst] = dst, netip.AddrPortFrom(a, port)
		}
		o.serve(l, func(c net.Conn) netip.AddrPort { return at[c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()] })
		return o, nil
	}
	for _, dst := range all {
		if _, ok := o.listeners[dst]; ok {
			continue
		}
		l, err := n.Listen(0)
		if err != nil {
			o.Close()
			return nil, err
		}
		o.listeners[dst] = l.Addr().(*net.TCPAddr).AddrPort()
		o.serve(l, func(net.Conn) netip.AddrPort { return dst })
	}
	return o, nil
}

// stand is the i-th address that stands for a destination: 127.254.0.1 and on.
// Each agent has all of them, at a port of its own.
func stand(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 254, byte((i + 1) >> 8), byte(i + 1)})
}

type accepted struct {
	conn net.Conn
	dst  netip.AddrPort
}

type outbound struct {
	open      []net.Listener
	listeners map[netip.AddrPort]netip.AddrPort
	accepted  chan accepted
	stop      chan struct{}
	once      sync.Once
	wg        sync.WaitGroup
}

// serve accepts what comes to a listener, in a goroutine of its own.
func (o *outbound) serve(l net.Listener, where func(net.Conn) netip.AddrPort) {
	o.open = append(o.open, l)
	o.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case o.accepted <- accepted{c, where(c)}:
			case <-o.stop:
				c.Close()
				return
			}
		}
	})
}

// Accept returns the next connection. The destination of one that no
// listener was asked for is the zero AddrPort.
func (o *outbound) Accept() (net.Conn, netip.AddrPort, error) {
	select {
	case a := <-o.accepted:
		return a.conn, a.dst, nil
	case <-o.stop:
		return nil, netip.AddrPort{}, net.ErrClosed
	}
}

func (o *outbound) Listeners() map[netip.AddrPort]netip.AddrPort { return o.listeners }

func (o *outbound) Close() error {
	o.once.Do(func() {
		close(o.stop)
		for _, l := range o.open {
			l.Close()
		}
		o.wg.Wait()
	})
	return nil
}

// Lookup answers from the last View.
func (n *Net) Lookup(dst netip.AddrPort) (netip.AddrPort, fabric.Verdict) {
	return n.view.Load().Lookup(dst)
}

// From returns the host's real address, where it has one of its own.
func (n *Net) From() netip.Addr {
	if v := n.view.Load(); v.Real != localhost {
		return v.Real
	}
	return netip.Addr{}
}
