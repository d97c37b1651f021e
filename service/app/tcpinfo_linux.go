//go:build linux && !386 && !s390x

package app

import (
	"net"
	"syscall"
	"unsafe"
)

// tcpInfo asks the kernel for the smoothed round-trip time of a TCP connection
// and its mean deviation, in microseconds. ok is false for anything else.
func tcpInfo(c net.Conn) (rtt, rttvar uint32, ok bool) {
	sc, isConn := c.(syscall.Conn)
	if !isConn {
		return 0, 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var info syscall.TCPInfo
	size := uint32(unsafe.Sizeof(info))
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	if err != nil || errno != 0 {
		return 0, 0, false
	}
	return info.Rtt, info.Rttvar, true
}
