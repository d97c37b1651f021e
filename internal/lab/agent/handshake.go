package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// handshakes takes the connections of an ingress with TLS.
type handshakes struct {
	config *tls.Config
	stats  *stats
	limit  time.Duration // real; 0 for none
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// newHandshakes takes TLS 1.3 alone (section 4 of the semantics). A handshake
// may take as long as a connection may be idle: Envoy counts one as idle.
func newHandshakes(in Ingress, s *stats, limit time.Duration) (*handshakes, error) {
	offer := in.Protocol.NextProtocols()
	config, err := in.Certificate.Server(offer...)
	if err != nil {
		return nil, err
	}
	config.MinVersion = tls.VersionTLS13
	// Envoy goes on without ALPN when the two have no protocol in common, and
	// finds out by itself what it is spoken to in.
	without := config.Clone()
	without.NextProtos = nil
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.ContainsFunc(h.SupportedProtos, func(p string) bool { return slices.Contains(offer, p) }) {
			return nil, nil
		}
		return without, nil
	}
	h := &handshakes{config: config, stats: s, limit: limit}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h, nil
}

// over returns the connection with its handshake still to be done.
func (h *handshakes) over(c net.Conn) relay.Secured {
	return relay.Secured{Conn: tls.Server(c, h.config)}
}

// begin gives a connection to next once its handshake is done. One without is
// counted all the same.
func (h *handshakes) begin(c net.Conn, next func(net.Conn)) {
	h.wg.Go(func() {
		if t := h.over(c); h.finish(t) {
			next(t)
			return
		}
		h.stats.opened()
		h.stats.closed()
	})
}

// finish does the handshake and reports whether it came about. A connection on
// which it did not has ended.
func (h *handshakes) finish(t relay.Secured) bool {
	ctx, cancel := h.ctx, context.CancelFunc(func() {})
	if h.limit > 0 {
		ctx, cancel = context.WithTimeout(h.ctx, h.limit)
	}
	defer cancel()
	err := t.HandshakeContext(ctx)
	if err == nil {
		h.stats.handshakes.Add(1)
		return true
	}
	if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) && plain.Conn != nil && !speaksHTTP(plain.RecordHeader) {
		t.NetConn().Write(alertVersion)
	}
	c := h1.NewConn(t.NetConn())
	c.Discard() // read, so that the end is no reset
	c.Close()
	return false
}

// alertVersion is what Envoy's TLS library says to who speaks no TLS: a fatal
// alert, protocol_version. Only who seems to speak HTTP/1.1 gets no word.
var alertVersion = []byte{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46}

func speaksHTTP(start [5]byte) bool {
	return slices.ContainsFunc([]string{"GET ", "POST ", "HEAD ", "PUT ", "CONNE"}, func(method string) bool {
		return strings.HasPrefix(string(start[:]), method)
	})
}

// close ends the handshakes that are under way.
func (h *handshakes) close() {
	h.stop()
	h.wg.Wait()
}
