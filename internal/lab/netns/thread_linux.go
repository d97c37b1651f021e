package netns

import (
	"errors"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// thread is an operating system thread that can be put into namespaces. It
// runs nothing else and ends with close, which ends the namespaces that
// nothing else is in.
type thread struct {
	work chan func()
	stop chan struct{}
	done chan struct{}
	once sync.Once
}

func newThread() *thread {
	t := &thread{work: make(chan func()), stop: make(chan struct{}), done: make(chan struct{})}
	go t.run()
	return t
}

func (t *thread) run() {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread does not end with its goroutine. While this goroutine
		// occupies it, another one runs elsewhere.
		defer runtime.UnlockOSThread()
		inner := make(chan struct{})
		go func() {
			defer close(inner)
			t.run()
		}()
		<-inner
		return
	}
	defer close(t.done)
	for {
		select {
		case f := <-t.work:
			f()
		case <-t.stop:
			return // still locked: the runtime ends the thread
		}
	}
}

var errGone = errors.New("it has been removed from the network")

// do runs f in the thread; it fails once the thread has been closed.
func (t *thread) do(f func() error) (err error) {
	ran := make(chan struct{})
	job := func() {
		defer close(ran)
		err = f()
	}
	select {
	case t.work <- job:
		<-ran
		return err
	case <-t.stop:
		return errGone
	}
}

// close ends the thread.
func (t *thread) close() {
	t.once.Do(func() { close(t.stop) })
	<-t.done
}
