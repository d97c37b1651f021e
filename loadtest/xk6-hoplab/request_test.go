package hoplab

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// told is a server's answer that says what reached it.
func told(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	name := ""
	if r.TLS != nil {
		name = r.TLS.ServerName
	}
	w.Header().Set("X-Told", fmt.Sprint(r.Proto, " ", r.Method, " ", r.Host, " ", r.Header.Get("X-Key"), " ", string(body), " ", name))
	w.Header().Set("X-Number", fmt.Sprint(time.Now().UnixNano()))
	_, _ = io.WriteString(w, "ok")
}

// A request of the user's own form arrives as it was written, over either
// protocol, and what it is answered in the watched headers is told.
func TestRequestOfTheUsersOwnForm(t *testing.T) {
	t.Setenv("HOPLAB_TEST_KEY", "s3cret")
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("http2=", h2), func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(told))
			server.EnableHTTP2 = true
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			defer server.Close()
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			arm := samplefile.LoadArm{URL: "https://app.internal/x", Dial: server.Listener.Addr().String(), ServerName: "example.com"}
			c, opened := clientFor(t, arm, func(l *samplefile.Load) {
				l.Request = &samplefile.Request{Method: "PUT", Body: "hello", HTTP2: h2, CA: string(ca),
					Headers: []string{"X-Key: ${HOPLAB_TEST_KEY}", "Host: other.example"}}
				l.Watch = []samplefile.Watched{{Name: "x-told"}, {Name: "X-Number", Presence: true}, {Name: "Via"}}
			})
			proto := "HTTP/1.1"
			if h2 {
				proto = "HTTP/2.0"
			}
			want := "=" + proto + " PUT other.example s3cret hello example.com\n=\n"
			for i := range 3 {
				ex := c.do(t.Context(), 0, time.Now())
				if o := ex.outcome; o.Error != "" || o.Status != 200 || o.Seen != want || o.BodyBytes != 2 || o.Reused != (i > 0) {
					t.Errorf("request %d: %+v; want Seen %q", i, o, want)
				}
			}
			if opened.Load() != 1 {
				t.Errorf("%d connections; want one that is kept", opened.Load())
			}
		})
	}
}

// Where the load names an authority, no other's certificate will do.
func TestOnlyTheLoadsOwnAuthority(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(told))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw[:len(other.Certificate().Raw)-1]})
	load := &samplefile.Load{Arms: []samplefile.LoadArm{{URL: server.URL}}, Request: &samplefile.Request{CA: string(ca)}}
	if _, err := newClient(load, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("a broken authority: %v", err)
	}
	c, _ := clientFor(t, samplefile.LoadArm{URL: server.URL, ServerName: "not.in.the.certificate"}, func(l *samplefile.Load) {
		l.Request = &samplefile.Request{CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))}
	})
	if ex := c.do(t.Context(), 0, time.Now()); !strings.Contains(ex.outcome.Error, "certificate") {
		t.Errorf("%+v; want the certificate refused for its name", ex.outcome)
	}
}

// A server that ends an HTTP/2 connection between two requests costs none, and
// a stale deadline of the request before does not end one.
func TestHTTP2ConnectionIsReplaced(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(told))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	c, opened := clientFor(t, samplefile.LoadArm{URL: server.URL}, func(l *samplefile.Load) {
		l.TimeoutS, l.Request = 0.3, &samplefile.Request{HTTP2: true}
	})
	ask := func() {
		t.Helper()
		if ex := c.do(t.Context(), 0, time.Now()); ex.outcome.Status != 200 {
			t.Fatalf("%+v", ex.outcome)
		}
	}
	ask()
	time.Sleep(400 * time.Millisecond)
	if ask(); opened.Load() != 1 {
		t.Errorf("%d connections; the time limit of a request that was answered ended one", opened.Load())
	}
	server.CloseClientConnections()
	for end := time.Now().Add(5 * time.Second); c.conns[0].usable() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if ask(); opened.Load() != 2 {
		t.Errorf("%d connections; want a second one", opened.Load())
	}
}

// An environment variable that is not set stops the load before the first request.
func TestSecretThatIsNotThere(t *testing.T) {
	load := &samplefile.Load{Arms: []samplefile.LoadArm{{URL: "http://x/"}},
		Request: &samplefile.Request{Headers: []string{"Authorization: Bearer ${HOPLAB_TEST_NONE}"}}}
	if _, err := newClient(load, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "HOPLAB_TEST_NONE") {
		t.Errorf("%v; want an error that names the variable", err)
	}
}
