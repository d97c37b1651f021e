//go:build !linux

package standin

import (
	"errors"
	"net"
	"net/netip"
)

func originalDestination(*net.TCPConn) (netip.AddrPort, error) {
	return netip.AddrPort{}, errors.New("only Linux redirects")
}
