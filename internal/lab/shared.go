package lab

import (
	"os/exec"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/lab/proc"
)

// perShared is how many agents share a process. Most of what an agent costs is
// the process around it (some 10 MB), of which a 25th is left; the descriptors
// of so many, each with connections to hundreds of tasks, fit the usual limits,
// and no more tasks than that are lost if the process ends.
const perShared = 25

// sharing hands out places in processes that agents share.
type sharing struct {
	lab *Lab

	mu        sync.Mutex
	processes []*sharedProcess
}

// sharedProcess is a process with the agents of several tasks.
type sharedProcess struct {
	client *node.Client
	proc   *proc.Process
	slots  int // ever given
	agents int // that have not ended
}

// sharedAgent is an agent's place in a process. It ends by itself with the
// process only.
type sharedAgent struct {
	of     *sharing
	in     *sharedProcess
	client *node.Client // of its slot

	once sync.Once
	done chan struct{}
	why  string // set before done is closed
}

// start starts an agent in a process with others.
func (s *sharing) start(name string, h fabric.Host, start node.Start, bound any) (*nodeProcess, error) {
	a, err := s.place(name)
	if err != nil {
		return nil, err
	}
	start.Net = h.Outside()
	return configure(&nodeProcess{Client: a.client, proc: a, stop: func() {}}, h, start, bound)
}

// place finds a place for one more agent, or starts a process that has some.
func (s *sharing) place(name string) (*sharedAgent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in *sharedProcess
	for _, p := range s.processes {
		if p.proc.Alive() && p.agents < perShared {
			in = p
		}
	}
	if in == nil {
		client, p, err := s.lab.spawnNode("agents of several tasks", (*exec.Cmd).Start, nil)
		if err != nil {
			return nil, err
		}
		in = &sharedProcess{client: client, proc: p}
		s.processes = append(s.processes, in)
	}
	in.slots++
	in.agents++
	a := &sharedAgent{of: s, in: in, client: in.client.Slot(in.slots, name), done: make(chan struct{})}
	go func() {
		select {
		case <-a.done:
		case <-in.proc.Done():
			a.ended(in.proc.Why())
		}
	}()
	return a, nil
}

// close ends the processes, and with them the agents that are left.
func (s *sharing) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range s.processes {
		wg.Go(func() {
			p.client.Close()
			if !p.proc.Wait(2 * time.Second) {
				p.proc.Kill()
			}
		})
	}
	wg.Wait()
}

func (a *sharedAgent) PID() int              { return a.in.proc.PID() }
func (a *sharedAgent) Done() <-chan struct{} { return a.done }

func (a *sharedAgent) Alive() bool {
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

func (a *sharedAgent) Why() string {
	<-a.done
	return a.why
}

// Wait ends the agent in good order, as one in a process of its own ends when
// its input closes.
func (a *sharedAgent) Wait(time.Duration) bool {
	a.end(ended)
	return true
}

// Kill ends the agent as a SIGKILL would a process: nobody waits for its connections.
func (a *sharedAgent) Kill() { a.end("signal: killed") }

// end ends the agent; a process that does not answer is killed.
func (a *sharedAgent) end(why string) {
	if a.Alive() && a.client.Close() != nil && a.in.proc.Alive() {
		a.in.proc.Kill()
	}
	a.ended(why)
}

func (a *sharedAgent) ended(why string) {
	a.once.Do(func() {
		a.of.mu.Lock()
		a.in.agents--
		a.of.mu.Unlock()
		a.why = why
		close(a.done)
	})
}
