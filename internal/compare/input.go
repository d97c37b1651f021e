package compare

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
)

// input is one thing to compare.
type input struct {
	path string
	form form
	run  *run.Dir // for a run directory
	once *opened  // for a pipe, which is opened once
}

// opened is a pipe whose beginning was looked at.
type opened struct {
	r    *bufio.Reader // nil when somebody has read it
	done func()
}

// lookAhead is how much of a file's beginning is looked at to tell its form.
const lookAhead = 64 << 10

// openInput looks at the beginning of a file to tell what it is.
func openInput(path string) (*input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "check the path", "cannot read %s: %w", path, cause(err))
	}
	in := &input{path: path}
	if info.IsDir() {
		if in.run, err = run.Open(path); errors.Is(err, run.ErrNoRun) {
			return nil, fail.Newf(fail.Usage, "give the result files in it, or the directory of a run of hoplab",
				"%s is a directory without a %s", path, run.PlanFile)
		}
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
	head, err := r.Peek(lookAhead)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, in.unreadable(err)
	}
	whole := err == io.EOF
	head = bytes.TrimPrefix(head, byteOrderMark)
	if len(bytes.TrimSpace(head)) == 0 {
		return nil, fail.Newf(fail.Usage, "check that the load test wrote it", "%s is empty", path)
	}
	f, other := formOf(head, whole)
	if other != nil {
		return nil, fail.Newf(fail.Usage, other.step, "%s is %s", path, other.is)
	}
	in.form = f
	return in, nil
}

func (in *input) name() string {
	if in.run != nil {
		return in.run.Name()
	}
	return filepath.Base(in.path)
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

// open opens the file, through gzip or bzip2 when it is compressed, and as UTF-8
// when it is UTF-16.
func (in *input) open() (*bufio.Reader, func(), error) {
	if p := in.once; p != nil {
		r := p.r
		p.r = nil
		if r == nil {
			return nil, nil, fail.Newf(fail.Usage, "write it to a file first", "%s is a pipe, which can be read only once", in.path)
		}
		return r, p.done, nil
	}
	f, err := os.Open(in.path)
	if err != nil {
		return nil, nil, fail.Newf(fail.Usage, "check the path and its permissions", "cannot read %s: %w", in.path, cause(err))
	}
	done := func() { f.Close() }
	r := bufio.NewReaderSize(f, lookAhead)
	head, _ := r.Peek(4)
	switch {
	case isGzip(head):
		z, err := gzip.NewReader(r)
		if err != nil {
			f.Close()
			return nil, nil, in.unreadable(err)
		}
		r = bufio.NewReaderSize(z, 256<<10)
	case bytes.HasPrefix(head, []byte("BZh")):
		r = bufio.NewReaderSize(bzip2.NewReader(r), 256<<10)
	}
	if head, _ = r.Peek(2); bytes.Equal(head, []byte("\xff\xfe")) || bytes.Equal(head, []byte("\xfe\xff")) {
		text := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()
		r = bufio.NewReaderSize(transform.NewReader(r, text), 256<<10)
	}
	return r, done, nil
}

// read calls emit for every request of the file, in its order, and notes in f
// what else it holds.
func (in *input) read(w *wanted, f *found, emit sink) error {
	if file, size := in.anywhere(); file != nil {
		defer file.Close()
		return in.explain(readSegments(func() source { return newSource(file) }, size, segment, w.metric, f, emit))
	}
	r, done, err := in.open()
	if err != nil {
		return err
	}
	defer done()
	switch in.form {
	case formCSV:
		err = readCSV(r, w.metric, f, emit)
	case formSample:
		err = readSamples(r, emit)
	case formJSON:
		err = readJSON(r, w.metric, f, emit)
	case formVegeta:
		err = readVegeta(r, f, emit)
	case formVegetaCSV:
		err = readVegetaCSV(r, f, emit)
	case formALB:
		err = readALB(r, w, f, emit)
	case formAgent:
		err = readAgentLog(r, w, f, emit)
	case formAgentJSON:
		err = readAgentValues(r, w, f, emit)
	case formEvents:
		err = readLogEvents(r, w, f, emit)
	default:
		err = readNDJSON(r, w.metric, f, emit)
	}
	return in.explain(err)
}

// wanted is what a reader is asked for.
type wanted struct {
	metric string
	// tags are those that something depends on: of an access log no others are
	// made, since many requests share none.
	tags []string
}

func (in *input) explain(err error) error {
	if err == nil || fail.HintOf(err) != "" {
		return err
	}
	return in.unreadable(err)
}

// anywhere opens NDJSON that can be read at any offset, which all cores can
// share: not through gzip, not from a pipe, and not worth it for a small file.
func (in *input) anywhere() (*os.File, int64) {
	if in.form != formNDJSON || in.once != nil {
		return nil, 0
	}
	f, err := os.Open(in.path)
	if err != nil {
		return nil, 0 // read says why
	}
	info, err := f.Stat()
	var head [4]byte
	if err == nil && info.Mode().IsRegular() && info.Size() >= 2*segment {
		if _, err := f.ReadAt(head[:],
			0); err == nil && !isGzip(head[:]) && head[0] != 0xff && head[0] != 0xfe && !bytes.HasPrefix(head[:], []byte("BZh")) {
			return f, info.Size()
		}
	}
	f.Close()
	return nil, 0
}

func isGzip(head []byte) bool { return len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b }
