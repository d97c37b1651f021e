package h2

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/hoplab/hoplab/internal/lab/h1"
)

// tunnel carries a request to upgrade its connection as RFC 8441 has it: a CONNECT
// that names the protocol, and 200 for 101. Whether the upstream has said that it takes
// that is not asked; an Envoy does not ask either.
func tunnel(w http.ResponseWriter, r *http.Request, trip roundTrip) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel() // and the stream, if it is still there
	protocol := r.Header.Get("Upgrade")
	out := outgoing(r).WithContext(ctx)
	out.Header.Set(h1.EscapedProtocol, protocol)
	body, in := io.Pipe()
	defer in.Close()
	out.Body, out.ContentLength = body, -1
	resp, err := trip(out)
	switch {
	case err != nil:
		fail(w, err, true)
		return
	case resp.StatusCode != http.StatusOK:
		in.Close()
		deliver(w, resp, true)
		return
	}
	defer resp.Body.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: %s\r\n", protocol)
	resp.Header.Write(conn)
	io.WriteString(conn, "\r\n")
	go func() {
		defer cancel()
		io.Copy(in, buffered)
	}()
	io.Copy(conn, resp.Body)
}
