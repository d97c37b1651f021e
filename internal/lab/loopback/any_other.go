//go:build !linux

package loopback

import (
	"errors"
	"net"
)

// listenAny fails: there is one address here, which tells nothing apart.
func listenAny() (net.Listener, error) { return nil, errors.ErrUnsupported }
