package labctl

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/jsonlines"
)

// Client talks to a running lab. One call at a time.
type Client struct {
	conn *net.UnixConn
	in   *jsonlines.Reader
}

// ErrNotUp is in what Dial returns where no lab runs: "no lab called x is up".
var ErrNotUp = errors.New("is up")

// Dial connects to the lab at the place.
// It fails when the lab, or the directory that it is in, is another user's.
func Dial(p Place) (*Client, error) {
	if _, err := checkOwn(p.own()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, p.error(err)
	}
	c, err := net.DialTimeout("unix", p.Socket(), 2*time.Second)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fail.Newf(fail.Usage, "start one with hoplab lab up", "no lab called %q %w", p.Name, ErrNotUp)
	case err != nil:
		return nil, fail.Newf(fail.Environment, "stop it and start it again", "the lab called %q does not answer: %w", p.Name, err)
	}
	conn := c.(*net.UnixConn)
	if err := checkPeer(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return &Client{conn: conn, in: jsonlines.NewReader(conn)}, nil
}

// Close ends the connection; the lab goes on.
func (c *Client) Close() error { return c.conn.Close() }

// Call sends a request, with open files for an exec, and decodes the answer's
// value into v, which may be nil. It fails when the answer takes longer than
// the operation may; an exec, and the wait for a lab to be up, have no limit.
func (c *Client) Call(r Request, v any, files ...*os.File) error {
	limit := limitOf(r)
	if limit > 0 {
		if err := c.conn.SetDeadline(time.Now().Add(limit)); err != nil {
			return lost(err)
		}
		defer c.conn.SetDeadline(time.Time{})
	}
	line, err := jsonlines.Append(nil, r)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fds = append(fds, int(f.Fd()))
		}
		rights = syscall.UnixRights(fds...)
	}
	n, _, err := c.conn.WriteMsgUnix(line, rights, nil)
	if err == nil && n < len(line) {
		_, err = c.conn.Write(line[n:])
	}
	if err != nil {
		return lost(err)
	}
	var resp Response
	if err := c.in.Read(&resp); errors.Is(err, os.ErrDeadlineExceeded) {
		return fail.Newf(fail.Environment, "stop its process (hoplab lab serve) and start it again", "the lab did not answer within %s", limit)
	} else if err != nil {
		return lost(err)
	}
	if resp.Error != "" {
		return fail.Newf(fail.Code(resp.Code), resp.Hint, "%s", resp.Error)
	}
	if v == nil {
		return nil
	}
	if err := jsonlines.Decode(resp.Value, v); err != nil {
		return fmt.Errorf("the lab's answer to %s: %w", r.Op, err)
	}
	return nil
}

// How long an answer may take, real time: an operation that does not wait for
// anything in the lab, what a wait is given on top of its own limit, and a
// request of curl without one.
const (
	promptly  = 10 * time.Second
	curlLimit = 10 * time.Minute
	// applyLimit is for one that synthesizes a CDK app first.
	applyLimit = 10 * time.Minute
)

// limitOf is how long the answer to a request may take; 0 is without a limit.
func limitOf(r Request) time.Duration {
	switch r.Op {
	case OpExec, OpStarted, OpSettled:
		return 0
	case OpApply:
		return applyLimit
	case OpCurl:
		return cmp.Or(r.Timeout, curlLimit) + promptly
	case OpRedeploy:
		return cmp.Or(r.Timeout, patience) + promptly
	}
	return promptly
}

// ErrLost is in the error of a call whose lab went away before it answered.
var ErrLost = errors.New("the lab went away")

func lost(err error) error {
	return fail.Newf(fail.Environment, "see its log with hoplab lab status, or start it again", "%w: %w", ErrLost, err)
}
