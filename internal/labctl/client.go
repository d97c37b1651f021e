package labctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
)

// Client talks to a running lab. One call at a time.
type Client struct {
	conn *net.UnixConn
	dec  *json.Decoder
}

// Dial connects to the lab at the place.
func Dial(p Place) (*Client, error) {
	c, err := net.DialTimeout("unix", p.Socket(), 2*time.Second)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fail.Newf(fail.Usage, "start one with hoplab lab up", "no lab called %q is up", p.Name)
	case err != nil:
		return nil, fail.Newf(fail.Environment, "stop it and start it again", "the lab called %q does not answer: %w", p.Name, err)
	}
	return &Client{conn: c.(*net.UnixConn), dec: json.NewDecoder(c)}, nil
}

// Close ends the connection; the lab stays up.
func (c *Client) Close() error { return c.conn.Close() }

// Call sends a request, with open files for an exec, and decodes the answer's
// value into v, which may be nil.
func (c *Client) Call(r Request, v any, files ...*os.File) error {
	line, err := json.Marshal(r)
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
	line = append(line, '\n')
	n, _, err := c.conn.WriteMsgUnix(line, rights, nil)
	if err == nil && n < len(line) {
		_, err = c.conn.Write(line[n:])
	}
	if err != nil {
		return lost(err)
	}
	var resp Response
	if err := c.dec.Decode(&resp); err != nil {
		return lost(err)
	}
	if resp.Error != "" {
		return fail.Newf(fail.Code(resp.Code), resp.Hint, "%s", resp.Error)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(resp.Value, v); err != nil {
		return fmt.Errorf("the lab's answer to %s: %w", r.Op, err)
	}
	return nil
}

func lost(err error) error {
	return fail.Newf(fail.Environment, "see its log with hoplab lab status, or start it again", "the lab went away: %w", err)
}
