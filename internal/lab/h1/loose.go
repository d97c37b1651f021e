package h1

import (
	"bytes"
	"math"
)

// looseChunks walks over a chunked body in Envoy's grammar and takes the data
// out of it. Unlike chunks it lets anything stand between a chunk's data and
// the end of the line, and anything but a lone CR in extensions.
type looseChunks struct {
	state   looseState
	size    uint64
	digits  bool
	cr      bool   // the last byte of an extension was CR
	term    uint32 // the CRs and LFs since the last chunk's line
	trailer []byte
	limit   int
	payload int64
	done    bool
}

type looseState uint8

const (
	looseSize looseState = iota
	looseExtension
	looseData
	looseDataEnd
	looseLast
	looseTrailer
)

// take consumes p, moves the data in it to its front and returns that, and how
// many bytes belong to the body. What was taken in the same go is lost when
// the body turns out to be bad, unless the last chunk was there before that.
func (s *looseChunks) take(p []byte) (data []byte, n int, err error) {
	k, kept := 0, 0
	fail := func(text string) ([]byte, int, error) {
		s.payload += int64(kept)
		return p[:kept], n, bad("%s", text)
	}
	for n < len(p) && !s.done {
		if s.state == looseData {
			m := int(min(s.size, uint64(len(p)-n)))
			copy(p[k:], p[n:n+m])
			k, n = k+m, n+m
			if s.size -= uint64(m); s.size == 0 {
				s.state = looseDataEnd
			}
			continue
		}
		c := p[n]
		switch s.state {
		case looseSize:
			d := hexDigit(c)
			switch {
			case d >= 0 && s.size > math.MaxUint64>>4:
				return fail("chunk size")
			case d >= 0:
				s.size, s.digits = s.size<<4|uint64(d), true
			case !s.digits || c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != ';':
				return fail("chunk size")
			default:
				if s.state, s.cr = looseExtension, false; s.size == 0 {
					kept = k
				}
				continue // the same byte again
			}
		case looseExtension:
			if s.cr != (c == '\n') {
				return fail("chunk size line")
			}
			if s.cr = c == '\r'; c == '\n' {
				if s.digits = false; s.size == 0 {
					s.state, s.term = looseLast, '\n'
				} else {
					s.state = looseData
				}
			}
		case looseDataEnd:
			if c == '\n' {
				s.state = looseSize
			}
		case looseLast:
			if c != '\r' && c != '\n' {
				s.state, s.term = looseTrailer, 0
				continue
			}
			s.done = s.ends(c)
		case looseTrailer:
			if s.trailer = append(s.trailer, c); len(s.trailer) > s.limit {
				return fail("trailers too long")
			}
			if s.ends(c) {
				if err := checkTrailers(s.trailer); err != nil {
					return fail(err.Error())
				}
				s.done = true
			}
		}
		n++
	}
	s.payload += int64(k)
	return p[:k], n, nil
}

// ends notes a byte and reports whether the line breaks up to it end a message.
func (s *looseChunks) ends(c byte) bool {
	if c != '\r' && c != '\n' {
		s.term = 0
		return false
	}
	s.term = s.term<<8 | uint32(c)
	return s.term&0xffffff == '\n'<<16|'\r'<<8|'\n' || s.term&0xffff == '\n'<<8|'\n'
}

// IsHex reports whether a byte is a hexadecimal digit.
func IsHex(c byte) bool { return hexDigit(c) >= 0 }

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// checkTrailers checks a trailer section with its empty line.
func checkTrailers(p []byte) error {
	if p[0] <= ' ' {
		return bad("a trailer begins with %q", p[0])
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n') + 1
		for i < len(p) && (p[i] == ' ' || p[i] == '\t') {
			i += bytes.IndexByte(p[i:], '\n') + 1
		}
		line := p[:i]
		p = p[i:]
		if len(trimBlank(line)) == 0 {
			return nil
		}
		if _, err := parseFieldEnvoy(line); err != nil {
			return err
		}
	}
	return nil
}
