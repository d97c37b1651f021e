package labctl

import (
	"io"
	"net"
	"os"
	"syscall"
)

// withFiles reads from a connection and keeps the open files that come beside
// the bytes, until close.
type withFiles struct {
	conn  *net.UnixConn
	files []*os.File
}

// maxFiles is how many files one message may bring: the standard three.
const maxFiles = 3

func (w *withFiles) Read(p []byte) (int, error) {
	oob := make([]byte, syscall.CmsgSpace(maxFiles*4))
	n, nOOB, _, _, err := w.conn.ReadMsgUnix(p, oob)
	files, _ := received(oob[:nOOB]) // an exec that lacks its files says so itself
	w.files = append(w.files, files...)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

func (w *withFiles) close() {
	for _, f := range w.files {
		f.Close()
	}
	w.files = nil
}

// received returns the files in a message's control data.
func received(oob []byte) ([]*os.File, error) {
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range msgs {
		fds, err := syscall.ParseUnixRights(&msgs[i])
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}
