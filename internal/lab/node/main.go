package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/jsonlines"
	"github.com/hoplab/hoplab/internal/lab/relay"
	"github.com/hoplab/hoplab/internal/printable"
)

// Opener makes the Net that a NetSpec describes.
type Opener func(fabric.NetSpec) (fabric.Net, error)

// Main serves requests until in ends, and returns the process's exit code.
func Main(in io.Reader, out, errOut io.Writer, open Opener) int {
	w := jsonlines.NewWriter(out)
	n := &server{open: open, out: w, errOut: errOut}
	others := slots{open: open, out: w, errOut: errOut, queues: map[int]chan Request{}}
	defer n.close()
	defer others.close()
	requests := jsonlines.NewReader(in)
	for {
		var req Request
		var bad *jsonlines.Error
		switch err := requests.Read(&req); {
		case errors.As(err, &bad):
			printable.Fprintf(errOut, "hoplab node: a line on standard input is not a request: %v\n", bad.Err)
			return 2
		case err != nil:
			return 0
		}
		if req.Slot != 0 {
			others.take(req)
		} else if n.answer(req) != nil {
			return 0 // nobody reads any more
		}
	}
}

// answer does what is asked and says what came of it.
func (n *server) answer(req Request) error {
	reply := Reply{ID: req.ID}
	answer, err := n.do(req)
	if err == nil && answer != nil {
		reply.Body, err = json.Marshal(answer)
	}
	if err != nil {
		reply.Error = err.Error()
	}
	return n.out.Write(reply)
}

// server is a node: that of this process, or one of its slots.
type server struct {
	slot   bool
	open   Opener
	out    *jsonlines.Writer // replies and events
	errOut io.Writer
	net    fabric.Net
	alb    *alb.Node
	agent  sidecar
	app    *appProcess
}

func (n *server) do(req Request) (any, error) {
	if req.Op == OpEnd && n.slot {
		n.close()
		return nil, nil
	}
	if (n.net == nil) != (req.Op == OpStart) {
		return nil, fmt.Errorf("operation %q out of turn: start comes first and once", req.Op)
	}
	switch req.Op {
	case OpStart:
		return n.start(req.Body)
	case OpView:
		return nil, n.view(req.Body)
	case OpUpdate:
		return nil, n.update(req.Body)
	case OpConfigure:
		return n.configure(req.Body)
	case OpStatus:
		if n.alb != nil {
			return n.alb.Status(), nil
		}
		return n.agent.Status()
	case OpDrain:
		if n.agent != nil {
			return nil, n.agent.Drain()
		}
		return nil, nil
	case OpWatch, OpHeads:
		return n.watch(req)
	case OpFlush:
		if n.agent != nil {
			return nil, n.agent.Flush()
		}
		return nil, nil
	}
	return nil, fmt.Errorf("unknown operation %q", req.Op)
}

// watch keeps the heads of one request, or answers with them.
func (n *server) watch(req Request) (any, error) {
	var id string
	if err := json.Unmarshal(req.Body, &id); err != nil {
		return nil, err
	}
	var hop interface {
		Watch(id string)
		Heads(id string) []relay.Heads
	} = n.agent
	if n.alb != nil {
		hop = n.alb
	}
	if req.Op == OpHeads {
		return hop.Heads(id), nil
	}
	hop.Watch(id)
	return nil, nil
}

func (n *server) start(body json.RawMessage) (any, error) {
	var st Start
	if err := json.Unmarshal(body, &st); err != nil {
		return nil, err
	}
	if n.slot && (st.Agent == nil || st.Envoy != nil) {
		return nil, errors.New("a slot is for an agent of the lab's own; start a process for anything else")
	}
	if st.App != nil {
		g, err := startApp(*st.App)
		if err != nil {
			return nil, err
		}
		n.app = g
		go func() {
			<-g.done
			os.Exit(max(g.exit, 1)) // a node without its app has no purpose, and the lab watches the node
		}()
		return AppStarted{PID: g.cmd.Process.Pid}, nil
	}
	if (st.ALB == nil) == (st.Agent == nil) {
		return nil, fmt.Errorf("a node is a load balancer, an agent or an app")
	}
	net, err := n.open(st.Net)
	if err != nil {
		return nil, err
	}
	if st.ALB != nil {
		node, b, err := alb.Start(*st.ALB, net, n.healthChanged)
		if err != nil {
			return nil, err
		}
		n.alb, n.net = node, net
		return b, nil
	}
	a, b, err := n.startSidecar(st, net)
	if err != nil {
		return nil, err
	}
	n.agent, n.net = a, net
	return b, nil
}

func (n *server) healthChanged(c alb.HealthChange) {
	if raw, err := json.Marshal(c); err == nil {
		n.out.Write(Reply{Body: raw}) // a lab that does not read any more is about to close the input
	}
}

func (n *server) view(body json.RawMessage) error {
	if err := n.net.Update(body); err != nil || n.agent == nil {
		return err
	}
	return n.agent.Moved()
}

func (n *server) update(body json.RawMessage) error {
	if n.alb != nil {
		var u alb.Update
		if err := json.Unmarshal(body, &u); err != nil {
			return err
		}
		n.alb.Update(u)
		return nil
	}
	var u agent.Update
	if err := json.Unmarshal(body, &u); err != nil {
		return err
	}
	return n.agent.Update(u)
}

func (n *server) configure(body json.RawMessage) (any, error) {
	if n.alb == nil {
		return nil, errors.New("an agent keeps the configuration that it was started with")
	}
	var cfg alb.Config
	if err := json.Unmarshal(body, &cfg); err != nil {
		return nil, err
	}
	return n.alb.Configure(cfg)
}

func (n *server) close() {
	if n.alb != nil {
		n.alb.Close()
	}
	if n.agent != nil {
		n.agent.Close()
	}
	if n.app != nil {
		n.app.close()
	}
	if c, ok := n.net.(io.Closer); ok {
		c.Close()
	}
}
