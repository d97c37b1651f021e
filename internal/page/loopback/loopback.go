// Package loopback serves a page on an address of this machine to who knows its
// token, and to no other page.
package loopback

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/page"
)

// MaxBody bounds the body of a request, in bytes.
const MaxBody = 256 << 10

// bodyWithin is how long a browser may take to send a body.
var bodyWithin = 10 * time.Second // shorter in tests

// Serve answers what mux has below /{token}/ until ctx ends. ready is told the
// page's address, the token in it. port 0 is any that is free.
func Serve(ctx context.Context, mux *http.ServeMux, port string, ready func(url string)) error {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fail.Newf(fail.Environment, "choose another --port", "the page's address: %w", err)
	}
	token := rand.Text()
	srv := &http.Server{Handler: guarded(mux, ln.Addr().String(), token), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		IdleTimeout: time.Minute, // also of who has no token
		BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	ready("http://" + ln.Addr().String() + "/" + token + "/")
	if err := srv.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// guarded answers below the token, to requests that name the server as it is and
// come from no other page.
func guarded(next http.Handler, host, secret string) http.Handler {
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
		case subtle.ConstantTimeCompare([]byte(token), []byte(secret)) != 1:
			http.Error(w, "not found; the command that serves the page prints its whole address", http.StatusNotFound)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
			next.ServeHTTP(w, r)
		}
	})
}

// JSON answers a request whose body is a Q with an A. An error is an answer with
// what went wrong and the next step, {"error", "hint"}: the page shows it.
func JSON[Q, A any](answer func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, ok := Read[Q](w, r)
		if !ok {
			return
		}
		a, err := answer(r.Context(), q)
		if err != nil {
			Write(w, map[string]string{"error": err.Error(), "hint": fail.HintOf(err)})
			return
		}
		Write(w, a)
	}
}

// Read reads the body as a Q, or answers that it is none.
func Read[Q any](w http.ResponseWriter, r *http.Request) (q Q, ok bool) {
	// A deadline for the body alone: one for the connection would end answers that
	// take long. It stays after an error, or the server would wait for the rest.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyWithin)) // an error shows at the read
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		http.Error(w, "the body is not what this address takes as JSON", http.StatusBadRequest)
		return q, false
	}
	_ = connection.SetReadDeadline(time.Time{})
	return q, true
}

// Write answers with a value as JSON.
func Write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a browser that went away is nobody's error
}
