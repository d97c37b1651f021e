package h2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// edited is a connection between net/http and a peer whose header blocks are edited
// on their way, since net/http refuses, changes or cannot say some of what an Envoy
// takes and says. in and out may be nil: nothing is edited in that direction.
type edited struct {
	net.Conn
	in, out   *blocks
	buf       []byte // of Read
	ready     []byte // was read and edited
	unread    []byte // of ready
	forbidden bool   // the peer has broken the protocol

	writing sync.Mutex
	written []byte // of Write
	at      boundary
	notice  *time.Timer // tells the peer that the connection is idle
}

// Read ends the connection when the peer sends what no Envoy takes.
func (e *edited) Read(p []byte) (int, error) {
	if e.in == nil {
		return e.Conn.Read(p)
	}
	if e.buf == nil {
		e.buf = make([]byte, 16<<10)
	}
	for len(e.unread) == 0 {
		if e.forbidden {
			return 0, io.EOF
		}
		n, err := e.Conn.Read(e.buf)
		var wrong error
		if e.ready, wrong = e.in.feed(e.ready[:0], e.buf[:n]); wrong != nil {
			e.forbidden = true
			e.Conn.Close()
			continue
		}
		if e.unread = e.ready; err != nil && len(e.unread) == 0 {
			return 0, err
		}
	}
	n := copy(p, e.unread)
	e.unread = e.unread[n:]
	return n, nil
}

func (e *edited) Write(p []byte) (int, error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	if e.out == nil {
		e.at.wrote(p)
		return e.Conn.Write(p)
	}
	var err error
	if e.written, err = e.out.feed(e.written[:0], p); err != nil {
		return 0, err
	}
	if len(e.written) > 0 {
		if _, err := e.Conn.Write(e.written); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// boundary follows the frames that are written over a connection.
type boundary struct {
	head  []byte // of the frame that has begun
	pass  int    // bytes of it that are to come
	block bool   // a header block goes on in the next frame
}

func (b *boundary) wrote(p []byte) {
	for len(p) > 0 {
		if n := min(b.pass, len(p)); n > 0 {
			p, b.pass = p[n:], b.pass-n
			continue
		}
		n := min(frameHead-len(b.head), len(p))
		b.head = append(b.head, p[:n]...)
		if p = p[n:]; len(b.head) < frameHead {
			return
		}
		switch http2.FrameType(b.head[3]) {
		case http2.FrameHeaders, http2.FrameContinuation:
			b.block = !http2.Flags(b.head[4]).Has(http2.FlagHeadersEndHeaders)
		}
		b.pass, b.head = frameLength(b.head), b.head[:0]
	}
}

// here reports whether another frame may begin.
func (b *boundary) here() bool { return b.pass == 0 && len(b.head) == 0 && !b.block }

// idle notes whether the connection, a client's, has no streams. After it has been so
// for a time it says that it will go away, as Envoy does first: no stream is refused yet.
func (e *edited) idle(is bool, after time.Duration) {
	e.writing.Lock()
	defer e.writing.Unlock()
	if e.notice != nil {
		e.notice.Stop()
		e.notice = nil
	}
	if !is {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(after, func() {
		e.writing.Lock()
		defer e.writing.Unlock()
		if e.notice == t && e.at.here() {
			http2.NewFramer(e.Conn, nil).WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)
		}
	})
	e.notice = t
}

// edit returns a header block's fields as they are to be; end says that the block ends
// its stream.
type edit func(fields []hpack.HeaderField, end bool) ([]hpack.HeaderField, error)

// blocks edits the header blocks of what a client sends over a connection. Other
// frames pass as they are, but those of which drop is true.
type blocks struct {
	edit edit
	drop func(http2.FrameType) bool

	pass  int    // bytes that are to pass as they are
	frame []byte // the beginning of a frame that is looked at
	block []byte // the header block so far
	open  uint32 // the stream whose block goes on in the next frame; 0 for none
	end   bool   // the block ends its stream

	dec    *hpack.Decoder
	fields []hpack.HeaderField
	size   int // of fields
	enc    *hpack.Encoder
	out    bytes.Buffer
}

const (
	frameHead = 9        // bytes
	maxFrame  = 16 << 10 // bytes that every peer takes in a frame
	maxBlock  = 1 << 20  // bytes of a header block, and of its fields
)

var errFrames = errors.New("not HTTP/2")

func newBlocks(edit edit) *blocks {
	b := &blocks{edit: edit, drop: func(http2.FrameType) bool { return false }, pass: len(http2.ClientPreface)}
	b.dec = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if b.size += len(f.Name) + len(f.Value); b.size <= maxBlock {
			b.fields = append(b.fields, f)
		}
	})
	b.enc = hpack.NewEncoder(&b.out)
	b.enc.SetMaxDynamicTableSizeLimit(0) // whatever the peer's limit is
	return b
}

// feed takes what comes next and appends to dst what of it is complete.
func (b *blocks) feed(dst, p []byte) ([]byte, error) {
	for len(p) > 0 {
		if n := min(b.pass, len(p)); n > 0 {
			dst = append(dst, p[:n]...)
			p, b.pass = p[n:], b.pass-n
			continue
		}
		n := min(b.missing(), len(p))
		b.frame = append(b.frame, p[:n]...)
		if p = p[n:]; len(b.frame) < frameHead {
			continue
		}
		var err error
		if dst, err = b.take(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// missing is how much of the head of a frame, or of a whole one, is not there yet.
func (b *blocks) missing() int {
	if len(b.frame) < frameHead {
		return frameHead - len(b.frame)
	}
	return frameHead + b.length() - len(b.frame)
}

func (b *blocks) length() int { return frameLength(b.frame) }

// frameLength is how many bytes follow the head of a frame.
func frameLength(head []byte) int { return int(head[0])<<16 | int(head[1])<<8 | int(head[2]) }

// take deals with a frame whose head is there.
func (b *blocks) take(dst []byte) ([]byte, error) {
	kind := http2.FrameType(b.frame[3])
	looked := kind == http2.FrameHeaders || kind == http2.FrameContinuation || b.drop(kind)
	switch {
	case b.open != 0 && kind != http2.FrameContinuation, b.open == 0 && kind == http2.FrameContinuation, looked && b.length() > maxBlock:
		return dst, errFrames
	case !looked:
		dst, b.pass = append(dst, b.frame...), b.length()
	case b.missing() > 0:
		return dst, nil
	case !b.drop(kind):
		var err error
		if dst, err = b.headers(dst, kind); err != nil {
			return dst, err
		}
	}
	b.frame = b.frame[:0]
	return dst, nil
}

// headers deals with a whole frame of a header block.
func (b *blocks) headers(dst []byte, kind http2.FrameType) ([]byte, error) {
	flags, stream, part := http2.Flags(b.frame[4]), binary.BigEndian.Uint32(b.frame[5:])&(1<<31-1), b.frame[frameHead:]
	if kind == http2.FrameHeaders {
		padding := 0
		if flags.Has(http2.FlagHeadersPadded) && len(part) > 0 {
			padding, part = int(part[0]), part[1:]
		}
		if flags.Has(http2.FlagHeadersPriority) {
			part = part[min(5, len(part)):]
		}
		if padding > len(part) {
			return dst, errFrames
		}
		b.block, part = b.block[:0], part[:len(part)-padding]
		b.open, b.end = stream, flags.Has(http2.FlagHeadersEndStream)
	}
	if b.block = append(b.block, part...); stream != b.open || stream == 0 || len(b.block) > maxBlock {
		return dst, errFrames
	}
	if !flags.Has(http2.FlagHeadersEndHeaders) {
		return dst, nil
	}
	b.open = 0
	return b.rewrite(dst, stream)
}

// rewrite appends the edited block.
func (b *blocks) rewrite(dst []byte, stream uint32) ([]byte, error) {
	b.fields, b.size = b.fields[:0], 0
	if _, err := b.dec.Write(b.block); err != nil {
		return dst, err
	}
	if err := b.dec.Close(); err != nil {
		return dst, err
	}
	if b.size > maxBlock {
		return dst, errFrames
	}
	fields, err := b.edit(b.fields, b.end)
	if err != nil {
		return dst, err
	}
	b.out.Reset()
	for _, f := range fields {
		b.enc.WriteField(f)
	}
	kind, flags := http2.FrameHeaders, http2.Flags(0)
	if b.end {
		flags = http2.FlagHeadersEndStream
	}
	for left := b.out.Bytes(); ; {
		part := left[:min(len(left), maxFrame)]
		if left = left[len(part):]; len(left) == 0 {
			flags |= http2.FlagHeadersEndHeaders
		}
		dst = append(dst, byte(len(part)>>16), byte(len(part)>>8), byte(len(part)), byte(kind), byte(flags))
		dst = append(binary.BigEndian.AppendUint32(dst, stream), part...)
		if len(left) == 0 {
			return dst, nil
		}
		kind, flags = http2.FrameContinuation, 0
	}
}
