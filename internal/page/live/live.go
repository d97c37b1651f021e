// Package live serves the page of a running lab on a loopback address: requests
// are predicted and sent, the deployment is changed, and what the lab counts is
// streamed.
//
// The address holds a token, and Host and Origin must be the server's own, so
// that neither another user's program that scans ports nor a web page that the
// user has open can call the lab.
package live

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/page"
	"github.com/hoplab/hoplab/internal/page/loopback"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/topology"
)

// Lab is the running lab. Its methods are safe for concurrent use.
type Lab interface {
	Status() (*lab.Status, error)
	// Trace bounds the call with limit, real time.
	Trace(c lab.Caller, url string, limit time.Duration) (lab.Trace, error)
	// Made stands for what the lab is made of now: another text, another deployment.
	Made() (string, error)
	// Source reads what the lab is made of.
	Source(context.Context) (*Source, error)
	// Change makes the lab that of its source with these changes and no others.
	Change(context.Context, []change.Change) error
	// Kill kills one task of the service.
	Kill(topology.ID) error
}

// Source is what a lab is made of: a deployment as it was read, the changes that
// were made of it, and what is assumed where it says nothing.
type Source struct {
	Read    *topology.Topology
	Changes []change.Change
	Options reach.Options
}

// Server serves one lab's page.
type Server struct {
	lab     Lab
	history *history

	mu    sync.Mutex // one request or change at a time, so that what is counted is its own
	drawn *drawn
	last  atomic.Pointer[page.Model] // of drawn, for who does not wait for mu
}

// New returns the server of a lab. It reads what the lab is made of.
func New(ctx context.Context, l Lab) (*Server, error) {
	s := &Server{lab: l, history: newHistory()}
	return s, s.reread(ctx)
}

// Serve answers browsers until ctx ends, and watches the lab every second. ready
// is told the page's address. port 0 is any that is free.
func (s *Server) Serve(ctx context.Context, port string, ready func(url string)) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{token}/{$}", s.page)
	mux.HandleFunc("GET /{token}/model", s.model)
	mux.HandleFunc("GET /{token}/events", s.events)
	mux.HandleFunc("POST /{token}/send", loopback.JSON(s.send))
	mux.HandleFunc("POST /{token}/predict", loopback.JSON(s.predict))
	mux.HandleFunc("POST /{token}/change", loopback.JSON(s.change))
	mux.HandleFunc("POST /{token}/kill", loopback.JSON(s.kill))
	mux.HandleFunc("POST /{token}/share", s.share)
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching.Go(func() { s.watch(ctx) })
	return loopback.Serve(ctx, mux, port, ready)
}
