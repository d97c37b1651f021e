package h2_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// upstreamOf is an upstream that says these settings and is told of each frame that a
// client sends, one connection's by one goroutine. The framer is for answers to that
// frame, also later and from another goroutine.
func upstreamOf(t *testing.T, on func(*http2.Framer, http2.Frame), settings ...http2.Setting) (addr string) {
	return listen(t, func(c net.Conn) {
		go func() {
			defer c.Close()
			io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
			fr := http2.NewFramer(c, c)
			fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			fr.WriteSettings(settings...)
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					return
				}
				if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
					fr.WriteSettingsAck()
				}
				on(http2.NewFramer(c, nil), f)
			}
		}()
	})
}

// writeHead sends a header block of these names and values.
func writeHead(fr *http2.Framer, stream uint32, end bool, fields ...string) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: end})
}
