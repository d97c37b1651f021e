package samplefile

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	blockBytes = 32 << 10    // a block is written when its records reach this size
	blockAge   = time.Second // or when its first record is this old, so that little is lost with the process
)

// Writer writes a sample file. Its methods are safe for concurrent use.
type Writer struct {
	mu      sync.Mutex
	w       io.Writer
	err     error // first error; nothing is written after it
	closed  bool
	arms    int
	records int64

	classes map[class]int
	fresh   []byte // new classes of the open block, encoded
	nFresh  int
	body    []byte // records of the open block, encoded
	nBody   int
	prev    int64
	opened  time.Time
	frame   []byte // reused
}

// NewWriter writes the magic and the header to w. The Writer does not close w.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("sample file header: %w", err)
	}
	if len(head) > maxFrame {
		return nil, fmt.Errorf("sample file header: %d bytes, at most %d fit", len(head), maxFrame)
	}
	if len(h.Load.Arms) == 0 {
		return nil, errors.New("sample file header: no arms")
	}
	frame := sealFrame(frameHeader, append(make([]byte, frameHead), head...))
	if _, err := w.Write(append(append([]byte(magic), version), frame...)); err != nil {
		return nil, fmt.Errorf("sample file header: %w", err)
	}
	return &Writer{w: w, arms: len(h.Load.Arms), classes: map[class]int{}, prev: -1}, nil
}

// Write appends a record. Late and Blocked are rounded to µs, Latency to 100
// ns; texts of the outcome are cut to 256 bytes of valid UTF-8,
// Seen to 1024. A record that
// the header does not allow (an arm out of range, a negative number) is
// refused, and the file stays usable; an error of the underlying writer is
// final and is returned by every later call.
func (w *Writer) Write(r Record) error {
	if err := w.check(&r); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return errors.New("sample file: written after Close")
	}
	id, err := w.intern(class{r.Arm, r.Outcome})
	if err != nil {
		return err
	}
	now := time.Now()
	if w.nBody == 0 {
		w.opened = now
	}
	w.append(&r, id)
	if len(w.body) >= blockBytes || now.Sub(w.opened) >= blockAge {
		w.flush()
	}
	return w.err
}

func (w *Writer) check(r *Record) error {
	bad := func(field string, v any) error {
		return fmt.Errorf("sample file: record of iteration %d: %s is %v", r.Iteration, field, v)
	}
	switch {
	case r.Arm < 0 || r.Arm >= w.arms:
		return bad("arm", fmt.Sprintf("%d of %d", r.Arm, w.arms))
	case r.Iteration < 0 || r.Iteration > maxUnits:
		return bad("iteration", r.Iteration)
	case r.Late < 0 || r.Late > maxUnits:
		return bad("late", r.Late)
	case r.Latency < 0 || r.Latency > maxUnits:
		return bad("latency", r.Latency)
	case r.Blocked < 0 || r.Blocked > maxUnits:
		return bad("blocked", r.Blocked)
	}
	return nil
}

// intern returns the number of c and encodes it into the open block if it is new.
func (w *Writer) intern(c class) (int, error) {
	if id, ok := w.classes[c]; ok {
		return id, nil
	}
	raw := c
	c.Outcome.Error = cut(c.Outcome.Error)
	c.Outcome.Peer = cut(c.Outcome.Peer)
	c.Outcome.Via = cut(c.Outcome.Via)
	c.Outcome.Seen = cutTo(c.Outcome.Seen, maxSeen)
	if c != raw { // keep only the cut form, or long texts would fill the table
		return w.intern(c)
	}
	id := len(w.classes)
	if id == maxClasses {
		return 0, fmt.Errorf("sample file: more than %d distinct outcomes; %+v does not fit", maxClasses, c.Outcome)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("sample file: outcome %+v: %w", c.Outcome, err)
	}
	if len(w.fresh)+len(text) > maxFrame/2 { // leave room for the records
		if w.flush(); w.err != nil {
			return 0, w.err
		}
	}
	w.classes[c] = id
	w.fresh = binary.AppendUvarint(w.fresh, uint64(len(text)))
	w.fresh = append(w.fresh, text...)
	w.nFresh++
	return id, nil
}

func (w *Writer) append(r *Record, id int) {
	d := r.Iteration - w.prev - 1
	w.prev = r.Iteration
	step := uint64(d<<1) ^ uint64(d>>63)
	blocked := units(r.Blocked, blockedUnit)
	w.body = append(w.body, byte(min(step, stepEscape)|min(uint64(id), classEscape)<<classShift|min(blocked, blockedEscape)<<blockedShift))
	w.body = binary.AppendUvarint(w.body, units(r.Late, lateUnit))
	w.body = binary.AppendUvarint(w.body, units(r.Latency, latencyUnit))
	if step >= stepEscape {
		w.body = binary.AppendUvarint(w.body, step)
	}
	if id >= classEscape {
		w.body = binary.AppendUvarint(w.body, uint64(id))
	}
	if blocked >= blockedEscape {
		w.body = binary.AppendUvarint(w.body, blocked)
	}
	w.nBody++
	w.records++
}

// flush writes the open block, if there is anything in it.
func (w *Writer) flush() {
	if w.err != nil || w.nBody+w.nFresh == 0 {
		return
	}
	f := append(w.frame[:0], make([]byte, frameHead)...)
	f = binary.AppendUvarint(f, uint64(w.nFresh))
	f = append(f, w.fresh...)
	f = binary.AppendUvarint(f, uint64(w.nBody))
	f = append(f, w.body...)
	w.frame = sealFrame(frameBlock, f)
	w.put(w.frame)
	w.fresh, w.nFresh = w.fresh[:0], 0
	w.body, w.nBody = w.body[:0], 0
	w.prev = -1
}

func (w *Writer) put(b []byte) {
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("sample file: %w", err)
	}
}

// Close writes what is left and the trailer, in which it sets Records. It
// returns the first error of the Writer's life. A second Close does nothing.
func (w *Writer) Close(t Trailer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.err
	}
	w.closed = true
	w.flush()
	t.Records = w.records
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("sample file trailer: %w", err)
	}
	if w.err == nil {
		w.put(sealFrame(frameTrailer, append(make([]byte, frameHead), text...)))
	}
	return w.err
}

// Records returns how many records were accepted so far.
func (w *Writer) Records() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records
}

func units(d time.Duration, unit int64) uint64 { return uint64((int64(d) + unit/2) / unit) }

// cut returns s as valid UTF-8 of at most maxError bytes.
func cut(s string) string { return cutTo(s, maxError) }

func cutTo(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 {
		if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n > 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}
