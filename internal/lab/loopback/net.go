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
	view atomic.Pointer[View]
}

// NewNet makes a Net from a NetSpec's config.
func NewNet(config json.RawMessage) (*Net, error) {
	n := &Net{}
	return n, n.Update(config)
}

// Update takes a new View.
func (n *Net) Update(raw json.RawMessage) error {
	var v View
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("view of the network: %w", err)
	}
	n.view.Store(&v)
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
	if !dst.Addr().IsLoopback() && v.Real != localhost {
		d.LocalAddr = &net.TCPAddr{IP: v.Real.AsSlice()}
	}
	return d.DialContext(ctx, "tcp4", real.String())
}

// Outbound opens one listener for each destination and one for all others,
// since without the kernel's redirect a connection does not say where it was going.
func (n *Net) Outbound(vips []netip.AddrPort) (fabric.Outbound, error) {
	o := &outbound{accepted: make(chan accepted), stop: make(chan struct{}), listeners: map[netip.AddrPort]netip.AddrPort{}}
	for _, dst := range append([]netip.AddrPort{{}}, vips...) {
		if _, ok := o.listeners[dst]; ok {
			continue
		}
		l, err := n.Listen(0)
		if err != nil {
			o.Close()
			return nil, err
		}
		o.open = append(o.open, l)
		o.listeners[dst] = l.Addr().(*net.TCPAddr).AddrPort()
		o.wg.Add(1)
		go o.serve(l, dst)
	}
	return o, nil
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

func (o *outbound) serve(l net.Listener, dst netip.AddrPort) {
	defer o.wg.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case o.accepted <- accepted{c, dst}:
		case <-o.stop:
			c.Close()
			return
		}
	}
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
