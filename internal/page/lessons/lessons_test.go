package lessons_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/learn"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/page/lessons"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

var service string // the measured app

// TestMain lets the lab start this binary as its nodes.
func TestMain(m *testing.M) {
	os.Exit(labtest.WithService(m, &service))
}

// serve serves the lessons and returns their address.
func serve(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	at, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- lessons.New(learn.Options{App: []string{service}}).Serve(ctx, "0", func(url string) { at <- url })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return <-at
}

// ask posts a body as the page does, from the origin given.
func ask(t *testing.T, url, path, origin, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// Every lesson and every situation can be taken: with its own texts, a map, and,
// where a request is sent, the places where it can stop.
func TestAllCanBeTaken(t *testing.T) {
	url := serve(t)
	origin := strings.Join(strings.Split(url, "/")[:3], "/")
	ids := map[string]string{} // to what the text must have
	for _, l := range learn.All() {
		ids[l.ID] = l.Question
	}
	for _, s := range situation.All() {
		ids["situation:"+s.Name] = s.What
	}
	requests := 0
	for id, want := range ids {
		body, err := json.Marshal(map[string]string{"id": id})
		if err != nil {
			t.Fatal(err)
		}
		_, text := ask(t, url, "take", origin, string(body))
		var got struct {
			Error    string
			Question string
			Story    []string
			Map      page.Map
			Places   []page.Place
			Request  *struct{ Caller, URL string }
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if got.Error != "" || !strings.Contains(got.Question+strings.Join(got.Story, " "), want) || len(got.Map.Hosts) < 2 {
			t.Errorf("%s: %.600s", id, text)
		}
		if got.Request == nil {
			continue
		}
		requests++
		on := map[string]bool{}
		for _, h := range got.Map.Hosts {
			on[h.ID] = true
		}
		if len(got.Places) < 3 || got.Places[0].Part != "client" || got.Request.Caller == "" {
			t.Errorf("%s: %+v is asked, places %+v", id, got.Request, got.Places)
		}
		for _, p := range got.Places {
			if !on[p.Host] {
				t.Errorf("%s: %+v is not on the map", id, p)
			}
		}
	}
	if requests < len(ids)*3/4 {
		t.Errorf("only %d of %d send a request", requests, len(ids))
	}
	for _, bad := range []string{`{"id":"none"}`, `{"id":""}`} {
		if _, text := ask(t, url, "take", origin, bad); !strings.Contains(text, "there is no lesson") {
			t.Errorf("%s: %s", bad, text)
		}
	}
	if _, text := ask(t, url, "run", origin, `{"id":"three-ports","choice":4}`); !strings.Contains(text, "no choice 4") {
		t.Errorf("a choice that there is not: %s", text)
	}
}

// No other page, and nobody without the token, starts a lab.
func TestStrangers(t *testing.T) {
	url := serve(t)
	origin := strings.Join(strings.Split(url, "/")[:3], "/")
	for _, c := range []struct {
		url, origin string
		want        int
	}{
		{url, "https://evil.test", http.StatusForbidden}, {url, "", http.StatusForbidden}, {origin + "/x/", origin, http.StatusNotFound},
	} {
		for _, path := range []string{"run", "take"} {
			if status, text := ask(t, c.url, path, c.origin, `{"id":"three-ports"}`); status != c.want {
				t.Errorf("%s from %q: status %d, %.100s", path, c.origin, status, text)
			}
		}
	}
}

// TestTakenByClicking takes a lesson to its end in a browser, one that AWS
// refuses, and a situation.
func TestTakenByClicking(t *testing.T) {
	layer.Full(t, "needs a browser, starts labs")
	if found := labtest.Drive(t, "drive.mjs", map[string]string{"browser": labtest.Driven(t), "url": serve(t)}); found != "" {
		t.Error(found)
	}
}
