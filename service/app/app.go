package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The evidence headers, on every response: the address that the request came
// from as this process saw it, without port, and this instance's name.
const (
	peerHeader = "X-Hoplab-Peer"
	appHeader  = "X-Hoplab-App"
	spinHeader = "X-Hoplab-Spin-Us"
	seenPrefix = "X-Hoplab-Seen-"
)

// statusClientGone is what nginx logs when the client left before the answer.
const statusClientGone = 499

var noContext = context.Background() // slog wants one; requests are logged after theirs has ended

type app struct {
	cfg      config
	logger   *slog.Logger   // nil: no access log
	stopping chan struct{}  // closed when the server is told to stop
	lines    sync.WaitGroup // access-log lines that were begun and not yet written
}

func (app *app) handler() http.Handler {
	if app.cfg.proxyTo != nil {
		return app.evidence(app.proxy())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", app.hello)
	mux.HandleFunc("POST /{$}", app.hello)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "alive\n") })
	mux.HandleFunc("GET /readyz", app.ready)
	mux.HandleFunc("GET /api/v1/health_check", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /events", app.events)
	mux.HandleFunc("GET /socket", app.socket)
	mux.HandleFunc("GET /head", app.head)
	return app.evidence(mux)
}

// events is a stream of server-sent events that goes on until its client leaves.
func (app *app) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(w, "data: %d\n\n", n); err != nil || out.Flush() != nil || !sleep(r.Context(), app.cfg.events) {
			return
		}
	}
}

// socket takes any upgrade and then sends a line at each event.
func (app *app) socket(w http.ResponseWriter, r *http.Request) {
	to := r.Header.Get("Upgrade")
	if to == "" {
		text(w, http.StatusUpgradeRequired, "this path wants an Upgrade\n")
		return
	}
	c, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		text(w, http.StatusNotImplemented, err.Error()+"\n")
		return
	}
	defer c.Close()
	fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", to)
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(buf, "%d\n", n); err != nil || buf.Flush() != nil {
			return
		}
		select {
		case <-app.stopping:
			return
		case <-time.After(app.cfg.events):
		}
	}
}

// head answers with the fields of the request's head, behind a prefix.
func (app *app) head(w http.ResponseWriter, r *http.Request) {
	for k, v := range r.Header {
		w.Header()[seenPrefix+k] = v
	}
	text(w, http.StatusOK, r.Host+"\n")
}

// evidence adds the evidence headers, waits as DELAY says, and keeps the
// access log's line.
func (app *app) evidence(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r.Context())
		if c == nil { // not started by serve
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set(peerHeader, c.peer)
		w.Header().Set(appHeader, app.cfg.instance)
		cw := &countingWriter{ResponseWriter: w, status: http.StatusOK}
		line := begin(r, c)
		if d := app.cfg.delay[r.URL.Path]; d > 0 && !sleep(r.Context(), d) {
			cw.status = statusClientGone
		} else {
			next.ServeHTTP(cw, r)
		}
		if app.logger != nil {
			app.finish(line, c, cw.status, cw.body, r.ProtoMajor == 2)
		}
	})
}

// hello answers once the whole request is there. One that breaks off has no
// answer: its sender is gone.
func (app *app) hello(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	if app.cfg.spin > 0 {
		var took time.Duration
		if app.cfg.spinShare >= 1 || rand.Float64() < app.cfg.spinShare {
			took = spin(app.cfg.spin)
		}
		w.Header().Set(spinHeader, strconv.FormatFloat(float64(took.Nanoseconds())/1e3, 'f', 1, 64))
	}
	text(w, app.cfg.status, app.cfg.hello)
}

// spin keeps one core busy for at least d and returns what it took. A sleep
// would be useless for tests: its real length is up to a millisecond longer.
func spin(d time.Duration) time.Duration {
	start := time.Now()
	for {
		if took := time.Since(start); took >= d {
			return took
		}
	}
}

// sleep waits for d and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

type countingWriter struct {
	http.ResponseWriter
	status int
	body   int64
}

func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.body += int64(n)
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func text(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
