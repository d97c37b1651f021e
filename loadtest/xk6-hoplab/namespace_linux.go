package hoplab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// home is the network namespace of this process, opened by a thread that has not
// been anywhere else.
var home = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") })

// inNamespace returns what makes a dialer's sockets in the network namespace of
// an open descriptor. A socket stays in the namespace that its thread was in
// when it was made, so the thread is there for the dial alone. Every arm of a
// load has a namespace or none has: going there costs two system calls for each
// connection. The dialer must not hand the dial to another goroutine, as
// net.Dialer does not for a single address.
func inNamespace(descriptor int) (func(dialFunc) dialFunc, error) {
	back, err := home()
	if err != nil {
		return nil, err
	}
	inside := func(dial dialFunc) dialFunc {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			runtime.LockOSThread()
			if err := unix.Setns(descriptor, unix.CLONE_NEWNET); err != nil {
				runtime.UnlockOSThread()
				return nil, fmt.Errorf("entering network namespace %d: %w", descriptor, err)
			}
			c, err := dial(ctx, network, address)
			if away := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); away != nil {
				// The thread stays this goroutine's, and so nobody else's sockets
				// are made in the wrong place.
				if c != nil {
					c.Close()
				}
				return nil, errors.Join(err, fmt.Errorf("leaving network namespace %d: %w", descriptor, away))
			}
			runtime.UnlockOSThread()
			return c, err
		}
	}
	return inside, nil
}
