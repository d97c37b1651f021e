// Package node is the process of an ALB node or an agent: `hoplab node`
// reads requests as JSON lines on its standard input, answers on its standard
// output, and ends when the input does, so that it cannot outlive the lab.
package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/jsonlines"
)

// Request is one line to a node.
type Request struct {
	ID   int64           `json:"id"`
	Slot int             `json:"slot,omitempty"` // 0 for the process's own node
	Op   Op              `json:"op"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Op is what a node is asked to do.
type Op string

// The operations. Start comes first and once, in each slot.
const (
	OpStart  Op = "start"  // body Start; answers alb.Bound or agent.Bound
	OpView   Op = "view"   // body of the fabric's Watch
	OpUpdate Op = "update" // body alb.Update or agent.Update
	// OpConfigure gives a load balancer another alb.Config; answers alb.Bound.
	OpConfigure Op = "configure"

	OpStatus Op = "status" // answers alb.Status or agent.Status
	OpDrain  Op = "drain"  // stop taking new work from outside
	OpWatch  Op = "watch"  // keep the heads of requests with the X-Request-Id in the body
	OpHeads  Op = "heads"  // end that; answers []relay.Heads
	OpFlush  Op = "flush"  // write to the access log what waits to be written
	OpEnd    Op = "end"    // end the agent of a slot; the process goes on
)

// Start tells a node what it is. One of ALB, Agent and App is set; an App
// needs no Net.
type Start struct {
	Net   fabric.NetSpec `json:"net"`
	ALB   *alb.Config    `json:"alb,omitempty"`
	Agent *agent.Config  `json:"agent,omitempty"`
	// Envoy, if set, runs as the Agent. The node then moves no traffic itself.
	Envoy *Envoy `json:"envoy,omitempty"`
	App   *App   `json:"app,omitempty"`
}

// Reply is one line from a node: the answer to the request with its ID, or,
// with ID 0, an event that nobody asked for: an alb.HealthChange.
type Reply struct {
	ID    int64           `json:"id"`
	Error string          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// Client is the lab's side of a node. It is safe for concurrent use.
type Client struct {
	name string
	slot int
	*link

	closing sync.Once
	closed  error
}

// link is what the clients of a process share.
type link struct {
	in    io.Closer
	out   *jsonlines.Writer
	event func(json.RawMessage)

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan Reply
	ended   error
	done    chan struct{}
}

// NewClient talks to a node named name for people, through its standard input
// and output. event, if not nil, is called for each event, in order; it must
// not make calls to the node.
func NewClient(name string, in io.WriteCloser, out io.Reader, event func(json.RawMessage)) *Client {
	l := &link{in: in, out: jsonlines.NewWriter(in), event: event, waiting: map[int64]chan Reply{}, done: make(chan struct{})}
	go l.read(out)
	return &Client{name: name, link: l}
}

// Slot is a client of another node in the same process: an agent, named name
// for people. n is a number above 0 that no slot of the process had before.
func (c *Client) Slot(n int, name string) *Client { return &Client{name: name, slot: n, link: c.link} }

var errEnded = errors.New("the process has ended")

func (c *link) read(out io.Reader) {
	replies := jsonlines.NewReader(out)
	for {
		var r Reply
		var bad *jsonlines.Error
		if err := replies.Read(&r); errors.As(err, &bad) {
			continue // not ours: a panic's first lines, say; the process is about to end
		} else if err != nil {
			break
		}
		if r.ID == 0 {
			if c.event != nil {
				c.event(r.Body)
			}
			continue
		}
		c.mu.Lock()
		ch := c.waiting[r.ID]
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		if ch != nil {
			ch <- r
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = errEnded
	for _, ch := range c.waiting {
		close(ch)
	}
	clear(c.waiting)
	close(c.done)
}

// answerWithin bounds every call: nodes answer at once or are broken.
const answerWithin = 20 * time.Second

// Call sends one request and waits for its answer, which it decodes into
// answer when that is not nil.
func (c *Client) Call(op Op, body, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ch := make(chan Reply, 1)
	c.mu.Lock()
	if c.ended != nil {
		c.mu.Unlock()
		return fmt.Errorf("%s: %w", c.name, c.ended)
	}
	c.next++
	id := c.next
	c.waiting[id] = ch
	err = c.out.Write(Request{ID: id, Slot: c.slot, Op: op, Body: raw})
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	timer := time.NewTimer(answerWithin)
	defer timer.Stop()
	select {
	case r, ok := <-ch:
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", c.name, errEnded)
		case r.Error != "":
			return fmt.Errorf("%s: %s", c.name, r.Error)
		case answer != nil:
			return jsonlines.Decode(r.Body, answer)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("%s: no answer to %q within %s", c.name, op, answerWithin)
	}
}

// Ended is closed when the node's output has ended.
func (c *Client) Ended() <-chan struct{} { return c.done }

// Close closes the node's input, upon which the process ends; of a slot, it
// ends the agent there.
func (c *Client) Close() error {
	c.closing.Do(func() {
		if c.slot != 0 {
			c.closed = c.Call(OpEnd, nil, nil)
		} else {
			c.closed = c.in.Close()
		}
	})
	return c.closed
}
