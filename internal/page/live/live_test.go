package live_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/page/live"
	"github.com/hoplab/hoplab/internal/page/loopback"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

var service string // the measured app

// TestMain lets the lab start this binary as its nodes.
func TestMain(m *testing.M) {
	os.Exit(labtest.WithService(m, &service))
}

// serve serves the page of a lab, and returns its address.
func serve(t *testing.T, l live.Lab) string {
	t.Helper()
	s, err := live.New(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	at, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- s.Serve(ctx, "0", func(url string) { at <- url }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case url := <-at:
		return url
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return ""
	}
}

// described is what a lab was made of, and the changes that were made.
type described struct {
	guard sync.Mutex
	src   live.Source
	apply func(*topology.Topology) error // nil where nothing runs
}

func (d *described) Made() (string, error) {
	d.guard.Lock()
	defer d.guard.Unlock()
	return fmt.Sprintf("%+v", d.src.Changes), nil
}

func (d *described) Source(context.Context) (*live.Source, error) {
	d.guard.Lock()
	defer d.guard.Unlock()
	src := d.src
	return &src, nil
}

func (d *described) Change(_ context.Context, changes []change.Change) error {
	d.guard.Lock()
	defer d.guard.Unlock()
	top, _, err := change.Make(d.src.Read, changes...)
	if err == nil && d.apply != nil {
		err = d.apply(top)
	}
	if err == nil {
		d.src.Changes = changes
	}
	return err
}

// still is a lab that answers with what a test puts into it.
type still struct {
	described
	waits chan struct{} // holds a request up, if set
	mu    sync.Mutex
	st    lab.Status
	down  error
}

func (s *still) Status() (*lab.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.st
	return &st, s.down
}

func (s *still) Trace(lab.Caller, string, time.Duration) (lab.Trace, error) {
	if s.waits != nil {
		s.waits <- struct{}{} // that it was asked
		<-s.waits
	}
	return lab.Trace{Seen: call.Observation{Status: 503, Body: "no healthy upstream"}}, nil
}

// Kill lets the lab go away for a while.
func (s *still) Kill(topology.ID) error {
	s.set(1, errors.New("the lab went away"))
	time.AfterFunc(3*time.Second, func() { s.set(7, nil) })
	return nil
}

// quiet is a lab of the deployment in which nothing happens.
func quiet(top *topology.Topology) *still {
	return &still{described: described{src: live.Source{Read: top}}}
}

func (s *still) set(requests int64, down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	apps := []lab.AppStatus{{Requests: requests}}
	s.st = lab.Status{Services: []lab.ServiceStatus{{ID: "Main/Service", Name: "app-service", Tasks: []lab.TaskStatus{{Apps: apps}}}}}
	s.down = down
}

// Nobody but the page itself, at its own address, is answered.
func TestStrangers(t *testing.T) {
	url := serve(t, quiet(topologytest.Healthy().Topology))
	host := strings.Split(url, "/")[2]
	for _, c := range []struct {
		name, method, url, host, origin string
		want                            int
	}{
		{"the page", "GET", url, host, "", http.StatusOK},
		{"its request", "POST", url + "send", host, "http://" + host, http.StatusOK},
		{"without the token", "GET", "http://" + host + "/", host, "", http.StatusNotFound},
		{"with another token", "GET", "http://" + host + "/ABCDEFGHIJKLMNOPQRSTUVWXYZ/events", host, "", http.StatusNotFound},
		{"a name that was bound anew", "GET", url, "evil.test", "", http.StatusMisdirectedRequest},
		{"another page", "POST", url + "send", host, "https://evil.test", http.StatusForbidden},
		{"another port", "GET", url, host, "http://127.0.0.1:1", http.StatusForbidden},
		{"a form without an origin", "POST", url + "send", host, "", http.StatusForbidden},
		{"an opaque page", "POST", url + "send", host, "null", http.StatusForbidden},
		{"another page's change", "POST", url + "change", host, "https://evil.test", http.StatusForbidden},
		{"a form's change", "POST", url + "change", host, "", http.StatusForbidden},
		{"another page's kill", "POST", url + "kill", host, "https://evil.test", http.StatusForbidden},
		{"a name that was bound anew, for a kill", "POST", url + "kill", "evil.test", "http://evil.test", http.StatusMisdirectedRequest},
		{"a change without the token", "POST", "http://" + host + "/x/change", host, "http://" + host, http.StatusNotFound},
		{"a change by its address alone", "GET", url + "change", host, "", http.StatusMethodNotAllowed},
		{"another's share", "POST", url + "share", host, "https://evil.test", http.StatusForbidden},
		{"another's look ahead", "POST", url + "predict", host, "https://evil.test", http.StatusForbidden},
	} {
		req, err := http.NewRequest(c.method, c.url, strings.NewReader(`{"caller":"Main/ClientService","url":"http://app.sample-namespace"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d: %.100s", c.name, resp.StatusCode, c.want, body)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", c.name, csp)
		}
		if c.name == "its request" && !strings.Contains(string(body), `"differs":"`) {
			t.Errorf("a 503 where 200 is predicted is not said to differ: %s", body)
		}
	}
}

// ask posts a value as the page does and decodes the answer.
func ask(t *testing.T, url, path string, body, v any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://"+req.Host)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s: %s", path, resp.Status, text)
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		t.Fatal(err)
	}
}

// A change is predicted before it is made, made once for the version that its
// browser knows, and taken back.
func TestChange(t *testing.T) {
	known, ok := situation.Find("override-mesh")
	if !ok {
		t.Fatal("no situation override-mesh")
	}
	top, err := known.Config.Topology()
	if err != nil {
		t.Fatal(err)
	}
	l := quiet(top)
	url := serve(t, l)
	version, err := l.Made()
	if err != nil {
		t.Fatal(err)
	}
	type proposal struct {
		Version string        `json:"version"`
		Change  change.Change `json:"change"`
		Undo    bool          `json:"undo"`
	}
	var seen struct {
		Error    string         `json:"error"`
		Made     page.Made      `json:"made"`
		Effects  []page.Effect  `json:"effects"`
		Changing *page.Changing `json:"changing"`
	}
	offers := change.Offers(topology.NewIndex(top))
	i := slices.IndexFunc(offers, func(o change.Offer) bool { return o.Kind == change.RulePorts && !o.Out && o.To == "8080" })
	if i < 0 {
		t.Fatalf("no rule for 8080 among %+v", offers)
	}
	closed := offers[i].Change
	closed.To = ""
	ask(t, url, "predict", proposal{Version: version, Change: closed}, &seen)
	if len(seen.Effects) == 0 || seen.Effects[0].After.Status != 504 || seen.Effects[0].Before.Status != 200 || len(l.src.Changes) > 0 {
		t.Errorf("without the client's rule is predicted: %+v, and the lab has %+v", seen, l.src.Changes)
	}
	ask(t, url, "change", proposal{Version: version, Change: closed}, &seen)
	if seen.Changing == nil || len(seen.Changing.Made) != 1 || seen.Changing.Version == version || len(l.src.Changes) != 1 {
		t.Errorf("changed to %+v, the lab has %+v", seen.Changing, l.src.Changes)
	}
	seen.Error = ""
	ask(t, url, "change", proposal{Version: version, Change: closed}, &seen)
	if !strings.Contains(seen.Error, "changed meanwhile") || len(l.src.Changes) != 1 {
		t.Errorf("a change of what another browser changed: %q", seen.Error)
	}
	seen.Effects = nil
	now := seen.Changing.Version
	ask(t, url, "predict", proposal{Version: now, Undo: true}, &seen)
	if len(seen.Effects) == 0 || seen.Effects[0].After.Status != 200 {
		t.Errorf("undo is predicted to do %+v", seen.Effects)
	}
	ask(t, url, "change", proposal{Version: now, Undo: true}, &seen)
	if seen.Changing.Version != version || len(l.src.Changes) != 0 {
		t.Errorf("undo left %+v", l.src.Changes)
	}
	seen.Error = ""
	ask(t, url, "change", proposal{Version: version, Change: change.Change{Kind: change.Count, On: top.Services[0].ID, To: "1000"}}, &seen)
	if !strings.Contains(seen.Error, "from 0 to 20") {
		t.Errorf("a thousand tasks: %q", seen.Error)
	}
}

// While a request waits, another browser opens the page.
func TestPageDuringARequest(t *testing.T) {
	l := quiet(topologytest.Healthy().Topology)
	l.waits = make(chan struct{})
	url := serve(t, l)
	done := make(chan page.Answer)
	go func() {
		var a page.Answer
		ask(t, url, "send", map[string]string{"caller": "Main/ClientService", "url": "http://app.sample-namespace"}, &a)
		done <- a
	}()
	<-l.waits
	for _, path := range []string{"", "model"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%q: status %d", path, resp.StatusCode)
		}
	}
	l.waits <- struct{}{}
	if a := <-done; a.Seen == nil || a.Seen.Status != 503 {
		t.Errorf("the request that waited: %+v", a)
	}
}

// A body that is too long, or none of the address's, is refused.
func TestBodiesAreBounded(t *testing.T) {
	url := serve(t, quiet(topologytest.Healthy().Topology))
	long := `{"caller":"` + strings.Repeat("x", loopback.MaxBody) + `"}`
	for _, path := range []string{"send", "predict", "change", "kill", "share"} {
		for _, body := range []string{long, `{"other":1}`, `[`, ``} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", "http://"+req.Host)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s with %.20q: status %d", path, body, resp.StatusCode)
			}
		}
	}
}

// What somebody looks at becomes one file that asks nobody, in which the
// request stands, and in which text stays text.
func TestShare(t *testing.T) {
	url := serve(t, quiet(topologytest.Healthy().Topology))
	body := `{"caller":"Main/ClientService","answer":{"seen":{"url":"http://a","status":200,"body":"</script><script>x","hops":[],` +
		`"header":{"A\u202eb":["c\u202ed"]}}}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"share", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://"+req.Host)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	if strings.Count(doc, "<script") != 2 || !strings.Contains(doc, `"shown":`) {
		t.Errorf("the file has not the request, or more scripts than its own: %.3000s", doc)
	}
	for _, bad := range []string{`"live":true`, `"offers":[{`, "connect-src", "\u202e"} {
		if i := strings.Index(doc, bad); i >= 0 {
			t.Errorf("the file has %q: %s", bad, doc[max(0, i-100):i+100])
		}
	}
}

// Who connects again gets what he missed, once and in order; a lab that is
// gone is a state too.
func TestNothingIsLostOnReconnect(t *testing.T) {
	l := quiet(topologytest.Healthy().Topology)
	l.set(1, nil)
	url := serve(t, l)
	first := events(t, url, "", 1)
	l.set(2, nil)
	seen := events(t, url, first[0].id, 1)
	l.set(2, errors.New("the lab went away"))
	all := events(t, url, "", 3)
	rest := events(t, url, seen[0].id, 1)
	if rest[0] != all[2] || !strings.Contains(rest[0].data, "the lab went away") {
		t.Errorf("after event %s came %+v, want %+v", seen[0].id, rest[0], all[2])
	}
	for i, want := range []string{`"n":1`, `"n":2`, `"down":"the lab went away"`} {
		if !strings.Contains(all[i].data, want) {
			t.Errorf("event %d is %s, want %s in it", i, all[i].data, want)
		}
	}
}

type event struct{ id, data string }

// events reads n events behind the one with the id.
func events(t *testing.T, url, last string, n int) (out []event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var e event
	for sc := bufio.NewScanner(resp.Body); len(out) < n; {
		if !sc.Scan() {
			t.Fatalf("the stream ended after %d of %d events: %v", len(out), n, sc.Err())
		}
		if id, ok := strings.CutPrefix(sc.Text(), "id: "); ok {
			e.id = id
		} else if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
			e.data = data
			out = append(out, e)
		}
	}
	return out
}
