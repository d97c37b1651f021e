package compare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// got is what a reader made of a file.
type got struct {
	events []string
	err    string
}

func describe(e event) string {
	return fmt.Sprint(e.at.UTC().Format(time.RFC3339Nano), e.latency, e.tags.values, e.tags.failed, e.tags.why)
}

func collect(read func(sink) error) got {
	var g got
	if err := read(func(e event) error { g.events = append(g.events, describe(e)); return nil }); err != nil {
		g.err = err.Error()
	}
	return g
}

func fastWay(data []byte) got {
	return collect(func(s sink) error { return readNDJSON(bytes.NewReader(data), DefaultMetric, newFound(), s) })
}

// inSegments reads the data in segments of a few bytes, on all cores.
func inSegments(data []byte, step int64) got {
	return collect(func(s sink) error {
		return readSegments(func() source { return &copies{r: bytes.NewReader(data)} }, int64(len(data)), step, DefaultMetric, newFound(), s)
	})
}

// fromFile reads the data in segments of a file, as compare does.
func fromFile(t *testing.T, path string, data []byte, step int64) got {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return collect(func(s sink) error {
		return readSegments(func() source { return newSource(f) }, int64(len(data)), step, DefaultMetric, newFound(), s)
	})
}

// byParser reads line by line with the real parser alone.
func byParser(data []byte) got {
	return collect(func(s sink) error {
		n := newNDJSON(DefaultMetric, s)
		lines := bytes.Split(data, []byte("\n"))
		for i, line := range lines {
			n.line = int64(i + 1)
			if i == len(lines)-1 {
				return n.end(line)
			}
			if err := n.parse(line); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	tags   = `{"arm":"a","expected_response":"true","status":"200"}`
	point  = `{"metric":"http_req_duration","type":"Point","data":{"time":"2026-11-21T04:19:56.448739744Z","value":0.639467,"tags":` + tags + `}}`
	other  = `{"metric":"http_req_blocked","type":"Point","data":{"time":"2026-11-21T04:19:56.448739744Z","value":0,"tags":` + tags + `}}`
	metric = `{"type":"Metric","data":{"name":"http_reqs","type":"counter","contains":"default","thresholds":[],"submetrics":null},"metric":"http_reqs"}`
)

// hostile are lines that a scanner for prefixes could get wrong. Each follows
// lines that taught the fast way everything it can know.
var hostile = map[string]string{
	"same":                          point,
	"metric given twice, last wins": strings.Replace(other, `}}}`, `}},"metric":"http_req_duration"}`, 1),
	"data given twice":              strings.Replace(point, `}}}`, `}},"data":{"time":"2020-01-01T00:00:00Z","value":7,"tags":{}}}`, 1),
	"type given twice":              strings.Replace(point, `}}}`, `}},"type":"Metric"}`, 1),
	"two values":                    strings.Replace(point, `,"tags"`, `,"value":9,"tags"`, 1),
	"escaped key":                   strings.Replace(other, `}}}`, `}},"m\u0065tric":"http_req_duration"}`, 1),
	"escaped tag":                   strings.Replace(point, `"arm":"a"`, `"arm":"\u0061b"`, 1),
	"quote in a tag":                strings.Replace(point, `"arm":"a"`, `"arm":"a\"}}}"`, 1),
	"newline escaped in a tag":      strings.Replace(point, `"arm":"a"`, `"arm":"a\nb"`, 1),
	"unicode tag":                   strings.Replace(point, `"arm":"a"`, `"arm":"äß→"`, 1),
	"tag twice":                     strings.Replace(point, `"arm":"a"`, `"arm":"x","arm":"b"`, 1),
	"tag is a number":               strings.Replace(point, `"arm":"a"`, `"arm":1`, 1),
	"tag is null":                   strings.Replace(point, `"arm":"a"`, `"arm":null`, 1),
	"tags are null":                 strings.Replace(point, tags, `null`, 1),
	"tags are a list":               strings.Replace(point, tags, `[]`, 1),
	"no tags":                       strings.Replace(point, `,"tags":`+tags, ``, 1),
	"empty tags":                    strings.Replace(point, tags, `{}`, 1),
	"metadata":                      strings.Replace(point, `}}}`, `},"metadata":{"trace":"x"}}}`, 1),
	"spaces":                        strings.ReplaceAll(point, `,"`, ` , "`),
	"space before":                  "  " + point,
	"carriage return":               point + "\r",
	"other order":                   `{"type":"Point","metric":"http_req_duration","data":{"tags":{"arm":"b"},"value":3,"time":"2026-11-21T04:19:56Z"}}`,
	"upper-case keys":               strings.Replace(point, `"metric"`, `"Metric"`, 1),
	"exponent":                      strings.Replace(point, `0.639467`, `6.39e-1`, 1),
	"huge exponent":                 strings.Replace(point, `0.639467`, `1e999`, 1),
	"huge number elsewhere":         strings.Replace(other, `"value":0`, `"value":1e999`, 1),
	"leading zero":                  strings.Replace(point, `0.639467`, `00.639467`, 1),
	"leading plus":                  strings.Replace(point, `0.639467`, `+0.639467`, 1),
	"no digit behind the point":     strings.Replace(point, `0.639467`, `1.`, 1),
	"no digit before the point":     strings.Replace(point, `0.639467`, `.5`, 1),
	"many digits":                   strings.Replace(point, `0.639467`, `0.`+strings.Repeat("639467", 9), 1),
	"minus":                         strings.Replace(point, `0.639467`, `-1`, 1),
	"minus elsewhere":               strings.Replace(other, `"value":0`, `"value":-1.5`, 1),
	"value is a string":             strings.Replace(point, `0.639467`, `"1"`, 1),
	"value is null":                 strings.Replace(point, `0.639467`, `null`, 1),
	"value is infinite":             strings.Replace(point, `0.639467`, `Infinity`, 1),
	"a latency of a year":           strings.Replace(point, `0.639467`, `31536000000`, 1),
	"time with an offset":           strings.Replace(point, `448739744Z`, `448739744+09:00`, 1),
	"no such day":                   strings.Replace(point, `2026-11-21`, `2026-02-30`, 1),
	"time escaped":                  strings.Replace(point, `T04:19`, `T\u0030\u0034:19`, 1),
	"leap second":                   strings.Replace(point, `56.448739744Z`, `60.0Z`, 1),
	"another second":                strings.Replace(point, `56.448739744Z`, `07.5Z`, 1),
	"no fraction":                   strings.Replace(point, `56.448739744Z`, `07Z`, 1),
	"empty fraction":                strings.Replace(point, `56.448739744Z`, `07.Z`, 1),
	"ten digits":                    strings.Replace(point, `56.448739744Z`, `56.4487397441Z`, 1),
	"comma for a point":             strings.Replace(point, `56.448739744Z`, `56,448739744Z`, 1),
	"one digit of a second":         strings.Replace(point, `56.448739744Z`, `5.4Z`, 1),
	"small z":                       strings.Replace(point, `56.448739744Z`, `56.4z`, 1),
	"year 0":                        strings.Replace(point, `2026-11-21`, `0000-01-01`, 1),
	"time is a number":              strings.Replace(point, `"2026-11-21T04:19:56.448739744Z"`, `17952347`, 1),
	"time missing":                  strings.Replace(point, `"time":"2026-11-21T04:19:56.448739744Z",`, ``, 1),
	"time cut":                      strings.Replace(point, `56.448739744Z`, `56.4`, 1),
	"cut":                           point[:len(point)/2],
	"cut in the tags":               point[:len(point)-3],
	"one brace missing":             point[:len(point)-1],
	"one brace too many":            point + "}",
	"two in a line":                 point + point,
	"interleaved writers":           other[:60] + point + other[60:],
	"interleaved in the tags":       point[:len(point)-20] + other,
	"not UTF-8":                     strings.Replace(point, `"arm":"a"`, "\"arm\":\"\xff\xfe\"", 1),
	"not UTF-8 elsewhere":           strings.Replace(other, `"arm":"a"`, "\"arm\":\"\xff\"", 1),
	"NUL":                           strings.Replace(point, `"arm":"a"`, "\"arm\":\"\x00\"", 1),
	"tab in a tag":                  strings.Replace(point, `"arm":"a"`, "\"arm\":\"\t\"", 1),
	"DEL in a tag":                  strings.Replace(point, `"arm":"a"`, "\"arm\":\"\x7f\"", 1),
	"lone surrogate":                strings.Replace(point, `"arm":"a"`, `"arm":"\ud800"`, 1),
	"byte-order mark":               "\ufeff" + point,
	"a list":                        `[1,2]`,
	"null":                          `null`,
	"a string":                      `"http_req_duration"`,
	"another type":                  strings.Replace(point, `"Point"`, `"Line"`, 1),
	"metric is a number":            strings.Replace(point, `"http_req_duration"`, `5`, 1),
	"longer metric name":            strings.Replace(point, `http_req_duration`, `http_req_duration_x`, 1),
	"shorter metric name":           strings.Replace(point, `http_req_duration`, `http_req`, 1),
	"submetric":                     strings.Replace(point, `http_req_duration`, `http_req_duration{arm:a}`, 1),
	"failed":                        strings.Replace(strings.Replace(point, `"true"`, `"false"`, 1), `"200"`, `"503"`, 1),
	"no response":                   strings.Replace(strings.Replace(point, `"true"`, `"false","error_code":"1211"`, 1), `"200"`, `"0"`, 1),
	"nested deep":                   strings.Replace(point, tags, strings.Repeat(`{"a":`, 5000)+`1`+strings.Repeat(`}`, 5000), 1),
	"blank":                         "   ",
	"metric declared again":         metric,
}

func TestHostileLinesMeanWhatARealParserSays(t *testing.T) {
	known := strings.Join([]string{metric, other, point, other, point, other, point}, "\n") + "\n"
	file := filepath.Join(t.TempDir(), "k6.ndjson")
	for name, line := range hostile {
		for _, after := range []string{"\n", "\n" + point + "\n", ""} {
			data := []byte(known + line + after)
			want, have := byParser(data), fastWay(data)
			if !reflect.DeepEqual(want, have) {
				t.Errorf("%s (then %q):\nfast   %v\nparser %v", name, after, have, want)
			}
			for _, step := range []int64{200, 1000, 5000} {
				if have := inSegments(data, step); !reflect.DeepEqual(want, have) {
					t.Errorf("%s (then %q), segments of %d:\nfast   %v\nparser %v", name, after, step, have, want)
				}
			}
			if have := fromFile(t, file, data, 1000); !reflect.DeepEqual(want, have) {
				t.Errorf("%s (then %q), from a file:\nfast   %v\nparser %v", name, after, have, want)
			}
		}
	}
}

// A number read the short way must be the float64 that strconv reads.
func TestAPlainNumberIsTheNearestFloat(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	texts := []string{"0", "0.0", "1", "-1.5", "0.1", "123456789012345", "12345678901234.5", "0.00000000000001",
		"99999999999999.9", "18446744073709551615"}
	for range 200_000 {
		texts = append(texts, strconv.FormatFloat(rng.ExpFloat64()*math.Pow10(rng.IntN(8)-4), 'f', rng.IntN(13), 64))
	}
	for _, text := range texts {
		if k := plainNumber([]byte(text + ",")); k != len(text) {
			continue
		}
		want, err := strconv.ParseFloat(text, 64)
		if have, ok := plainFloat([]byte(text)); !ok || err != nil || have != want {
			t.Fatalf("%s: got %v, %v; want %v", text, have, ok, want)
		}
	}
}

func TestTheFastWayIsTaken(t *testing.T) {
	data, err := os.ReadFile("testdata/k6.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	n := newNDJSON(DefaultMetric, func(event) error { return nil })
	used, err := n.scan(data, int64(len(data)))
	if err != nil || used != len(data) {
		t.Fatalf("%d of %d bytes, %v", used, len(data), err)
	}
	// Each metric is declared once, and its first point teaches its beginning.
	if limit := int64(2*len(n.prefixes) + 4); n.slow > limit {
		t.Errorf("%d of %d lines went to the parser; want at most %d", n.slow, n.line, limit)
	}
	if want, have := byParser(data), fastWay(data); !reflect.DeepEqual(want, have) || len(have.events) < 10 {
		t.Errorf("the fast way read %d events and %q, the parser %d and %q", len(have.events), have.err, len(want.events), want.err)
	}
}

func TestLinesMayBeCutAnywhereBetweenReads(t *testing.T) {
	data := []byte(strings.Repeat(strings.Join([]string{metric, other, point, hostile["unicode tag"]}, "\n")+"\n", 20))
	want := fastWay(data)
	for name, r := range map[string]io.Reader{
		"bytes":  iotest.OneByteReader(bytes.NewReader(data)),
		"halves": iotest.HalfReader(bytes.NewReader(data)),
		"at end": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		if have := collect(func(s sink) error { return readNDJSON(r, DefaultMetric, newFound(), s) }); !reflect.DeepEqual(want, have) {
			t.Errorf("%s: %d events and %q; want %d", name, len(have.events), have.err, len(want.events))
		}
	}
	broken := iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(data)))
	if have := collect(func(s sink) error { return readNDJSON(broken, DefaultMetric, newFound(), s) }); !strings.Contains(have.err, "line 1: cannot read on: timeout") {
		t.Errorf("a failing reader gives %q", have.err)
	}
}

func TestALineWithoutEndIsRefused(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(point+"\n"), strings.NewReader(`{"metric":"`+strings.Repeat("x", maxLine+1)))
	err := readNDJSON(endless, DefaultMetric, newFound(), func(event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "line 2: longer than") {
		t.Errorf("got %v; want line 2 refused for its length", err)
	}
}

// A line may be longer than what a segment looks beyond its end at first, or
// span several segments.
func TestALineMayBeLongerThanASegment(t *testing.T) {
	long := strings.Replace(point, `"arm":"a"`, `"arm":"`+strings.Repeat("x", 20*overhang)+`"`, 1)
	data := []byte(strings.Join([]string{point, long, other, long, point, long}, "\n"))
	want := byParser(data)
	if len(want.events) != 5 {
		t.Fatalf("the parser reads %d events, %s", len(want.events), want.err)
	}
	file := filepath.Join(t.TempDir(), "k6.ndjson")
	for _, step := range []int64{500, 100_000, 2_000_000} {
		if have := fromFile(t, file, data, step); !reflect.DeepEqual(want, have) {
			t.Errorf("segments of %d: %d events and %q; want %d and %q", step, len(have.events), have.err, len(want.events), want.err)
		}
	}
	data = append(data, bytes.Repeat([]byte("x"), maxLine)...)
	if have := fromFile(t, file, data, 100_000); !strings.Contains(have.err, "line 6: longer than") {
		t.Errorf("got %q; want line 6 refused for its length", have.err)
	}
}

// A file that is cut while it is read is an error, even where its bytes are
// mapped and the system answers with a fault.
func TestAFileThatGetsShorterIsAnError(t *testing.T) {
	line := point + "\n"
	data := strings.Repeat(line, 200_000)
	for name, open := range map[string]func(*os.File) source{
		"as compare reads": newSource,
		"copied":           func(f *os.File) source { return &copies{r: f} },
	} {
		path := filepath.Join(t.TempDir(), "k6.ndjson")
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = readSegments(func() source { return open(f) }, int64(len(data)), 1<<20, DefaultMetric, newFound(), func(event) error {
			if n++; n == 1 {
				return os.Truncate(path, int64(len(line)*2))
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "cannot read on: the file became shorter") {
			t.Errorf("%s: %d events, %v", name, n, err)
		}
		f.Close()
	}
}

func TestAnErrorOfTheSinkNamesTheLine(t *testing.T) {
	data := strings.Repeat(other+"\n"+point+"\n", 3)
	n := 0
	err := readNDJSON(strings.NewReader(data), DefaultMetric, newFound(), func(event) error {
		if n++; n == 3 {
			return errors.New("enough")
		}
		return nil
	})
	if err == nil || err.Error() != "line 6: enough" {
		t.Errorf("got %v; want line 6", err)
	}
}

// Tags that never repeat must not take more and more memory.
func TestMemoryDoesNotDependOnTheSize(t *testing.T) {
	layer.Full(t, "reads some 100 MB")
	lines := &endless{n: 300_000}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	count := 0
	err := readNDJSON(lines, DefaultMetric, newFound(), func(event) error {
		if count++; count%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
		}
		return nil
	})
	if err != nil || count != lines.n {
		t.Fatalf("%d events, %v", count, err)
	}
	if most > 16<<20 {
		t.Errorf("%d MB in use while reading", most>>20)
	}
}

// endless writes points whose URL never repeats.
type endless struct {
	n, i int
	rest []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.i == e.n {
			return 0, io.EOF
		}
		e.i++
		e.rest = []byte(strings.Replace(point, `"arm":"a"`, fmt.Sprintf(`"url":"http://x/%d"`, e.i), 1) + "\n")
	}
	k := copy(p, e.rest)
	e.rest = e.rest[k:]
	return k, nil
}

func FuzzNDJSON(f *testing.F) {
	for _, line := range hostile {
		f.Add([]byte(other + "\n" + point + "\n" + line + "\n" + point + "\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if want, have := byParser(data), fastWay(data); !reflect.DeepEqual(want, have) {
			t.Errorf("fast   %v\nparser %v", have, want)
		} else if have := inSegments(data, 300); !reflect.DeepEqual(want, have) {
			t.Errorf("segments %v\nparser   %v", have, want)
		}
	})
}

// BenchmarkNDJSON reads k6's usual lines from memory. k6 declares each metric
// once, so the declarations are left out of what is repeated.
func BenchmarkNDJSON(b *testing.B) {
	data, err := os.ReadFile("testdata/k6.ndjson")
	if err != nil {
		b.Fatal(err)
	}
	var points []byte
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(`"type":"Point"`)) {
			points = append(points, line...)
		}
	}
	data = bytes.Repeat(points, 256<<20/len(points))
	b.SetBytes(int64(len(data)))
	for range b.N {
		if err := readNDJSON(bytes.NewReader(data), DefaultMetric, newFound(), func(event) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
