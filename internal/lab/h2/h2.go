// Package h2 lets the HTTP/1.1 hops of the lab carry HTTP/2 and gRPC: an
// HTTP/2 connection on either side is turned into HTTP/1.1 connections in
// memory, so that what a hop decides (routes, retries, timeouts, header
// fields, local replies) is written once. Streams stay streams and trailers
// are carried over, which is all that gRPC needs. It costs more per request
// than HTTP/1.1 does; the lab's measurements are of HTTP/1.1.
package h2

import (
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// ConnHandler serves an HTTP/1.1 connection, as relay.Server.Take does, and
// returns at once.
type ConnHandler func(c net.Conn, peer, local net.Addr)

// Peer is the address of a client that speaks HTTP/2 with the hop.
type Peer struct{ net.Addr }

// quiet discards net/http's log: a lab breaks connections on purpose.
var quiet = log.New(io.Discard, "", 0)

// roundTrip carries out a request.
type roundTrip func(*http.Request) (*http.Response, error)

// wantTrailers says so in a gRPC request that has come through a hop which has dropped
// that with the other connection fields.
func wantTrailers(r *http.Request) {
	if IsGRPC(r.Header.Get("Content-Type")) {
		r.Header.Set("Te", "trailers")
	}
}

// forward sends r on and the response back, streaming both ways, with the
// response's trailers and those of the request that its Trailer field
// announces; net/http shows no others. An upstream that fails before its
// response aborts the exchange.
func forward(w http.ResponseWriter, r *http.Request, trip roundTrip, explain bool) {
	out := outgoing(r)
	if len(r.Trailer) > 0 {
		out.Trailer = r.Trailer // filled in when the body has been read
		out.ContentLength = -1  // HTTP/1.1 has trailers in chunked bodies only
		out.Header.Del("Content-Length")
	} else if r.ContentLength == 0 {
		out.Body = nil
	}
	resp, err := trip(out)
	if err != nil {
		fail(w, err, explain)
		return
	}
	deliver(w, resp, explain)
}

// outgoing returns r as a request to send, without what concerns its connection.
func outgoing(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme = "", "http"
	if out.URL.Host = r.Host; out.URL.Host == "" {
		out.URL.Host = "unnamed"
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header.Set("User-Agent", "") // or the transport would name itself
	}
	for _, h := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		out.Header.Del(h)
	}
	return out
}

// fail tells the hop of an upstream that failed before its response.
func fail(w http.ResponseWriter, err error, explain bool) {
	text, _ := streamError(err)
	if !explain || text == "" {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set(h1.StreamErrorName, text)
	w.WriteHeader(http.StatusBadGateway)
}

// deliver sends a response back.
func deliver(w http.ResponseWriter, resp *http.Response, explain bool) {
	// Closing waits for a request that is not complete, and this response is.
	defer func() { go resp.Body.Close() }()
	h := w.Header()
	for k, v := range resp.Header {
		switch k {
		case "Connection", "Keep-Alive", "Transfer-Encoding":
			continue
		}
		if own, hidden := strings.CutPrefix(strings.ToLower(k), h1.Escape); hidden && !explain {
			k = http.CanonicalHeaderKey(own)
			h.Del(k) // which net/http may have made of it
		}
		h[k] = v
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = nil // left to the next hop
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	announced := slices.Sorted(maps.Keys(resp.Trailer))
	if len(announced) > 0 {
		h["Trailer"] = []string{strings.Join(announced, ",")}
	}
	switch length := h.Get(h1.StreamLengthName); {
	case length == h1.NoLength:
		h.Del(h1.StreamLengthName)
		h["Content-Length"] = nil // and net/http says none
	case length != "":
		h.Del(h1.StreamLengthName)
		h.Set("Content-Length", length) // said again, in HTTP/2
	case len(resp.Trailer) > 0 && h.Get("Content-Length") != "":
		if explain {
			h.Set(h1.StreamLengthName, h.Get("Content-Length"))
		}
		h.Del("Content-Length") // HTTP/1.1 has trailers in chunked bodies only
	case explain && resp.ContentLength == 0 && h.Get("Content-Length") == "":
		h.Set(h1.StreamLengthName, h1.NoLength)
	}
	w.WriteHeader(resp.StatusCode)
	flusher := http.NewResponseController(w)
	if resp.ContentLength != 0 {
		flusher.Flush() // a stream's client waits for the head
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 && (err == nil || err == io.EOF) { // with any other error they are not the response's
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
			flusher.Flush()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	for k, v := range resp.Trailer {
		switch {
		case len(v) == 0: // announced, and not there
		case slices.Contains(announced, k):
			h[k] = v
		default:
			h[http.TrailerPrefix+k] = v
		}
	}
}

// IsGRPC reports whether a content type is gRPC's.
func IsGRPC(contentType string) bool {
	return contentType == "application/grpc" || strings.HasPrefix(contentType, "application/grpc+") || strings.HasPrefix(contentType, "application/grpc;")
}
