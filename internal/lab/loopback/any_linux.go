package loopback

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenAny listens on all addresses of the loopback device, at a port of the
// kernel's choice, and on no others: the socket is bound to the device, so that
// what comes from another machine is not for it.
func listenAny() (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if ctl := raw.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "lo") }); ctl != nil {
			return ctl
		}
		return err
	}}
	return config.Listen(context.Background(), "tcp4", "0.0.0.0:0")
}
