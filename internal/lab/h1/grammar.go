package h1

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"time"
)

// Grammar is what a reader takes for HTTP/1.1.
type Grammar uint8

const (
	// Strict refuses everything on which two implementations might disagree.
	Strict Grammar = iota
	// Envoy reads what the HTTP/1 codec of Envoy 1.40 reads, and refuses what it
	// refuses: lines may end in LF, fields may be folded, a request line may be
	// parted by any white space, methods come from a list, and fields of which
	// Envoy knows one value are joined when they come twice. The grammar was
	// found by asking Envoy; internal/test/parity asks again.
	Envoy
)

// readRequestEnvoy is ReadRequest in Envoy's grammar.
func (c *Conn) readRequestEnvoy(req *Request, lim Limits) error {
	head, err := c.scanHeadEnvoy(lim, true)
	if err != nil {
		return err
	}
	*req = Request{Head: Head{Fields: req.Fields[:0], Length: -1, Bytes: len(head)}}
	if err := req.parseLineEnvoy(head[:c.lines[0]], lim); err != nil {
		return err
	}
	if err := req.parseFieldsEnvoy(head, c.lines); err != nil {
		return err
	}
	if lim.Escaped {
		if err := req.unescape((*Head).noteEnvoy); err != nil {
			return err
		}
	}
	return req.settleEnvoy(lim)
}

// readResponseEnvoy is ReadResponse in Envoy's grammar.
func (c *Conn) readResponseEnvoy(resp *Response, lim Limits) error {
	head, err := c.scanHeadEnvoy(lim, false)
	if err != nil {
		return err
	}
	*resp = Response{Head: Head{Fields: resp.Fields[:0], Length: -1, Bytes: len(head)}}
	if err := resp.parseLineEnvoy(head[:c.lines[0]]); err != nil {
		return err
	}
	if err := resp.parseFieldsEnvoy(head, c.lines); err != nil {
		return err
	}
	return resp.settleEnvoy(lim)
}

// scanHeadEnvoy is scanHead in Envoy's grammar. Lines are recorded with their
// ends, the empty one excluded. What is wrong with the first line is found as
// soon as that line is there.
func (c *Conn) scanHeadEnvoy(lim Limits, request bool) ([]byte, error) {
	c.lines, c.seen = c.lines[:0], 0
	start, checked, begun := 0, false, false
	for {
		b := c.buf[c.r:c.w]
		if len(c.lines) == 0 && start == 0 {
			n := 0
			for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
				n++
			}
			if n > 0 && !request {
				return nil, bad("an empty line before the response")
			}
			c.r, c.seen, begun = c.r+n, max(c.seen-n, 0), begun || n > 0
			if b = b[n:]; len(b) > 0 && b[0] <= ' ' {
				return nil, bad("the message begins with %q", b[0])
			}
		}
		for c.seen < len(b) {
			i := indexLF(b[c.seen:])
			if i < 0 {
				c.seen = len(b)
				break
			}
			end := c.seen + i + 1
			c.seen = end
			if end-start == 1 || end-start == 2 && b[start] == '\r' {
				return c.wholeHead(b, end, lim)
			}
			c.lines = append(c.lines, end)
			if start = end; len(c.lines) == 1 && request && islands(b[:end]) < 3 {
				return c.wholeHead(b, end, lim) // HTTP/0.9 has no fields
			}
		}
		if len(c.lines) > 0 && !checked {
			checked = true
			if err := checkLine(b[:c.lines[0]], request, lim); err != nil {
				return nil, err
			}
		}
		if len(b) >= lim.Head {
			return nil, &ParseError{Status: 431, Text: "head too large"}
		}
		if c.Since.IsZero() && (begun || len(b) > 0) {
			c.Since = time.Now()
		}
		if err := c.fill(); err != nil {
			if err == io.EOF && c.r < c.w {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

func (c *Conn) wholeHead(b []byte, end int, lim Limits) ([]byte, error) {
	if end > lim.Head {
		return nil, &ParseError{Status: 431, Text: "head too large"}
	}
	c.r += end
	return b[:end], nil
}

func checkLine(line []byte, request bool, lim Limits) error {
	if request {
		return (&Request{}).parseLineEnvoy(line, lim)
	}
	return (&Response{}).parseLineEnvoy(line)
}

// islands counts the parts of a first line between white space, up to 3.
func islands(line []byte) (n int) {
	in := false
	for _, c := range line {
		if c > ' ' && !in {
			if n++; n == 3 {
				return n
			}
		}
		in = c > ' '
	}
	return n
}

// parseFieldsEnvoy parses the lines after the first one.
func (h *Head) parseFieldsEnvoy(head []byte, ends []int) error {
	for i := 1; i < len(ends); {
		start := ends[i-1]
		for i++; i < len(ends) && head[ends[i-1]] <= ' '; i++ {
			if c := head[ends[i-1]]; c != ' ' && c != '\t' {
				return bad("a line begins with %q", c)
			}
		}
		f, err := parseFieldEnvoy(head[start:ends[i-1]])
		if err != nil {
			return err
		}
		h.Fields = append(h.Fields, f)
		if err := h.noteEnvoy(&h.Fields[len(h.Fields)-1]); err != nil {
			return err
		}
	}
	h.Upgrade = h.upgrades == 3
	return nil
}

// parseFieldEnvoy parses one field, which may be folded.
func parseFieldEnvoy(line []byte) (Field, error) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !all(line[:colon], &isToken) {
		return Field{}, bad("header field %.60q", line)
	}
	breaks := 0
	for _, c := range line[colon+1:] {
		if !isValue[c] {
			if c != '\r' && c != '\n' {
				return Field{}, bad("value of header field %.60q", line[:colon])
			}
			breaks++
		}
	}
	v := trimBlank(line[colon+1:])
	if breaks > 2 || breaks > 1 && line[len(line)-2] != '\r' {
		k := 0
		for _, c := range v {
			if c != '\r' && c != '\n' {
				v[k] = c
				k++
			}
		}
		v = v[:k]
	}
	return Field{ID: idOf(line[:colon]), Name: line[:colon], Value: v}, nil
}

// noteEnvoy records what a field says about framing and the connection.
func (h *Head) noteEnvoy(f *Field) error {
	switch f.ID {
	case ContentLength:
		n, ok := parseLengthEnvoy(f.Value)
		if h.lengths++; !ok || h.lengths > 1 {
			return bad("Content-Length %.40q", f.Value)
		}
		h.Length = n
	case TransferEncoding:
		h.codings++
		h.Chunked = equalFold(f.Value, "chunked")
	case Connection:
		h.noteOptions(f.Value)
	case ProxyConnection:
		h.Close = h.Close || HasOption(f.Value, "close")
	case Upgrade:
		h.upgrades |= 2
	}
	return nil
}

func (h *Head) noteOptions(v []byte) {
	options(v, func(o []byte) {
		switch {
		case equalFold(o, "close"):
			h.Close = true
		case equalFold(o, "keep-alive"):
			h.KeepAlive = true
		case equalFold(o, "upgrade"):
			h.upgrades |= 1
		}
	})
}

func parseLengthEnvoy(v []byte) (int64, bool) {
	n, err := strconv.ParseUint(string(v), 10, 64)
	return int64(min(n, math.MaxInt64)), err == nil && v[0] != '+'
}

// settleEnvoy joins fields, and checks what only the whole head shows, in
// Envoy's order: what is wrong in two ways gets the answer of the first.
func (r *Request) settleEnvoy(lim Limits) error {
	r.join(&inlineInRequests)
	connect := string(r.Method) == "CONNECT"
	switch {
	case lim.Fields > 0 && len(r.Fields) > lim.Fields:
		return &ParseError{Status: 431, Text: "too many header fields"}
	case r.codings > 0 && r.lengths > 0:
		return bad("both Transfer-Encoding and Content-Length")
	case connect && r.Length > 0:
		return bad("CONNECT with a body")
	case r.codings > 1 || r.codings > 0 && !r.Chunked, r.Chunked && connect:
		return &ParseError{Status: 501, Text: "transfer coding other than chunked"}
	}
	if err := r.splitTargetEnvoy(); err != nil {
		return err
	}
	if r.Minor == 0 {
		return &ParseError{Status: 426, Text: "HTTP/1.0"}
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.ID {
		case Host:
			r.Hosts++
			if !r.Absolute {
				r.Host = f.Value
			}
		case Expect:
			r.Expect100 = equalFold(f.Value, "100-continue")
		}
	}
	if r.Upgrade && equalFold(r.Get(Upgrade), "h2c") { // is not offered
		r.Upgrade = false
		r.Remove([]byte("http2-settings"))
	}
	if !all(r.Host, &isAuthority) {
		return bad("host %.60q", r.Host)
	}
	return nil
}

func (r *Response) settleEnvoy(lim Limits) error {
	r.join(&inlineInResponses)
	bodiless := r.Status < 200 || r.Status == 204
	switch {
	case lim.Fields > 0 && len(r.Fields) > lim.Fields:
		return bad("too many header fields")
	case r.codings > 0 && r.lengths > 0:
		return bad("both Transfer-Encoding and Content-Length")
	case r.codings > 1 || r.codings > 0 && !r.Chunked:
		return bad("transfer coding other than chunked")
	case bodiless && (r.codings > 0 || r.Length > 0):
		return bad("a body in a response with status %d", r.Status)
	}
	return nil
}

// join makes one field of those that came several times and of which Envoy
// keeps one value, in the place of the first.
func (h *Head) join(inline *[numIDs]bool) {
	var seen [2]uint64
	again := false
	for i := range h.Fields {
		if id := h.Fields[i].ID; inline[id] {
			bit := uint64(1) << (id & 63)
			again = again || seen[id>>6]&bit != 0
			seen[id>>6] |= bit
		}
	}
	if !again {
		return
	}
	kept := h.Fields[:0]
	for _, f := range h.Fields {
		first := -1
		if inline[f.ID] {
			for i := range kept {
				if kept[i].ID == f.ID {
					first = i
				}
			}
		}
		if first < 0 {
			kept = append(kept, f)
			continue
		}
		k := &kept[first]
		if len(f.Value) == 0 {
			continue
		}
		if len(k.Value) == 0 {
			k.Value = f.Value
			continue
		}
		k.Value = append(append(append(make([]byte, 0, len(k.Value)+1+len(f.Value)), k.Value...), ','), f.Value...)
	}
	h.Fields = kept
}
