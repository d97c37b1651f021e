package node

import (
	"io"
	"sync"

	"github.com/hoplab/hoplab/internal/lab/jsonlines"
)

// slots are the agents of a process that has several. Each answers its own
// requests in order, and none waits for another.
type slots struct {
	open   Opener
	out    *jsonlines.Writer
	errOut io.Writer
	queues map[int]chan Request
	wg     sync.WaitGroup
}

// waiting is how many requests a slot may be behind before others wait for it.
const waiting = 64

// take hands a request to its slot, which begins with its first one and goes
// with OpEnd.
func (s *slots) take(req Request) {
	q := s.queues[req.Slot]
	if q == nil {
		q = make(chan Request, waiting)
		s.queues[req.Slot] = q
		s.wg.Go(func() { s.serve(q) })
	}
	q <- req
	if req.Op == OpEnd {
		close(q)
		delete(s.queues, req.Slot)
	}
}

func (s *slots) serve(q <-chan Request) {
	n := &server{slot: true, open: s.open, out: s.out, errOut: s.errOut}
	ended := false
	for req := range q {
		n.answer(req) // without a reader the process's input is about to end
		ended = req.Op == OpEnd
	}
	if !ended {
		n.close()
	}
}

// close ends all slots.
func (s *slots) close() {
	for _, q := range s.queues {
		close(q)
	}
	s.wg.Wait()
}
