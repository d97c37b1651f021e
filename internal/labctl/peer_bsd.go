//go:build darwin || freebsd

package labctl

import "golang.org/x/sys/unix"

// peerUser is the effective user of the socket's other end (unix(4), LOCAL_PEERCRED).
func peerUser(fd int) (int, error) {
	c, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(c.Uid), nil
}
