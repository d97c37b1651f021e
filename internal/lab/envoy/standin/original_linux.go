package standin

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// originalDestination asks the kernel where a redirected connection was going.
func originalDestination(c *net.TCPConn) (dst netip.AddrPort, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return dst, err
	}
	is4 := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().Is4()
	ctl := raw.Control(func(fd uintptr) {
		// Calls that fetch as many bytes as a sockaddr has, whatever their types say.
		if is4 {
			var m *unix.IPv6Mreq
			if m, err = unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, unix.SO_ORIGINAL_DST); err == nil {
				b := (*[8]byte)(unsafe.Pointer(m))
				dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4]))
			}
			return
		}
		var m *unix.IPv6MTUInfo
		if m, err = unix.GetsockoptIPv6MTUInfo(int(fd), unix.IPPROTO_IPV6, unix.SO_ORIGINAL_DST); err == nil {
			b := (*[4]byte)(unsafe.Pointer(&m.Addr))
			dst = netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), binary.BigEndian.Uint16(b[2:4]))
		}
	})
	if ctl != nil {
		return dst, ctl
	}
	return dst, err
}
