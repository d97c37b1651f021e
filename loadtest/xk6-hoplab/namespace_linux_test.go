package hoplab

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// elsewhere makes a network namespace with a server on an address of loopback on
// which nobody else listens, so that only there is anybody at its port. It
// answers with a status of its own. Returned are the namespace and the server's
// address.
func elsewhere(t *testing.T, status int) (namespace *os.File, addr string) {
	t.Helper()
	type made struct {
		namespace *os.File
		listener  net.Listener
		err       error
	}
	out := make(chan made)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var m made
		defer func() { out <- m }()
		if m.err = unix.Unshare(unix.CLONE_NEWNET); m.err != nil {
			return
		}
		if m.err = loopbackUp(); m.err != nil {
			return
		}
		if m.namespace, m.err = os.Open("/proc/thread-self/ns/net"); m.err == nil {
			m.listener, m.err = net.Listen("tcp4", "127.83.0.1:0")
		}
	}()
	m := <-out
	if m.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(m.err)
		}
		t.Skip("no network namespace can be made here: " + m.err.Error())
	}
	t.Cleanup(func() { m.namespace.Close() })
	s := &httptest.Server{Listener: m.listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	return m.namespace, m.listener.Addr().String()
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// TestEachArmFromItsNamespace: two arms have the same address in two network
// namespaces, many users call both at once, and what needs no namespace is
// still called from the process's own.
func TestEachArmFromItsNamespace(t *testing.T) {
	a, addr := elsewhere(t, 201)
	b, other := elsewhere(t, 202)
	own := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer own.Close()
	arms := []samplefile.LoadArm{
		{URL: "http://a.example/", Dial: addr, Namespace: int(a.Fd())},
		{URL: "http://b.example/", Dial: other, Namespace: int(b.Fd())},
		{URL: "http://c.example/", Dial: own.Listener.Addr().String()},
		{URL: "http://d.example/", Dial: addr, Namespace: int(a.Fd()), From: "127.0.0.7"},
	}
	statuses := []int{201, 202, 200, 201}
	var users sync.WaitGroup
	for range 16 {
		cl, _ := clientFor(t, arms[0], func(l *samplefile.Load) { l.Arms, l.KeepAlive = arms, false })
		users.Go(func() {
			for i := range 40 {
				arm := i % len(arms)
				if ex := cl.do(t.Context(), arm, time.Now()); ex.outcome.Status != statuses[arm] {
					t.Errorf("arm %d: %+v, want status %d", arm, ex.outcome, statuses[arm])
				}
			}
		})
	}
	users.Wait()
	cl, _ := clientFor(t, samplefile.LoadArm{URL: "http://a.example/", Dial: addr}, nil)
	if ex := cl.do(t.Context(), 0, time.Now()); ex.outcome.Error != "refused" {
		t.Errorf("without the namespace: %+v, want the refusal of a port that nobody has here", ex.outcome)
	}
}

// TestNamespaceThatIsNone: what cannot be entered is an error of the request.
func TestNamespaceThatIsNone(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	addr, _ := script(t, plain)
	cl, _ := clientFor(t, samplefile.LoadArm{URL: "http://a.example/", Dial: addr, Namespace: int(f.Fd())}, nil)
	if ex := cl.do(t.Context(), 0, time.Now()); ex.outcome.Status != 0 || ex.outcome.Error == "" {
		t.Errorf("%+v", ex.outcome)
	}
}
