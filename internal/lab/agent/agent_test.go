package agent

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSlowApp(t *testing.T) {
	for name, c := range map[string]struct {
		timeouts Timeouts
		status   int
		body     string
	}{
		"request timeout": {DefaultTimeouts(HTTP), 504, "upstream request timeout"},
		"idle wins":       {Timeouts{PerRequest: 15 * time.Second, Idle: 5 * time.Second}, 504, "stream timeout"},
		"switched off":    {Timeouts{}, 200, "late"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, addr := server(t, Config{Scale: 100, Ingress: []Ingress{{Protocol: HTTP, App: 80, Timeouts: c.timeouts}}},
				func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-r.Context().Done():
					case <-time.After(400 * time.Millisecond):
					}
					io.WriteString(w, "late")
				})
			if status, _, body := get(t, addr, ""); status != c.status || body != c.body {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.body)
			}
		})
	}
}

// TestClientGone: the agent gives up a request whose client has left.
func TestClientGone(t *testing.T) {
	taken, given := make(chan struct{}), make(chan struct{})
	a, addr := server(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		close(taken)
		<-r.Context().Done()
		close(given)
	})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	within(t, taken, "the app did not get the request")
	c.Close()
	within(t, given, "the app still works for a client that has gone")
	waitFor(t, func() bool { return a.Status().Ingress[0].Codes["none"] == 1 })
}

// TestNoAlias: a port of a virtual address that no alias has.
func TestNoAlias(t *testing.T) {
	w := newTestNetwork()
	_, b := w.start(t, Config{Egress: []Egress{{Name: "app.ns", Protocol: HTTP, At: at}}})
	for range 20 {
		c, err := net.Dial("tcp", b.Outbound[netip.AddrPort{}].String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Read(make([]byte, 1))
		if err == nil || !strings.Contains(err.Error(), "reset by peer") {
			t.Fatalf("got %v, want a reset", err)
		}
		c.Close()
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	w := newTestNetwork()
	w.view.Local[80] = netip.MustParseAddrPort(l.Addr().String())
	a, b := w.start(t, Config{Ingress: []Ingress{
		{Discovery: "db", Protocol: TCP, App: 80, Timeouts: DefaultTimeouts(TCP)},
		{Discovery: "dead", Protocol: TCP, App: 81, Timeouts: DefaultTimeouts(TCP)},
	}})
	c, err := net.Dial("tcp", b.Ingress[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "anything")
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "anything" {
		t.Errorf("%q %v", got, err)
	}
	waitFor(t, func() bool {
		s := a.Status().Ingress[0]
		return s.BytesIn == 8 && s.BytesOut == 8 && s.NewConnections == 1 && s.ActiveConnections == 0 && s.Requests == 0
	})
	d, err := net.Dial("tcp", b.Ingress[1].String())
	if err == nil {
		defer d.Close()
		d.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = d.Read(make([]byte, 1))
	}
	if err != io.EOF {
		t.Errorf("an app that refuses: %v, want the end of the connection", err)
	}
}

// TestDrain: no new connections; those that are there go on.
func TestDrain(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	a, addr := server(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(begun) })
		<-finish
		io.WriteString(w, "done")
	})
	idle, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if status, _, body := get(t, addr, ""); status != 200 || body != "done" {
			t.Errorf("got %d %q", status, body)
		}
	})
	<-begun
	a.Drain()
	if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		c.Close()
		t.Error("a draining agent takes new connections")
	}
	close(finish)
	wg.Wait()
	io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	idle.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 15)
	if _, err := io.ReadFull(idle, buf); err != nil || string(buf) != "HTTP/1.1 200 OK" {
		t.Errorf("the idle connection: %q %v, want an answer", buf, err)
	}
}
