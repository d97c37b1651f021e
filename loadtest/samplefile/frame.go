package samplefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A sample file is the magic, the format version as one byte, and frames:
//
//	kind     1 byte: 'H' header, 'B' block, 'T' trailer
//	length   4 bytes, little endian: of the payload
//	payload
//	crc      4 bytes, little endian: CRC-32C of kind, length and payload
//
// There is one header, then blocks, then one trailer, then the end of the file.
// Header and trailer are JSON. A block is, all numbers unsigned varints:
//
//	count of new classes, then each as its length and JSON
//	count of records, then each as
//	  1 byte: bits 0-1 the iteration step, 2-4 the class, 5-7 the blocked time
//	  late, µs
//	  latency, 100 ns
//	  iteration step, if its bits are all set
//	  class, if its bits are all set
//	  blocked, µs, if its bits are all set
//
// The iteration step is the zigzag code of iteration - previous - 1; the
// previous iteration of a block's first record is -1. Records come in the
// order in which requests finished, few classes are common, and a reused
// connection blocks for a few µs, so a record takes about 5 bytes.
const (
	magic   = "\x89HOPSMP\n" // not ASCII, and broken by a line-end conversion
	version = 1

	frameHeader  byte = 'H'
	frameBlock   byte = 'B'
	frameTrailer byte = 'T'

	frameHead = 5 // kind and length
	frameTail = 4 // crc

	stepEscape    = 1<<2 - 1
	classShift    = 2
	classEscape   = 1<<3 - 1
	blockedShift  = 5
	blockedEscape = 1<<3 - 1
	minRecord     = 3 // bytes

	latencyUnit = 100 // ns
	lateUnit    = 1000
	blockedUnit = 1000
)

// Bounds that keep a hostile file from taking memory. The writer keeps to them.
const (
	maxFrame   = 1 << 20 // bytes of a payload
	maxClasses = 1 << 18 // distinct (arm, outcome) pairs in a file
	maxClass   = 8 << 10 // bytes of one class as JSON, all of it escaped
	maxError   = 256     // bytes of Outcome.Error, Peer and Via each
	maxSeen    = 1024    // bytes of Outcome.Seen
	maxUnits   = 1 << 50 // of any time: 13 days in ns, so that no product overflows
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrTruncated is wrapped by the FormatError of a file that ends before its
// trailer: the load generator was killed, or the copy was cut.
var ErrTruncated = errors.New("the file ends before its trailer")

// FormatError is what is wrong with a sample file, and where.
type FormatError struct {
	Offset int64 // bytes from the start of the file
	Err    error
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("sample file, offset %d: %v", e.Offset, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// class is the pair that a record's class number stands for.
type class struct {
	Arm     int     `json:"arm"`
	Outcome Outcome `json:"outcome"`
}

// sealFrame completes a frame that starts with frameHead free bytes: it writes
// kind and length there and appends the checksum.
func sealFrame(kind byte, frame []byte) []byte {
	frame[0] = kind
	binary.LittleEndian.PutUint32(frame[1:], uint32(len(frame)-frameHead))
	return binary.LittleEndian.AppendUint32(frame, crc32.Checksum(frame, castagnoli))
}
