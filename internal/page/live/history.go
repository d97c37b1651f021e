package live

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
)

// state is what the lab looked like at one moment.
type state struct {
	At   time.Time `json:"at"`
	Down string    `json:"down,omitempty"` // why the lab does not answer
	// Version stands for what the lab is made of, Rolling names the services that
	// have a deployment under way.
	Version string   `json:"version"`
	Rolling []string `json:"rolling"`
	// Counted are the requests by hop since the lab began, Targets the targets' health.
	Counted []counted `json:"counted"`
	Targets []target  `json:"targets"`
	// Errors counts answers by who wrote them and their class: "Alb: 504".
	Errors map[string]int64 `json:"errors"`
}

type target struct {
	Group   string `json:"group"`
	Address string `json:"address"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
}

// kept bounds the history: as many changes, a second apart at least.
const kept = 600

// history numbers the states of the lab that differ from the one before, and
// keeps the last of them for who connects again.
type history struct {
	mu      sync.Mutex
	first   int // number of states[0], from 1
	states  [][]byte
	last    state
	changed chan struct{} // closed at the next change
}

func newHistory() *history { return &history{first: 1, changed: make(chan struct{})} }

// add keeps the state if it tells something new.
func (h *history) add(s state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	same := h.last
	same.At = s.At
	if len(h.states) > 0 && reflect.DeepEqual(same, s) {
		return
	}
	line, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, numbers and times only
	}
	h.last, h.states = s, append(h.states, line)
	if n := len(h.states) - kept; n > 0 {
		h.states, h.first = h.states[n:], h.first+n
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// after returns the states behind the number, the number of the first of them,
// and a channel that is closed when there are more.
func (h *history) after(n int) (states [][]byte, first int, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := min(max(n+1-h.first, 0), len(h.states))
	return h.states[from:len(h.states):len(h.states)], h.first + from, h.changed
}

// watch looks at the lab every second until ctx ends.
func (s *Server) watch(ctx context.Context) {
	for tick := time.NewTicker(time.Second); ; {
		s.history.add(s.look(""))
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// look asks the lab how it is; made is what it is made of, "" when that is not known.
func (s *Server) look(made string) state {
	out := state{At: time.Now(), Counted: []counted{}, Targets: []target{}, Errors: map[string]int64{}, Rolling: []string{}}
	st, err := s.lab.Status()
	if err == nil && made == "" {
		made, err = s.lab.Made()
	}
	out.Version = made
	if err != nil {
		out.Down = err.Error()
		return out
	}
	for _, c := range counters(st) {
		c.all, c.ms = 0, 0 // of health checks too, which are no news
		out.Counted = append(out.Counted, c)
	}
	for _, sv := range st.Services {
		if !sv.Stable {
			out.Rolling = append(out.Rolling, sv.Name)
		}
	}
	for _, b := range st.LoadBalancers {
		for _, g := range b.Groups {
			for _, t := range g.Targets {
				out.Targets = append(out.Targets, target{g.Name, t.Address, string(t.State), t.Reason})
			}
		}
		for _, l := range b.Listeners {
			for code, n := range l.ELB {
				out.Errors[fmt.Sprintf("%s: %d of its own", b.Name, code)] += n
			}
		}
	}
	agentErrors(st, out.Errors)
	return out
}

// agentErrors adds what agents answered, or did not answer, to who called them.
func agentErrors(st *lab.Status, errors map[string]int64) {
	for _, sv := range st.Services {
		for _, t := range sv.Tasks {
			if t.Agent == nil {
				continue
			}
			for _, e := range append(t.Agent.Ingress, t.Agent.Egress...) {
				for code, n := range e.Codes {
					if (code == "none" || strings.HasPrefix(code, "4") || strings.HasPrefix(code, "5")) && n > 0 {
						errors["agent of "+sv.Name+": "+code] += n
					}
				}
			}
		}
	}
}

// events streams the history as server-sent events. A browser that connects
// again names the last event that it has, and gets all after it that are kept.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // without one from the beginning
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	for {
		states, first, more := s.history.after(n)
		for i, line := range states {
			n = first + i
			if _, err := fmt.Fprintf(w, "id: %d\ndata: %s\n\n", n, line); err != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-more:
		case <-alive.C:
			if _, err := fmt.Fprint(w, ": alive\n\n"); err != nil {
				return
			}
		}
	}
}
