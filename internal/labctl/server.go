package labctl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
)

// Serve answers clients at the place until one asks for down or ctx ends. It
// returns after the last answer was sent; closing the lab is the caller's.
func Serve(ctx context.Context, p Place, l *lab.Lab, info Info) error {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Socket(), Net: "unix"})
	if err != nil {
		return placeError(p, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{lab: l, info: info, down: cancel}
	go func() {
		<-ctx.Done()
		ln.Close()
	}()
	var clients sync.WaitGroup
	for {
		conn, err := ln.AcceptUnix()
		if err != nil {
			clients.Wait()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the lab's control socket: %w", err)
		}
		clients.Go(func() {
			defer conn.Close()
			unblock := context.AfterFunc(ctx, func() { conn.CloseRead() })
			defer unblock()
			s.client(ctx, conn)
		})
	}
}

type server struct {
	lab  *lab.Lab
	info Info
	down context.CancelFunc
}

// maxLine bounds a request; URLs and arguments fit many times over.
const maxLine = 1 << 20

// client answers one connection's requests in turn.
func (s *server) client(ctx context.Context, conn *net.UnixConn) {
	for {
		line, files, err := readLine(conn)
		if err != nil {
			return
		}
		var r Request
		var v any
		if err = json.Unmarshal(line, &r); err == nil {
			v, err = s.answer(ctx, conn, r, files)
		}
		for _, f := range files {
			f.Close()
		}
		if !reply(conn, v, err) {
			return
		}
		if r.Op == OpDown {
			s.down()
			return
		}
	}
}

func reply(conn net.Conn, v any, err error) bool {
	resp := Response{}
	if err == nil && v != nil {
		resp.Value, err = json.Marshal(v)
	}
	if err != nil {
		resp = Response{Error: err.Error(), Hint: fail.HintOf(err), Code: int(fail.CodeOf(err))}
	}
	out, err := json.Marshal(resp)
	if err != nil {
		return false
	}
	_, err = conn.Write(append(out, '\n'))
	return err == nil
}

// readLine reads one line and the files that came beside it.
func readLine(conn *net.UnixConn) ([]byte, []*os.File, error) {
	var line []byte
	var files []*os.File
	buf, oob := make([]byte, 4096), make([]byte, syscall.CmsgSpace(3*4))
	for len(line) < maxLine {
		n, nOOB, _, _, err := conn.ReadMsgUnix(buf, oob)
		if got, e := received(oob[:nOOB]); e == nil {
			files = append(files, got...)
		}
		if err != nil || n == 0 {
			for _, f := range files {
				f.Close()
			}
			return nil, nil, errors.Join(err, net.ErrClosed)
		}
		line = append(line, buf[:n]...)
		if line[len(line)-1] == '\n' {
			return line, files, nil
		}
	}
	return nil, nil, bufio.ErrTooLong
}

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

// answer carries out one request.
func (s *server) answer(ctx context.Context, conn *net.UnixConn, r Request, files []*os.File) (any, error) {
	switch r.Op {
	case OpInfo:
		return s.info, nil
	case OpStatus:
		return s.lab.Status(), nil
	case OpDial:
		return s.lab.DialInfo(r.Caller, r.URL)
	case OpCurl:
		if r.Timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, r.Timeout)
			defer cancel()
		}
		return s.lab.Curl(ctx, r.Caller, r.URL)
	case OpExec:
		ctx, cancel := whileConnected(ctx, conn)
		defer cancel()
		return s.lab.Exec(ctx, r.Caller, r.Argv, r.Env, r.Dir, files)
	case OpDown:
		return nil, nil
	}
	if known, err := s.operate(ctx, r); known {
		return nil, err
	}
	return nil, fail.Newf(fail.Usage, "use the same hoplab for the lab and its commands", "the lab does not know %q", r.Op)
}

// whileConnected returns a context that ends when the client goes away, as it
// does on Ctrl-C. Until cancel the client must not send anything.
func whileConnected(ctx context.Context, conn *net.UnixConn) (_ context.Context, cancel func()) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn.Read(make([]byte, 1))
		stop()
	}()
	return ctx, func() {
		conn.SetReadDeadline(time.Now())
		<-done
		conn.SetReadDeadline(time.Time{})
	}
}
