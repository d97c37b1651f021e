package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/lab/relay"
	"github.com/hoplab/hoplab/internal/topology"
)

// Trace is what became of one request, as its caller and its hops saw it.
type Trace struct {
	Seen call.Observation `json:"seen"`
	Sent http.Header      `json:"sent"` // by the caller
	// Hops are in no order. Of an Envoy nothing is known but what its access log
	// tells.
	Hops []TracedHop `json:"hops"`
}

// TracedHop is what a load balancer or an agent kept of the request.
type TracedHop struct {
	Host topology.ID `json:"host"` // the load balancer, or the service of the task
	Task string      `json:"task,omitempty"`
	// Part is "alb", "client agent" or "agent", as predictions name a hop.
	Part string `json:"part"`
	// Heads is nil for an Envoy's, and for a TCP endpoint's.
	Heads *relay.Heads `json:"heads,omitempty"`
	// Log are the lines of the agent's access log that name the request; none
	// where the service configures no log.
	Log []string `json:"log,omitempty"`
}

// The words of TracedHop.Part.
const (
	partALB         = "alb"
	partClientAgent = "client agent"
	partAgent       = "agent"
)

// Trace is Curl with an X-Request-Id, by which the request is found again in
// what the load balancers and agents of the lab saw and logged. It takes up to
// logsWithin longer, real time. Several may be under way; of those beyond 64 hops
// keep no heads.
func (l *Lab) Trace(ctx context.Context, c Caller, rawURL string) (Trace, error) {
	id := requestID()
	tr := Trace{Sent: curlHeader()}
	tr.Sent.Set("X-Request-Id", id)
	hops := l.watchedHops(c)
	each(hops, func(h *watchedHop) { h.err = h.node.Call(node.OpWatch, id, nil) })
	defer each(hops, func(h *watchedHop) { h.take(id) }) // also when the call makes no sense
	var err error
	if tr.Seen, err = l.curl(ctx, c, rawURL, tr.Sent); err != nil {
		return Trace{}, err
	}
	each(hops, func(h *watchedHop) { h.take(id) })
	awaitLines(hops, id)
	for _, h := range hops {
		tr.Hops = append(tr.Hops, h.traced()...)
	}
	return tr, nil
}

// requestID is a random UUID, as agents make it for who has none.
func requestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// watchedHop is a load balancer's node or an agent while a request is under way.
type watchedHop struct {
	host   topology.ID
	task   string
	node   *nodeProcess
	caller bool   // the agent of the calling task
	dumb   bool   // an Envoy: it tells nothing but its log
	log    string // the access log; "" for none
	from   int64  // its length before the request

	err   error // it cannot be asked, as when it has ended
	taken bool
	heads []relay.Heads
	lines []string
}

func (l *Lab) watchedHops(c Caller) (out []*watchedHop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, own, _ := l.caller(c) // a caller that there is not is Curl's to refuse
	for _, dc := range l.copies {
		for _, b := range dc.balancers {
			out = append(out, &watchedHop{host: b.def.ID, node: b.nodeProcess})
		}
		for _, s := range dc.services {
			for _, t := range s.tasks {
				if t.agent == nil {
					continue
				}
				h := &watchedHop{host: s.def.ID, task: t.id, node: t.agent, caller: t == own, dumb: l.envoy != ""}
				if i, err := os.Stat(AgentLog(t.dir)); err == nil {
					h.log, h.from = AgentLog(t.dir), i.Size()
				}
				out = append(out, h)
			}
		}
	}
	return out
}

// each does something with all hops at once.
func each(hops []*watchedHop, do func(*watchedHop)) {
	var wg sync.WaitGroup
	for _, h := range hops {
		wg.Go(func() { do(h) })
	}
	wg.Wait()
}

// take asks once for what the hop kept.
func (h *watchedHop) take(id string) {
	if h.err == nil && !h.taken {
		h.taken = true
		h.err = h.node.Call(node.OpHeads, id, &h.heads)
	}
}

// logsWithin is how long an answered request may take to be in the access logs,
// once they are told to be written. An Envoy that has not said by then that a
// request passed it is taken at its word.
const logsWithin = 300 * time.Millisecond

// awaitLines reads the lines that name the request from the access logs, until
// each has as many as requests passed its agent.
func awaitLines(hops []*watchedHop, id string) {
	for end := time.Now().Add(logsWithin); ; time.Sleep(10 * time.Millisecond) {
		each(hops, func(h *watchedHop) {
			if h.log != "" && h.err == nil && (h.dumb || len(h.heads) > 0) {
				h.err = h.node.Call(node.OpFlush, nil, nil)
				h.lines = linesWith(h.log, h.from, id)
			}
		})
		missing := false
		for _, h := range hops {
			missing = missing || h.log != "" && h.err == nil && (h.dumb || len(h.lines) < len(h.heads))
		}
		if !missing || time.Now().After(end) {
			return
		}
	}
}

// maxLogRead bounds what is read of a log behind the start of a request.
const maxLogRead = 4 << 20

// linesWith returns the whole lines behind an offset of a file that have the word.
func linesWith(path string, from int64, word string) (out []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil // it went with its task
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, from, maxLogRead))
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(data) {
		if bytes.HasSuffix(line, []byte("\n")) && bytes.Contains(line, []byte(word)) {
			out = append(out, string(bytes.TrimSpace(line)))
		}
	}
	return out
}

// traced are the sides of the hop that the request came to. An agent logs a request
// when it has ended, so that one which went out of a task and into it again has
// its lines in the other order than its heads.
func (h *watchedHop) traced() (out []TracedHop) {
	n := len(h.heads)
	for i := range h.heads {
		p := TracedHop{Host: h.host, Task: h.task, Part: partOf[h.heads[i].Part], Heads: &h.heads[i]}
		if len(h.lines) == n {
			p.Log = h.lines[n-1-i : n-i]
		}
		out = append(out, p)
	}
	if !h.dumb {
		return out
	}
	in := h.lines
	if n := len(in); h.caller && n > 0 {
		out = append(out, TracedHop{Host: h.host, Task: h.task, Part: partClientAgent, Log: in[n-1:]})
		in = in[:n-1]
	}
	if len(in) > 0 {
		out = append(out, TracedHop{Host: h.host, Task: h.task, Part: partAgent, Log: in})
	}
	return out
}

var partOf = map[string]string{"alb": partALB, agent.PartEgress: partClientAgent, agent.PartIngress: partAgent}
