package labctl

import (
	"fmt"
	"net"
	"os"

	"github.com/hoplab/hoplab/internal/fail"
)

// checkPeer refuses a connection whose other end is not this user's. What the
// kernel says of the other end holds from when it connected or listened.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var uid int
	var failed error
	if err := raw.Control(func(fd uintptr) { uid, failed = peerUser(int(fd)) }); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("who is at the other end of the control socket: %w", failed)
	}
	if uid != os.Geteuid() {
		return fail.Newf(fail.Environment, "set XDG_RUNTIME_DIR to a directory of your own with mode 0700",
			"the other end of the control socket is user %d, not user %d", uid, os.Geteuid())
	}
	return nil
}
