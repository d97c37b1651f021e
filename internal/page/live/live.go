// Package live serves the page of a running lab on a loopback address: requests
// are predicted and sent, and what the lab counts is streamed.
//
// The address holds a token, and Host and Origin must be the server's own, so
// that neither another user's program that scans ports nor a web page that the
// user has open can call the lab.
package live

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/reach"
)

// Lab is the running lab. Its methods are safe for concurrent use.
type Lab interface {
	Status() (*lab.Status, error)
	// Curl bounds the call with limit, real time.
	Curl(c lab.Caller, url string, limit time.Duration) (call.Observation, error)
}

// Server serves one lab's page.
type Server struct {
	lab       Lab
	predictor *reach.Predictor
	token     string
	document  []byte
	history   *history

	mu      sync.Mutex // one request at a time, so that what is counted is its own
	drawing *page.Drawing
}

// New returns the server of a lab that runs what is drawn.
func New(l Lab, p *reach.Predictor, d *page.Drawing) (*Server, error) {
	d.Model.Live = true
	var out strings.Builder
	if err := page.HTML(&out, d.Model); err != nil {
		return nil, err
	}
	return &Server{lab: l, predictor: p, token: rand.Text(), document: []byte(out.String()), history: newHistory(), drawing: d}, nil
}

// Serve answers browsers until ctx ends, and watches the lab every second. ready
// is told the page's address. port 0 is any that is free.
func (s *Server) Serve(ctx context.Context, port string, ready func(url string)) error {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fail.Newf(fail.Environment, "choose another --port", "the page's address: %w", err)
	}
	srv := &http.Server{Handler: s.handler(ln.Addr().String()), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	defer watching.Wait()
	ready("http://" + ln.Addr().String() + "/" + s.token + "/")
	if err := srv.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// handler answers below the token, to requests that name the server as it is
// and come from no other page.
func (s *Server) handler(host string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{token}/{$}", s.page)
	mux.HandleFunc("GET /{token}/events", s.events)
	mux.HandleFunc("POST /{token}/send", s.send)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Content-Security-Policy", page.Policy(true)+"; frame-ancestors 'none'")
		token, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		origin := r.Header.Get("Origin")
		switch {
		case r.Host != host:
			http.Error(w, "this server has another name", http.StatusMisdirectedRequest)
		case origin != "" && origin != "http://"+host, r.Method == http.MethodPost && origin == "":
			http.Error(w, "requests of other pages are not answered", http.StatusForbidden)
		case subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1:
			http.Error(w, "not found; hoplab lab page prints the page's whole address", http.StatusNotFound)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(s.document) // a browser that went away is nobody's error
}

func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	var q question
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10)).Decode(&q); err != nil {
		http.Error(w, "expected a caller and a URL as JSON", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.ask(q)
	if err != nil {
		a = answer{Error: err.Error(), Hint: fail.HintOf(err)}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a)
}
