package netns

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A link with a delay is a veth pair with netem at both ends where the kernel
// has netem. Where it does not, it is a pair of TAP devices with this process
// in between, which keeps every frame for the delay. That works for every
// program too, but timers of a process are late by some tens of microseconds,
// and each frame is copied twice.

// netem makes what leaves a link of the calling thread's namespace wait. It
// returns errNoNetem where the kernel cannot.
func netem(links *netlink.Handle, name string, delay time.Duration) error {
	l, err := links.LinkByName(name)
	if err != nil {
		return err
	}
	q := netlink.NewNetem(netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		netlink.NetemQdiscAttrs{Latency: uint32(delay.Microseconds()), Limit: 10000})
	err = links.QdiscAdd(q)
	if errors.Is(err, unix.ENOENT) {
		return errNoNetem
	}
	return err
}

var errNoNetem = errors.New("this kernel has no netem")

// tap makes a TAP device in the calling thread's namespace and returns its
// other side, frame by frame.
func tap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// tapLink carries frames between two TAP devices, each after the delay. Closing
// both files ends it and removes the devices.
type tapLink struct{ ends [2]*os.File }

func newTAPLink(a, b *os.File, delay time.Duration) *tapLink {
	go carry(a, b, delay)
	go carry(b, a, delay)
	return &tapLink{[2]*os.File{a, b}}
}

func (w *tapLink) close() {
	for _, f := range w.ends {
		f.Close()
	}
}

// frame is a frame with the time at which it arrives.
type frame struct {
	data []byte
	due  time.Time
}

// inFlight bounds the frames under way; more are dropped, as on a full link.
const inFlight = 10000

func carry(from, to *os.File, delay time.Duration) {
	flight := make(chan frame, inFlight)
	defer close(flight)
	go func() {
		for f := range flight {
			time.Sleep(time.Until(f.due))
			to.Write(f.data) // a device that is down or gone takes no frames
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case flight <- frame{append([]byte(nil), buf[:n]...), time.Now().Add(delay)}:
		default:
		}
	}
}
