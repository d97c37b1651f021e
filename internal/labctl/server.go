package labctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/jsonlines"
	"github.com/hoplab/hoplab/internal/topology"
)

// Starter starts a lab and says what it was started from. It gives up when ctx
// ends.
type Starter func(ctx context.Context) (*lab.Lab, Info, error)

// Reader reads the deployment that a source describes, and its name.
type Reader func(context.Context, Made) (*topology.Topology, error)

// Serve starts a lab and answers clients at the place until one asks for down
// or ctx ends; either also ends a lab that is still starting. It returns after
// the last answer was sent and the lab is closed. read is asked what a lab that
// is to become another will be.
func Serve(ctx context.Context, p Place, start Starter, read Reader) error {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Socket(), Net: "unix"})
	if err != nil {
		return p.error(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{name: p.Name, read: read, started: make(chan struct{}), down: cancel}
	go func() {
		<-ctx.Done()
		ln.Close()
	}()
	var starting sync.WaitGroup
	starting.Go(func() {
		if s.start(ctx, start); s.failed != nil {
			cancel()
		}
	})
	err = s.accept(ctx, ln)
	cancel()
	starting.Wait()
	if s.lab != nil {
		err = errors.Join(err, s.lab.Close())
	}
	return errors.Join(s.failed, err)
}

// accept answers clients until ctx ends and the last answer was sent.
func (s *server) accept(ctx context.Context, ln *net.UnixListener) error {
	var clients sync.WaitGroup
	defer clients.Wait()
	for {
		conn, err := ln.AcceptUnix()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("the lab's control socket: %w", err)
		case checkPeer(conn) != nil:
			conn.Close() // a stranger learns nothing
			continue
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
	read Reader
	name string
	down context.CancelFunc
	// started is closed once the fields below are set: the lab with what it is
	// made of, or why there is none. They stay as they are from then on, but for
	// info, which says what the lab was last made of.
	started chan struct{}
	lab     *lab.Lab
	failed  error

	mu   sync.Mutex
	info Info
}

func (s *server) start(ctx context.Context, start Starter) {
	defer close(s.started)
	var info Info
	s.lab, info, s.failed = start(ctx)
	s.told(info)
	if s.failed != nil && ctx.Err() != nil {
		s.failed = fail.Newf(fail.Environment, "", "it was stopped before it was up")
	}
}

// running waits for the lab if wait is set, and returns why there is none yet.
func (s *server) running(wait bool) error {
	if wait {
		<-s.started
	}
	select {
	case <-s.started:
		return s.failed
	default:
		return fail.Newf(fail.Environment, "try again later, or stop it with hoplab lab down", "the lab called %q is still starting", s.name)
	}
}

// client answers one connection's requests in turn.
func (s *server) client(ctx context.Context, conn *net.UnixConn) {
	in := &withFiles{conn: conn}
	defer in.close()
	requests, answers := jsonlines.NewReader(in), jsonlines.NewWriter(conn)
	for {
		var r Request
		var v any
		var bad *jsonlines.Error
		err := requests.Read(&r)
		switch {
		case err == nil:
			v, err = s.answer(ctx, conn, r, in.files)
		case !errors.As(err, &bad):
			return
		}
		in.close()
		if answers.Write(response(v, err)) != nil {
			return
		}
		if r.Op == OpDown {
			s.down()
			return
		}
	}
}

func response(v any, err error) (resp Response) {
	if err == nil && v != nil {
		resp.Value, err = json.Marshal(v)
	}
	if err != nil {
		resp = Response{Error: err.Error(), Hint: fail.HintOf(err), Code: int(fail.CodeOf(err))}
	}
	return resp
}

// answer carries out one request.
func (s *server) answer(ctx context.Context, conn *net.UnixConn, r Request, files []*os.File) (any, error) {
	if r.Op == OpDown {
		return nil, nil // also of a lab that is still starting
	}
	if err := s.running(r.Op == OpStarted); err != nil {
		return nil, err
	}
	switch r.Op {
	case OpStarted:
		return nil, nil
	case OpInfo:
		return s.madeOf(), nil
	case OpStatus:
		return s.lab.Status(), nil
	case OpDial:
		return s.lab.DialInfo(r.Caller, r.URL)
	case OpCurl, OpTrace:
		if r.Timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, r.Timeout)
			defer cancel()
		}
		if r.Op == OpTrace {
			return s.lab.Trace(ctx, r.Caller, r.URL)
		}
		return s.lab.Curl(ctx, r.Caller, r.URL)
	case OpApply:
		return s.apply(ctx, r.Made)
	case OpSettled:
		ctx, cancel := whileConnected(ctx, conn)
		defer cancel()
		return nil, s.lab.WaitDeployed(ctx)
	case OpExec:
		ctx, cancel := whileConnected(ctx, conn)
		defer cancel()
		return s.lab.Exec(ctx, r.Caller, r.Argv, r.Env, r.Dir, files)
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
