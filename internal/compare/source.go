package compare

import (
	"errors"
	"io"
)

// copies is a source of any file: each part is copied out of it.
type copies struct {
	r   io.ReaderAt
	buf []byte
}

func (c *copies) part(from, to int64) ([]byte, error) {
	if n := int(to - from); cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:to-from]
	n, err := c.r.ReadAt(c.buf, from)
	switch {
	case n == len(c.buf):
		return c.buf, nil
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file became shorter while it was read")
	}
	return nil, err
}

func (c *copies) close() {}
