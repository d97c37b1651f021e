package h1

import "io"

// framing is how the end of a body is found.
type framing uint8

const (
	noBody framing = iota
	byLengthField
	byChunks
	byClose
)

// Body walks over the body of a message as it lies on the wire.
type Body struct {
	kind   framing
	left   int64 // of byLengthField
	chunks chunks
	done   bool
	n      int64
	drop   bool // trailers
	keep   bool // trailers, in kept
	kept   []byte
	// bare is set when Buffered and Next return the data alone, read by loose.
	bare  bool
	loose looseChunks
	err   error // to be returned once the data before it is taken
}

// RequestBody returns the body that follows a request's head.
func RequestBody(r *Request) Body {
	switch {
	case r.Chunked:
		return Body{kind: byChunks}
	case r.Length > 0:
		return Body{kind: byLengthField, left: r.Length}
	}
	return Body{done: true}
}

// NoBody returns the body of a message that has none.
func NoBody() Body { return Body{done: true} }

// ResponseBody returns the body that follows a response's head; head says
// whether it answers a HEAD request. RFC 9112 section 6.3.
func ResponseBody(r *Response, head bool) Body {
	switch {
	case head, r.Status < 200, r.Status == 204, r.Status == 304:
		return Body{done: true}
	case r.Chunked:
		return Body{kind: byChunks}
	case r.Length == 0:
		return Body{done: true}
	case r.Length > 0:
		return Body{kind: byLengthField, left: r.Length}
	}
	return Body{kind: byClose}
}

// Done reports whether the whole body was consumed.
func (b *Body) Done() bool { return b.done }

// Failed reports whether the body is bad behind what was consumed.
func (b *Body) Failed() bool { return b.err != nil }

// UntilClose reports whether only the end of the connection ends the body.
func (b *Body) UntilClose() bool { return b.kind == byClose }

// Left returns how many bytes are still to come when that is known, else -1.
func (b *Body) Left() int64 {
	switch {
	case b.done:
		return 0
	case b.kind == byLengthField:
		return b.left
	}
	return -1
}

// Bytes returns the size of what was consumed, framing included.
func (b *Body) Bytes() int64 { return b.n }

// Payload returns the size of what was consumed without framing and trailers.
func (b *Body) Payload() int64 {
	switch {
	case b.kind == byChunks && b.bare:
		return b.loose.payload
	case b.kind == byChunks:
		return b.chunks.payload
	}
	return b.n
}

// Bare makes Buffered and Next return the body's data without chunk framing
// and trailers. A chunked body is read in Envoy's grammar; limit bounds its
// trailer section.
func (b *Body) Bare(limit int) { b.bare, b.loose.limit = true, limit }

// DropTrailers makes the body end without the trailers that it has.
func (b *Body) DropTrailers() { b.drop = true }

// KeepTrailers makes Trailers return them.
func (b *Body) KeepTrailers() { b.keep = true }

// Trailers returns the lines of the trailer section so far, if they are kept.
func (b *Body) Trailers() []byte { return b.kept }

// Buffered consumes and returns what is already in c's buffer, maybe nothing.
// The bytes are as on the wire, chunk framing included, and valid until the
// next read from c.
func (b *Body) Buffered(c *Conn) ([]byte, error) {
	p := c.buf[c.r:c.w]
	if b.done || len(p) == 0 || b.err != nil {
		return nil, b.err
	}
	if b.bare && b.kind == byChunks {
		data, n, err := b.loose.take(p)
		c.r += n
		b.n += int64(n)
		b.done = b.loose.done
		if err != nil && len(data) > 0 {
			b.err, err = err, nil
		}
		return data, err
	}
	n := len(p)
	switch b.kind {
	case byLengthField:
		n = int(min(int64(n), b.left))
		b.left -= int64(n)
		b.done = b.left == 0
	case byChunks:
		var err error
		b.chunks.tail = -1
		inTrailers := b.chunks.state == inTrailer || b.chunks.state == atTrailerLF
		if n, b.done, err = b.chunks.scan(p); err != nil {
			return nil, err
		}
		switch {
		case b.keep && inTrailers:
			b.kept = append(b.kept, p[:n]...)
		case b.keep && b.chunks.tail >= 0:
			b.kept = append(b.kept, p[b.chunks.tail:n]...)
		}
		if b.drop {
			c.r += n
			b.n += int64(n)
			return b.withoutTrailers(p[:n], inTrailers), nil
		}
	}
	c.r += n
	b.n += int64(n)
	return p[:n], nil
}

var crlf = []byte("\r\n")

// withoutTrailers cuts the trailer section out of a piece of a chunked body;
// inTrailers says that the piece begins in it.
func (b *Body) withoutTrailers(p []byte, inTrailers bool) []byte {
	cut := b.chunks.tail
	if inTrailers {
		cut = 0
	}
	switch {
	case cut < 0:
		return p
	case !b.done:
		return p[:cut]
	case len(p) < cut+len(crlf):
		return crlf // the empty line itself came in two pieces
	}
	return append(p[:cut], crlf...)
}

// Next returns the next piece of the body, reading from c when nothing is
// buffered. It returns nothing once Done. A connection that ends before the
// body does gives io.ErrUnexpectedEOF.
func (b *Body) Next(c *Conn) ([]byte, error) {
	if b.done || b.err != nil {
		return nil, b.err
	}
	if c.r == c.w {
		if b.kind != byLengthField || b.left > smallBuffer {
			c.widen()
		}
		if err := c.fill(); err != nil {
			if b.kind == byClose && (err == io.EOF || b.bare && !IsTimeout(err)) {
				b.done = true // to Envoy a reset is an end like any other
				return nil, nil
			}
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return b.Buffered(c)
}

// chunks is the state of a walk over a chunked body. The walk is strict:
// line ends are CRLF, sizes are hexadecimal digits, extensions and trailers
// hold no control characters, and a trailer is a field with a name.
type chunks struct {
	state  chunkState
	size   int64
	digits int
	line   int  // length of the current trailer line
	named  bool // its name has ended
	extra  int  // bytes of extensions and trailers so far
	// payload counts the data; tail is where the trailer section begins in what
	// is being scanned, if it does.
	payload int64
	tail    int
}

type chunkState uint8

const (
	inSize    chunkState = iota
	afterSize            // white space that some servers pad sizes with
	inExtension
	atSizeLF
	inData
	atDataCR
	atDataLF
	inTrailer
	atTrailerLF
)

// maxExtra bounds extensions and trailers of one body together.
const maxExtra = 16 << 10

// scan walks over p and returns how many of its bytes belong to the body and
// whether the body ended with them.
func (s *chunks) scan(p []byte) (n int, done bool, err error) {
	for n < len(p) {
		if s.state == inData {
			k := int(min(s.size, int64(len(p)-n)))
			n += k
			s.payload += int64(k)
			if s.size -= int64(k); s.size == 0 {
				s.state = atDataCR
			}
			continue
		}
		was := s.state
		if done, err = s.step(p[n]); err != nil {
			return 0, false, err
		}
		n++
		if s.state == inTrailer && was == atSizeLF {
			s.tail = n
		}
		if done {
			return n, true, nil
		}
	}
	return n, false, nil
}

func (s *chunks) step(c byte) (done bool, err error) {
	switch s.state {
	case inSize:
		return false, s.sizeByte(c)
	case afterSize:
		switch c {
		case '\r':
			s.state = atSizeLF
		case ' ', '\t':
			return false, s.extraByte(c)
		default:
			return false, bad("chunk size")
		}
	case inExtension:
		if c == '\r' {
			s.state = atSizeLF
			return false, nil
		}
		return false, s.extraByte(c)
	case atSizeLF:
		if c != '\n' {
			return false, bad("chunk size line")
		}
		s.state = inData
		if s.size == 0 {
			s.state, s.line, s.named = inTrailer, 0, false
		}
		s.digits = 0
	case atDataCR:
		if c != '\r' {
			return false, bad("chunk longer than its size")
		}
		s.state = atDataLF
	case atDataLF:
		if c != '\n' {
			return false, bad("chunk longer than its size")
		}
		s.state = inSize
	case inTrailer:
		return false, s.trailerByte(c)
	case atTrailerLF:
		if c != '\n' {
			return false, bad("trailer line")
		}
		if s.line == 0 {
			return true, nil
		}
		s.state, s.line, s.named = inTrailer, 0, false
	}
	return false, nil
}

// trailerByte takes a byte of the trailer section but its line ends' LF. A line
// that continues the one before it has no name, and is refused.
func (s *chunks) trailerByte(c byte) error {
	switch {
	case c == '\r' && (s.line == 0 || s.named):
		s.state = atTrailerLF
		return nil
	case !s.named && c == ':' && s.line > 0:
		s.named = true
	case !s.named && !isToken[c]:
		return bad("trailer line")
	}
	s.line++
	return s.extraByte(c)
}

func (s *chunks) sizeByte(c byte) error {
	var d byte
	switch {
	case '0' <= c && c <= '9':
		d = c - '0'
	case 'a' <= c && c <= 'f':
		d = c - 'a' + 10
	case 'A' <= c && c <= 'F':
		d = c - 'A' + 10
	case c == '\r' && s.digits > 0:
		s.state = atSizeLF
		return nil
	case c == ';' && s.digits > 0:
		s.state = inExtension
		return nil
	case (c == ' ' || c == '\t') && s.digits > 0:
		s.state = afterSize
		return nil
	default:
		return bad("chunk size")
	}
	if s.digits == 0 {
		s.size = 0
	}
	if s.digits++; s.digits > 15 {
		return bad("chunk size")
	}
	s.size = s.size<<4 | int64(d)
	return nil
}

func (s *chunks) extraByte(c byte) error {
	if s.extra++; s.extra > maxExtra {
		return &ParseError{Status: 431, Text: "chunk extensions and trailers too large"}
	}
	if !isValue[c] {
		return bad("chunk extension or trailer")
	}
	return nil
}

// Dechunker takes the framing off a chunked body whose bytes have passed a
// Body already and are therefore well-formed. The zero value is ready.
type Dechunker struct{ chunks chunks }

// Append appends the payload in p to dst; trailers are dropped.
func (d *Dechunker) Append(dst, p []byte) []byte {
	for len(p) > 0 {
		if d.chunks.state == inData {
			k := int(min(d.chunks.size, int64(len(p))))
			dst = append(dst, p[:k]...)
			d.chunks.scan(p[:k])
			p = p[k:]
			continue
		}
		d.chunks.step(p[0])
		p = p[1:]
	}
	return dst
}
