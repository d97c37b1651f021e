package samplefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// Reader reads a sample file from front to back in constant memory. It is not
// safe for concurrent use.
type Reader struct {
	r       *bufio.Reader
	offset  int64 // of the next frame
	header  Header
	trailer Trailer
	classes []class
	records int64
	err     error // sticky; io.EOF after a valid trailer

	buf  []byte // payload of the open block, reused
	base int64  // offset of buf in the file
	pos  int    // in buf
	left uint64 // records left in the open block
	prev int64
}

// headBuffer holds the head of a frame and what is read with it; the rest of a
// payload goes straight to its place. A thousand files are open at a time.
const headBuffer = 4 << 10

// NewReader reads the magic and the header. It reads a frame at a time, so r
// needs no buffer of its own. A file of another kind or of a later version is
// a *FormatError.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{r: bufio.NewReaderSize(r, headBuffer)}
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(rd.r, head); err != nil {
		return nil, rd.cutAt(0, err)
	}
	if string(head[:len(magic)]) != magic {
		return nil, &FormatError{0, fmt.Errorf("not a hoplab sample file: it starts with %q", head[:len(magic)])}
	}
	if v := head[len(magic)]; v != version {
		return nil, &FormatError{int64(len(magic)), fmt.Errorf("format version %d; this build reads version %d", v, version)}
	}
	rd.offset = int64(len(head))
	at := rd.offset
	kind, err := rd.frame()
	if err != nil {
		return nil, err
	}
	if kind != frameHeader {
		return nil, &FormatError{at, fmt.Errorf("frame %q where the header should be", kind)}
	}
	if err := unmarshal(rd.buf, &rd.header); err != nil {
		return nil, &FormatError{rd.base, fmt.Errorf("header: %w", err)}
	}
	if len(rd.header.Load.Arms) == 0 {
		return nil, &FormatError{rd.base, errors.New("header: no arms")}
	}
	return rd, nil
}

// Header returns the file's header.
func (r *Reader) Header() Header { return r.header }

// Trailer returns the trailer. It is the zero value until Next returned io.EOF.
func (r *Reader) Trailer() Trailer { return r.trailer }

// Records returns how many records Next has returned.
func (r *Reader) Records() int64 { return r.records }

// Classes returns how many (arm, outcome) pairs have appeared so far; their
// numbers, Record.Class, are below it.
func (r *Reader) Classes() int { return len(r.classes) }

// Class returns the arm and the outcome that Record.Class id stands for.
func (r *Reader) Class(id int) (arm int, o Outcome) { return r.classes[id].Arm, r.classes[id].Outcome }

// Next sets every field of rec. It returns io.EOF after the last record of a
// file whose trailer is valid and agrees with the count, and a *FormatError
// for anything else; records returned before an error were intact. Errors are
// final.
func (r *Reader) Next(rec *Record) error {
	for r.left == 0 {
		if r.err != nil {
			return r.err
		}
		if r.err = r.advance(); r.err != nil {
			return r.err
		}
	}
	return r.record(rec)
}

// record decodes the next record of the open block.
func (r *Reader) record(rec *Record) error {
	p := r.buf[r.pos:]
	if len(p) == 0 {
		return r.broken("the block ends within its records")
	}
	packed := uint64(p[0])
	n := 1
	late, k := uvarint(p[n:])
	n += k
	lat, k2 := uvarint(p[n:])
	n += k2
	if k == 0 || k2 == 0 {
		return r.broken("a number is cut or too long")
	}
	step, id, blocked := packed&stepEscape, packed>>classShift&classEscape, packed>>blockedShift
	for _, f := range [...]struct {
		value  *uint64
		escape uint64
	}{{&step, stepEscape}, {&id, classEscape}, {&blocked, blockedEscape}} {
		if *f.value != f.escape {
			continue
		}
		if *f.value, k = uvarint(p[n:]); k == 0 || *f.value < f.escape {
			return r.broken("a number is cut or not in its shortest form")
		}
		n += k
	}
	if id >= uint64(len(r.classes)) {
		return r.broken(fmt.Sprintf("class %d of %d", id, len(r.classes)))
	}
	if late > maxUnits/lateUnit+1 || lat > maxUnits/latencyUnit+1 || blocked > maxUnits/blockedUnit+1 {
		return r.broken("a time is longer than 13 days")
	}
	iter := r.prev + 1 + (int64(step>>1) ^ -int64(step&1))
	if iter < 0 || iter > maxUnits {
		return r.broken(fmt.Sprintf("iteration %d", iter))
	}
	c := &r.classes[id]
	rec.Arm, rec.Outcome, rec.Class = c.Arm, c.Outcome, int(id)
	rec.Iteration = iter
	rec.Late = time.Duration(late * lateUnit)
	rec.Latency = time.Duration(lat * latencyUnit)
	rec.Blocked = time.Duration(blocked * blockedUnit)
	r.prev = iter
	r.pos += n
	r.left--
	r.records++
	if r.left == 0 && r.pos != len(r.buf) {
		r.err = &FormatError{r.base + int64(r.pos), errors.New("bytes are left in the block after its records")}
	}
	return nil
}

func (r *Reader) broken(what string) error {
	r.left = 0
	r.err = &FormatError{r.base + int64(r.pos), errors.New(what)}
	return r.err
}

// advance opens the next block, or reads the trailer and returns io.EOF.
func (r *Reader) advance() error {
	at := r.offset
	kind, err := r.frame()
	if err != nil {
		return err
	}
	switch kind {
	case frameBlock:
		return r.openBlock()
	case frameTrailer:
		return r.finish()
	}
	return &FormatError{at, fmt.Errorf("frame %q after the header", kind)}
}

func (r *Reader) openBlock() error {
	r.pos, r.prev = 0, -1
	n, ok := r.number()
	if !ok {
		return r.broken("block: the count of classes is unreadable")
	}
	for range n {
		if err := r.readClass(); err != nil {
			return err
		}
	}
	if r.left, ok = r.number(); !ok {
		return r.broken("block: the count of records is unreadable")
	}
	if rest := uint64(len(r.buf) - r.pos); r.left > rest/minRecord || (r.left == 0 && rest > 0) {
		return r.broken(fmt.Sprintf("block: %d records do not fit into %d bytes", r.left, rest))
	}
	return nil
}

func (r *Reader) readClass() error {
	size, ok := r.number()
	if !ok || size > maxClass || size > uint64(len(r.buf)-r.pos) {
		return r.broken("class: its length is out of range")
	}
	if len(r.classes) == maxClasses {
		return r.broken(fmt.Sprintf("class: more than %d in one file", maxClasses))
	}
	var c class
	if err := unmarshal(r.buf[r.pos:r.pos+int(size)], &c); err != nil {
		return r.broken(fmt.Sprintf("class %d: %v", len(r.classes), err))
	}
	if c.Arm < 0 || c.Arm >= len(r.header.Load.Arms) {
		return r.broken(fmt.Sprintf("class %d: arm %d of %d", len(r.classes), c.Arm, len(r.header.Load.Arms)))
	}
	r.classes = append(r.classes, c)
	r.pos += int(size)
	return nil
}

func (r *Reader) finish() error {
	var t Trailer
	if err := unmarshal(r.buf, &t); err != nil {
		return &FormatError{r.base, fmt.Errorf("trailer: %w", err)}
	}
	if t.Records != r.records {
		return &FormatError{r.base, fmt.Errorf("the trailer counts %d records, the file holds %d", t.Records, r.records)}
	}
	if _, err := r.r.ReadByte(); err == nil {
		return &FormatError{r.offset, errors.New("bytes follow the trailer; were two files joined?")}
	} else if err != io.EOF {
		return &FormatError{r.offset, err}
	}
	r.trailer = t
	return io.EOF
}

// frame reads the next frame into r.buf and checks it.
func (r *Reader) frame() (kind byte, err error) {
	at := r.offset
	var head [frameHead]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, r.cutAt(at, err)
	}
	size := binary.LittleEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, &FormatError{at, fmt.Errorf("frame of %d bytes; at most %d are written", size, maxFrame)}
	}
	if need := int(size) + frameTail; cap(r.buf) < need {
		r.buf = make([]byte, need)
	} else {
		r.buf = r.buf[:need]
	}
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return 0, r.cutAt(at, err)
	}
	want := binary.LittleEndian.Uint32(r.buf[size:])
	r.buf = r.buf[:size]
	if got := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, r.buf); got != want {
		return 0, &FormatError{at, fmt.Errorf("checksum is %08x, expected %08x: the file was changed or damaged", got, want)}
	}
	r.base = at + frameHead
	r.offset = r.base + int64(size) + frameTail
	return head[0], nil
}

// cutAt turns the end of the file into ErrTruncated and keeps any other read error.
func (r *Reader) cutAt(at int64, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = ErrTruncated
	}
	return &FormatError{at, err}
}

// number reads a varint of the open block.
func (r *Reader) number() (uint64, bool) {
	v, n := uvarint(r.buf[r.pos:])
	r.pos += n
	return v, n > 0
}

// uvarint decodes a varint of at most 8 bytes, enough for every number of the
// format. n is 0 when p is cut or the number longer.
func uvarint(p []byte) (v uint64, n int) {
	if len(p) > 0 && p[0] < 0x80 {
		return uint64(p[0]), 1
	}
	if len(p) > 1 && p[1] < 0x80 {
		return uint64(p[0]&0x7f) | uint64(p[1])<<7, 2
	}
	for i, b := range p {
		if i == 8 {
			return 0, 0
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// unmarshal decodes one JSON value and nothing behind it.
func unmarshal(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("bytes follow the JSON value")
	}
	return nil
}
