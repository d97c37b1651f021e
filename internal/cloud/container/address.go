package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// firstFile is the descriptor of the first file that a process is given open
// beside its standard ones, and k6's from it.
const firstFile = 3

// dialled adds to a load what its arms' URLs stand for on this machine. URLs
// stay as they are: they decide the Host header. On a fabric whose hosts are
// network namespaces, the caller's is returned open, and what the security groups
// forbid is left to the kernel; on another one it is an error.
func dialled(text string, l *lab.Lab, c lab.Caller) (string, []*os.File, error) {
	load, err := samplefile.ParseLoad([]byte(text))
	if err != nil {
		return "", nil, err
	}
	host, err := l.Namespace(c)
	if err != nil {
		return "", nil, err
	}
	var open []*os.File
	if host != nil {
		// The lab's own descriptor may be closed with its host.
		fd, err := syscall.Dup(int(host.Fd()))
		if err != nil {
			return "", nil, fmt.Errorf("network namespace of the caller: %w", err)
		}
		syscall.CloseOnExec(fd)
		open = append(open, os.NewFile(uintptr(fd), "namespace"))
	}
	for i := range load.Arms {
		arm := &load.Arms[i]
		d, err := l.DialInfo(c, arm.URL)
		if no := (*lab.DialError)(nil); host != nil && errors.As(err, &no) && no.Reason == lab.TimedOut {
			d, err = lab.DialInfo{Dial: net.JoinHostPort(no.Host, strconv.Itoa(int(no.Port)))}, nil
		}
		if err != nil {
			return "", open, fmt.Errorf("arm %s, %s: %w", arm.Name, arm.URL, err)
		}
		arm.Dial = d.Dial
		if host != nil {
			arm.Namespace = firstFile
		}
	}
	out, err := json.Marshal(load)
	return string(out), open, err
}

// signalOf is the signal that ended a process; 0 when none did.
func signalOf(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return int(ws.Signal())
	}
	return 0
}
