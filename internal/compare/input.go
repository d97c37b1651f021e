package compare

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
)

// input is one thing to compare.
type input struct {
	path string
	kind string
	run  *run.Dir // for a run directory
	once *opened  // for a pipe, which is opened once
}

// opened is a pipe whose beginning was looked at.
type opened struct {
	r    *bufio.Reader // nil when somebody has read it
	done func()
}

// Kinds of input.
const (
	kindNDJSON = "NDJSON"
	kindCSV    = "CSV"
	kindSample = "sample file"
)

// openInput looks at the beginning of a file to tell what it is.
func openInput(path string) (*input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "check the path", "cannot read %s: %w", path, cause(err))
	}
	in := &input{path: path}
	if info.IsDir() {
		in.run, err = run.Open(path)
		return in, err
	}
	r, done, err := in.open()
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() {
		defer done()
	} else {
		in.once = &opened{r, done}
	}
	head, err := r.Peek(64)
	if err != nil && err != io.EOF {
		return nil, in.unreadable(err)
	}
	text := strings.TrimLeft(string(head), " \t\r\n")
	switch {
	case len(text) == 0:
		return nil, fail.Newf(fail.Usage, "check that the load test wrote it", "%s is empty", path)
	case strings.HasPrefix(string(head), sampleMagic):
		in.kind = kindSample
	case text[0] == '{':
		in.kind = kindNDJSON
	case strings.HasPrefix(text, "metric_name,"):
		in.kind = kindCSV
	default:
		return nil, fail.Newf(fail.Usage, "give k6's --out json or --out csv, a hoplab sample file or a run directory", "%s is no result file: it starts with %.20q", path, text)
	}
	return in, nil
}

func (in *input) name() string {
	if in.run != nil {
		return in.run.Name()
	}
	return filepath.Base(in.path)
}

func (in *input) nothing(what string) error {
	return fail.Newf(fail.Usage, "check --metric and --by", "%s holds no %s", in.path, what)
}

func (in *input) unreadable(err error) error {
	return fail.Newf(fail.Usage, "restore the file or make it again", "%s: %w", in.path, err)
}

func cause(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}

// open opens the file, through gzip when it is compressed.
func (in *input) open() (*bufio.Reader, func(), error) {
	if p := in.once; p != nil {
		r := p.r
		p.r = nil
		if r == nil {
			return nil, nil, fail.Newf(fail.Usage, "name the arms with --values, or write it to a file first", "%s is a pipe, which can be read only once", in.path)
		}
		return r, p.done, nil
	}
	f, err := os.Open(in.path)
	if err != nil {
		return nil, nil, fail.Newf(fail.Usage, "check the path and its permissions", "cannot read %s: %w", in.path, cause(err))
	}
	r := bufio.NewReaderSize(f, 64<<10)
	if head, _ := r.Peek(2); !isGzip(head) {
		return r, func() { f.Close() }, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		f.Close()
		return nil, nil, in.unreadable(err)
	}
	return bufio.NewReaderSize(z, 256<<10), func() { f.Close() }, nil
}

// read calls emit for every request of the file, in its order.
func (in *input) read(metric string, emit sink) error {
	if f, size := in.anywhere(); f != nil {
		defer f.Close()
		return in.explain(readSegments(func() source { return newSource(f) }, size, segment, metric, emit))
	}
	return in.readFront(metric, emit)
}

// readFront is read without going ahead of emit: for those who will not want
// the whole file.
func (in *input) readFront(metric string, emit sink) error {
	r, done, err := in.open()
	if err != nil {
		return err
	}
	defer done()
	switch in.kind {
	case kindCSV:
		err = readCSV(r, metric, emit)
	case kindSample:
		err = readSamples(r, emit)
	default:
		err = readNDJSON(r, metric, emit)
	}
	return in.explain(err)
}

func (in *input) explain(err error) error {
	if err == nil {
		return nil
	}
	return in.unreadable(err)
}

// anywhere opens NDJSON that can be read at any offset, which all cores can
// share: not through gzip, not from a pipe, and not worth it for a small file.
func (in *input) anywhere() (*os.File, int64) {
	if in.kind != kindNDJSON || in.once != nil {
		return nil, 0
	}
	f, err := os.Open(in.path)
	if err != nil {
		return nil, 0 // readFront says why
	}
	info, err := f.Stat()
	var head [2]byte
	if err == nil && info.Mode().IsRegular() && info.Size() >= 2*segment {
		if _, err := f.ReadAt(head[:], 0); err == nil && !isGzip(head[:]) {
			return f, info.Size()
		}
	}
	f.Close()
	return nil, 0
}

func isGzip(head []byte) bool { return len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b }
