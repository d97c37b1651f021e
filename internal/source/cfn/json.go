package cfn

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoplab/hoplab/internal/fail"
)

// parseJSON reads one JSON value into nodes. Errors carry file and line.
func parseJSON(file string, data []byte) (*node, error) {
	if len(data) > maxJSON {
		return nil, tooLarge(file, len(data), maxJSON)
	}
	p := &jsonParser{file: file, data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data)), line: 1}
	n, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.ReadToken(); err != io.EOF {
		p.mark()
		return nil, fail.Newf(fail.Usage, "keep one JSON value in the file",
			"%s:%d: text after the end of the template", file, p.line)
	}
	return n, nil
}

type jsonParser struct {
	file string
	data []byte
	dec  *jsontext.Decoder
	mem  arena
	at   int64 // offset up to which lines are counted
	line int32
}

// mark counts lines up to the decoder's position. A token holds no line
// break, so its end is on its line.
func (p *jsonParser) mark() {
	to := min(p.dec.InputOffset(), int64(len(p.data)))
	if to > p.at {
		p.line += int32(bytes.Count(p.data[p.at:to], newline))
		p.at = to
	}
}

var newline = []byte("\n")

func (p *jsonParser) value(depth int) (*node, error) {
	t, err := p.dec.ReadToken()
	if err != nil {
		return nil, p.failed(err)
	}
	p.mark()
	switch t.Kind() {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case 'n':
		return p.mem.new(nNull, p.line), nil
	}
	n := p.mem.new(nScalar, p.line)
	n.text = t.String() // a number or bool keeps the text it was written with
	return n, nil
}

func (p *jsonParser) object(depth int) (*node, error) {
	if depth >= maxDepth {
		return nil, tooDeep(p.file, p.line)
	}
	n := p.mem.new(nMap, p.line)
	for p.dec.PeekKind() != '}' {
		t, err := p.dec.ReadToken()
		if err != nil {
			return nil, p.failed(err)
		}
		p.mark()
		k := key{name: t.String(), line: p.line}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.add(k, v) // the decoder has refused duplicates
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, p.failed(err)
	}
	return n, nil
}

func (p *jsonParser) array(depth int) (*node, error) {
	if depth >= maxDepth {
		return nil, tooDeep(p.file, p.line)
	}
	n := p.mem.new(nList, p.line)
	for p.dec.PeekKind() != ']' {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, v)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, p.failed(err)
	}
	return n, nil
}

// failed turns a decoder error into one that names file, line and place.
func (p *jsonParser) failed(err error) error {
	at := int64(len(p.data))
	var where jsontext.Pointer
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		at, where, err = min(syn.ByteOffset, at), syn.JSONPointer, syn.Err
	}
	line := 1 + bytes.Count(p.data[:at], newline)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		if len(bytes.TrimSpace(p.data)) == 0 {
			return empty(p.file)
		}
		return fail.Newf(fail.Usage, "write the file again, for example with `cdk synth`; it is cut short",
			"%s:%d: the JSON ends after %d bytes%s, with values still open", p.file, line, len(p.data), inside(where))
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fail.Newf(fail.Usage, "remove one of the two; which of them counts is not defined",
			"%s:%d: %s is defined twice", p.file, line, where)
	}
	return fail.Newf(fail.Usage, "correct the JSON at that line",
		"%s:%d: not JSON%s: %v", p.file, line, inside(where), err)
}

func inside(p jsontext.Pointer) string {
	if p == "" {
		return ""
	}
	return fmt.Sprintf(" inside %s", p)
}

func empty(file string) error {
	return fail.Newf(fail.Usage, "give a CloudFormation template in JSON or YAML", "%s:1: the file is empty", file)
}

func tooLarge(file string, size, limit int) error {
	return fail.Newf(fail.Usage, "give the template alone: CloudFormation takes at most 1 MB",
		"%s: %d bytes, more than the limit of %d", file, size, limit)
}

func tooDeep(file string, line int32) error {
	return fail.Newf(fail.Usage, "flatten the value at that line",
		"%s:%d: values are nested more than %d deep", file, line, maxDepth)
}
