package envoy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// placer says where Envoy finds logical addresses.
type placer interface {
	all(logical ...netip.AddrPort) ([]netip.AddrPort, error)
	close()
}

// real is the placer of a fabric whose logical addresses are real.
type real struct{}

func (real) all(logical ...netip.AddrPort) ([]netip.AddrPort, error) { return logical, nil }
func (real) close()                                                  {}

// mapped is the placer of a fabric with a table. What the table drops or
// refuses gets an address at which the kernel does: Envoy tells endpoints apart
// by their addresses, so each has its own.
type mapped struct {
	net fabric.Mapped

	mu   sync.Mutex
	ends map[deadEnd]*socket
}

// deadEnd is a logical address that does not answer, and in which way.
type deadEnd struct {
	logical netip.AddrPort
	verdict fabric.Verdict
}

func (m *mapped) all(logical ...netip.AddrPort) ([]netip.AddrPort, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []netip.AddrPort
	for _, a := range logical {
		real, verdict := m.net.Lookup(a)
		if verdict != fabric.Passed {
			s, err := m.end(deadEnd{a, verdict})
			if err != nil {
				return nil, err
			}
			real = s.addr
		}
		out = append(out, real)
	}
	return out, nil
}

// end returns the socket of a dead end, the same every time.
func (m *mapped) end(d deadEnd) (*socket, error) {
	if s := m.ends[d]; s != nil {
		return s, nil
	}
	s, err := bind()
	if err == nil && d.verdict == fabric.Dropped {
		if err = s.fill(); err != nil {
			s.close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("an address that stands for %s, which is %s: %w", d.logical, d.verdict, err)
	}
	m.ends[d] = s
	return s, nil
}

func (m *mapped) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.ends {
		s.close()
	}
	clear(m.ends)
}

// socket has an address that nobody answers. Bound and not listening, it
// refuses; after fill it swallows.
type socket struct {
	fd   int
	addr netip.AddrPort
	full []net.Conn
}

func bind() (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	s := &socket{fd: fd}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		s.close()
		return nil, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		s.close()
		return nil, err
	}
	at := sa.(*unix.SockaddrInet4)
	s.addr = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
	return s, nil
}

const (
	// A listener counts as full when two connections in a row have not come
	// about within fillWithin; on a busy machine one might just be slow.
	fillWithin = 50 * time.Millisecond
	maxBacklog = 64
)

// fill makes the socket a listener whose queue has no place left. The kernel
// drops what asks for one, so connections to it are never answered.
func (s *socket) fill() error {
	if err := unix.Listen(s.fd, 0); err != nil {
		return err
	}
	timeouts := 0
	for range maxBacklog {
		c, err := net.DialTimeout("tcp4", s.addr.String(), fillWithin)
		var late net.Error
		switch {
		case err == nil:
			s.full = append(s.full, c)
			timeouts = 0
		case errors.As(err, &late) && late.Timeout():
			if timeouts++; timeouts == 2 {
				return nil
			}
		default:
			return err
		}
	}
	return fmt.Errorf("the queue of %s takes more than %d connections", s.addr, maxBacklog)
}

func (s *socket) close() {
	for _, c := range s.full {
		c.Close()
	}
	unix.Close(s.fd)
}
