package labctl

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/jsonlines"
	"github.com/hoplab/hoplab/internal/topology"
)

// FuzzControl: whatever bytes come over the control socket, the lab answers each
// line with one line of JSON, in order, and is there for the next client. Only
// down ends it. The lab has nothing in it, so that no request starts a program.
func FuzzControl(f *testing.F) {
	for _, s := range []string{
		`{"op":"status"}` + "\n", `{"op":"info"}` + "\n" + `{"op":"started"}` + "\n", "\n\n", "nonsense\n", `{"op":"down"}` + "\n",
		`{"op":"curl","url":"http://a:80/","caller":{"service":"x"},"timeout":1}` + "\n",
		`{"op":"dial","url":"http://[::1]:99999/"}` + "\n", `{"op":"exec","argv":["/bin/true"],"env":["A=b"],"dir":"/"}` + "\n",
		`{"op":"scale","service":"x","count":-1}` + "\n", `{"op":"kill","task":"x","part":"agent"}` + "\n",
		`{"op":"kill","load_balancer":"x"}` + "\n", `{"op":"redeploy","timeout":-9223372036854775808}` + "\n", `{"op":"drain"}` + "\n",
		`{"op":1}` + "\n" + `{"op":"status"}` + "\n", `[` + strings.Repeat(`[`, 20_000) + "\n", `{"op":"status"`,
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	l, err := lab.Start(context.Background(), lab.Options{
		Topology: &topology.Topology{Name: "empty"}, App: lab.App{Command: []string{"/nonexistent"}}, Dir: dir,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := &server{name: "fuzz", started: make(chan struct{}), lab: l, down: func() {}}
		close(s.started)
		server, client := pair(t)
		served := make(chan struct{})
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		go func() {
			defer close(served)
			defer server.Close()
			s.client(ctx, server)
		}()
		go func() {
			client.Write(sent) // a server that has ended takes no more
			client.CloseWrite()
		}()
		client.SetReadDeadline(time.Now().Add(10 * time.Second))
		in, answers := jsonlines.NewReader(client), 0
		for {
			var r map[string]json.RawMessage
			if err := in.Read(&r); err != nil {
				if strings.Contains(err.Error(), "JSON") || os.IsTimeout(err) {
					t.Fatalf("after %d answers to %.200q: %v", answers, sent, err)
				}
				break
			}
			answers++
		}
		if most := strings.Count(string(sent), "\n") + 1; answers > most {
			t.Errorf("%d answers to at most %d lines", answers, most)
		}
		<-served
	})
}

// pair returns the two ends of a connection over a Unix socket.
func pair(t *testing.T) (server, client *net.UnixConn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.DialUnix("unix", nil, ln.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if server, err = ln.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	return server, c
}
