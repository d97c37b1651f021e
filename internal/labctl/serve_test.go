package labctl

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
)

// serve serves a lab that never comes up, until it is told to end, and returns
// where the result of Serve arrives.
func serve(t *testing.T, p Place) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, p, func(ctx context.Context) (*lab.Lab, Info, error) {
			<-ctx.Done()
			return nil, Info{}, ctx.Err()
		}, another)
	}()
	t.Cleanup(cancel)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if c, err := Dial(p); err == nil {
			c.Close()
			return served
		}
	}
	t.Fatal("nobody answers at the socket")
	return nil
}

// call makes one call on a connection of its own.
func call(t *testing.T, p Place, r Request) error {
	t.Helper()
	c, err := Dial(p)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Call(r, nil)
}

func TestDownEndsALabThatIsStarting(t *testing.T) {
	shared(t)
	p := at(t)
	must(t, p.make())
	served := serve(t, p)
	if err := call(t, p, Request{Op: OpStatus}); err == nil || !strings.Contains(err.Error(), "still starting") || fail.HintOf(err) == "" {
		t.Errorf("status of a lab that is starting: %v; want that said, with a hint", err)
	}
	waiting, err := Dial(p)
	must(t, err)
	defer waiting.Close()
	up := make(chan error, 1)
	go func() { up <- waiting.Call(Request{Op: OpStarted}, nil) }()
	if err := call(t, p, Request{Op: OpDown}); err != nil {
		t.Error(err)
	}
	for name, ch := range map[string]<-chan error{"Serve": served, "who waits for the lab": up} {
		select {
		case err := <-ch:
			if err == nil || !strings.Contains(err.Error(), "stopped before it was up") && !errors.Is(err, ErrLost) {
				t.Errorf("%s got %v; want that it was stopped before it was up", name, err)
			}
		case <-time.After(2 * time.Second):
			t.Errorf("%s still waits 2 s after down", name)
		}
	}
}

// TestWhyTheLabDidNotStart: who waits for the lab gets the error with its code
// and hint.
func TestWhyTheLabDidNotStart(t *testing.T) {
	shared(t)
	p := at(t)
	must(t, p.make())
	begin := make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- Serve(context.Background(), p, func(context.Context) (*lab.Lab, Info, error) {
			<-begin
			return nil, Info{}, fail.Newf(fail.Usage, "give it one", "no port")
		}, another)
	}()
	var c *Client
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if c, err = Dial(p); err == nil {
			break
		}
	}
	must(t, err)
	defer c.Close()
	time.AfterFunc(20*time.Millisecond, func() { close(begin) })
	err = c.Call(Request{Op: OpStarted}, nil)
	if err == nil || err.Error() != "no port" || fail.CodeOf(err) != fail.Usage || fail.HintOf(err) != "give it one" {
		t.Errorf("got %v (code %d, hint %q)", err, fail.CodeOf(err), fail.HintOf(err))
	}
	if err := <-served; err == nil || err.Error() != "no port" {
		t.Errorf("Serve returned %v", err)
	}
}

// TestCallHasADeadline has a lab that is stopped, as by SIGSTOP: it accepts and
// says nothing.
func TestCallHasADeadline(t *testing.T) {
	shared(t)
	p := at(t)
	must(t, p.make())
	ln, err := net.Listen("unix", p.Socket())
	must(t, err)
	defer ln.Close()
	c, err := Dial(p)
	must(t, err)
	defer c.Close()
	began := time.Now()
	// A request of curl may take its own limit longer than any other.
	err = c.Call(Request{Op: OpCurl, Timeout: -promptly + 50*time.Millisecond}, nil)
	if err == nil || !strings.Contains(err.Error(), "did not answer within 50ms") || fail.HintOf(err) == "" {
		t.Errorf("got %v; want that the lab did not answer, with a hint", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	for _, op := range []string{OpInfo, OpStatus, OpCurl, OpDial, OpKill, OpDrain, OpScale, OpRedeploy, OpDown} {
		if limitOf(Request{Op: op}) <= 0 {
			t.Errorf("%s has no deadline", op)
		}
	}
}
