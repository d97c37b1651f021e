package h1

import (
	"fmt"
	"io"
)

// Field is one header field as it came. The slices belong to the
// connection's buffer and are valid until the next read from it.
type Field struct {
	ID    ID
	Name  []byte
	Value []byte // without surrounding white space
	line  []byte // the whole line with its CRLF
}

// Line returns the field's line as it came, CRLF included.
func (f Field) Line() []byte { return f.line }

// Head is what requests and responses have in common.
type Head struct {
	Minor  int // of HTTP/1.Minor
	Fields []Field
	// Length is Content-Length, -1 when absent.
	Length  int64
	Chunked bool
	// Close and KeepAlive are the connection options of that name.
	Close, KeepAlive bool
	// Upgrade is set when Connection lists "upgrade" and Upgrade names a protocol.
	Upgrade bool
	// Bytes is the size of the head on the wire.
	Bytes    int
	upgrades int // bit 0: connection option seen, bit 1: field seen
	lengths  int
	length   []byte // Content-Length as it came
	codings  int
}

// Persistent reports whether the connection may carry another message: the
// sender keeps it open, and there is no doubt where this message ends. A
// chunked one of HTTP/1.0 is in doubt, since a recipient of that version reads
// until the end of the connection (RFC 9112 section 6.1).
func (h *Head) Persistent() bool {
	if h.Minor == 0 && h.Chunked {
		return false
	}
	return !h.Close && (h.Minor >= 1 || h.KeepAlive)
}

// Get returns the first value of a field by ID, or nil.
func (h *Head) Get(id ID) []byte {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			return h.Fields[i].Value
		}
	}
	return nil
}

// Find returns the first value of a field by ID, and whether there is one.
func (h *Head) Find(id ID) ([]byte, bool) {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			return h.Fields[i].Value, true
		}
	}
	return nil, false
}

// Set replaces the value of the first field with an ID.
func (h *Head) Set(id ID, value []byte) {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			h.Fields[i].Value = value
			return
		}
	}
}

// Remove marks the fields of that name, in lower case, as Gone.
func (h *Head) Remove(name []byte) {
	for i := range h.Fields {
		if equalFold(h.Fields[i].Name, string(name)) {
			h.Fields[i].ID = Gone
		}
	}
}

// Request is a request head.
type Request struct {
	Head
	Method []byte
	// Target is the request target in origin form ("/path?query") or "*". An
	// absolute form is split into Host and Target.
	Target []byte
	Host   []byte // of the Host field, or of an absolute target, which wins
	Hosts  int    // Host fields seen
	// Expect100 is set when the client waits for 100 (Continue).
	Expect100 bool
	// Absolute is set when the target came in absolute form.
	Absolute bool
	// Scheme is what the target says or, of a stream, its :scheme if it is not http;
	// else nil.
	Scheme []byte
}

// Response is a response head.
type Response struct {
	Head
	Status int
	Reason []byte
}

// Limits bound a head.
type Limits struct {
	Head   int // bytes of the whole head
	Line   int // bytes of the request line, 0 for no limit of its own
	Field  int // bytes of one field, 0 for no limit of its own
	Fields int // number of fields
	// Grammar is what is read as HTTP/1.1.
	Grammar Grammar
	// Join makes a Strict reader join fields as Envoy's grammar does.
	Join bool
	// AnyMethod lets every method pass that is a token, as those of HTTP/2 are.
	AnyMethod bool
	// Escaped makes a reader take requests as the HTTP/2 codecs write them.
	Escaped bool
}

// ParseError is a message that must be refused; Status says how.
type ParseError struct {
	Status int
	Text   string
}

func (e *ParseError) Error() string { return fmt.Sprintf("malformed HTTP message: %s", e.Text) }

func bad(format string, args ...any) error {
	return &ParseError{Status: 400, Text: fmt.Sprintf(format, args...)}
}

// ReadRequest reads the next request head into req, whose slices are valid
// until the next read from c. It returns io.EOF when the peer closed before
// the first byte, and a *ParseError for a head that must be refused.
func (c *Conn) ReadRequest(req *Request, lim Limits) error {
	if lim.Grammar == Envoy {
		return c.readRequestEnvoy(req, lim)
	}
	head, err := c.scanHead(lim)
	if err != nil {
		return err
	}
	*req = Request{Head: Head{Fields: req.Fields[:0], Length: -1, Bytes: len(head)}}
	line := head[:c.lines[0]-2]
	if lim.Line > 0 && len(line) > lim.Line {
		return &ParseError{Status: 414, Text: "request line too long"}
	}
	if err := req.parseLine(line); err != nil {
		return err
	}
	if err := req.parseFields(head, c.lines, lim); err != nil {
		return err
	}
	if lim.Escaped {
		if err := req.unescape((*Head).noteStrict); err != nil {
			return err
		}
	}
	if lim.Join {
		req.join(&inlineInRequests)
	}
	return req.settle()
}

// ReadResponse reads the next response head into resp; see ReadRequest.
func (c *Conn) ReadResponse(resp *Response, lim Limits) error {
	if lim.Grammar == Envoy {
		return c.readResponseEnvoy(resp, lim)
	}
	head, err := c.scanHead(lim)
	if err != nil {
		return err
	}
	*resp = Response{Head: Head{Fields: resp.Fields[:0], Length: -1, Bytes: len(head)}}
	if err := resp.parseLine(head[:c.lines[0]-2]); err != nil {
		return err
	}
	if err := resp.parseFields(head, c.lines, lim); err != nil {
		return err
	}
	if lim.Join {
		resp.join(&inlineInResponses)
	}
	if resp.Chunked && resp.lengths > 0 {
		return bad("both Transfer-Encoding and Content-Length")
	}
	return nil
}

// scanHead reads until a whole head is buffered, consumes it and returns it,
// with the end of each of its lines (the empty one excluded) in c.lines.
func (c *Conn) scanHead(lim Limits) ([]byte, error) {
	c.lines, c.seen = c.lines[:0], 0
	start := 0 // of the current line
	for {
		b := c.buf[c.r:c.w]
		for c.seen < len(b) {
			i := indexLF(b[c.seen:])
			if i < 0 {
				c.seen = len(b)
				break
			}
			end := c.seen + i + 1
			if end-start < 2 || b[end-2] != '\r' {
				return nil, bad("a line ends in a bare LF")
			}
			c.seen = end
			switch {
			case end-start > 2:
				c.lines = append(c.lines, end)
			case len(c.lines) == 0: // an empty line before the message: RFC 9112 section 2.2
				c.r += end
				b = c.buf[c.r:c.w]
				c.seen, end = 0, 0
			default:
				if end > lim.Head {
					return nil, &ParseError{Status: 431, Text: "head too large"}
				}
				c.r += end
				return b[:end], nil
			}
			start = end
		}
		if len(b) > lim.Head {
			return nil, &ParseError{Status: 431, Text: "head too large"}
		}
		if err := c.fill(); err != nil {
			if err == io.EOF && c.r < c.w {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}
