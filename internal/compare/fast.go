package compare

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// prefix is the beginning of a line up to its time.
type prefix struct {
	text   []byte
	name   string
	wanted bool
	tells  bool  // of http_req_failed and dropped_iterations
	last   *tail // of the last line that began so
}

// tail is a line from its tags to its end.
type tail struct {
	text []byte
	tags *tagSet
}

// none begins no line.
var none = &tail{text: []byte("\n")}

var (
	openMetric = []byte(`{"metric":"`)
	openTime   = []byte(`","type":"Point","data":{"time":"`)
	openTags   = []byte(`,"tags":{`)
	closeLine  = []byte("}}\n")
)

// openValue is what stands between a time and a value.
const openValue = `","value":`

// learn remembers the beginning of a line that parse found sound.
func (n *ndjson) learn(line []byte) {
	if !bytes.HasPrefix(line, openMetric) || len(n.prefixes) == maxPrefixes {
		return
	}
	name := plainString(line[len(openMetric):])
	end := len(openMetric) + len(name)
	if !bytes.HasPrefix(line[end:], openTime) {
		return
	}
	end += len(openTime)
	for _, p := range n.prefixes {
		if bytes.Equal(p.text, line[:end]) {
			return
		}
	}
	n.prefixes = append(n.prefixes, newPrefix(bytes.Clone(line[:end]), string(name), n.metric))
}

func newPrefix(text []byte, name, metric string) *prefix {
	return &prefix{text: text, name: name, wanted: name == metric, last: none,
		tells: name != metric && (name == droppedMetric || name == failedMetric)}
}

// plainString is the beginning of b up to a quote, as far as it stands for
// itself in JSON and in ASCII.
func plainString(b []byte) []byte {
	for i, c := range b {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return b[:i]
		}
	}
	return b
}

// fast takes the line at the beginning of b if it has the exact form, and
// returns its length with the line end. 0 means that it must be parsed.
func (n *ndjson) fast(b []byte) (used int, err error) {
	p := n.begin(b)
	if p == nil {
		return 0, nil
	}
	i := len(p.text)
	k := n.time(b[i:])
	if k == 0 {
		return 0, nil
	}
	i += k
	k = plainNumber(b[i:])
	if k == 0 {
		return 0, nil
	}
	value := b[i : i+k]
	i += k
	tags, k := n.tail(p, b[i:])
	if k == 0 {
		return 0, nil
	}
	i += k
	if !p.wanted && !p.tells {
		return i, nil
	}
	v, ok := plainFloat(value)
	if !ok {
		return 0, nil
	}
	if p.tells && p.name != droppedMetric && !tells(p.name, n.metric, tags) {
		return i, nil
	}
	e := event{at: n.at, tags: tags}
	if p.wanted {
		if e.latency, err = latencyOf(v); err != nil {
			n.found.negative++
			return i, nil
		}
	} else if err := n.found.take(&e, p.name, n.metric, v); err != nil || p.name == droppedMetric {
		return i, err
	}
	if err := n.send(e); err != nil {
		return 0, err
	}
	return i, nil
}

// begin finds the prefix of b: first the one that is due, then any.
func (n *ndjson) begin(b []byte) *prefix {
	if len(n.prefixes) == 0 {
		return nil
	}
	if p := n.prefixes[n.next]; bytes.HasPrefix(b, p.text) {
		n.expect(n.next + 1)
		return p
	}
	for i, p := range n.prefixes {
		if bytes.HasPrefix(b, p.text) {
			n.expect(i + 1)
			return p
		}
	}
	return nil
}

func (n *ndjson) expect(next int) {
	if next == len(n.prefixes) {
		next = 0
	}
	n.next = next
}

// time takes a time and what stands between it and the value, and returns
// their length, 0 when it is none.
func (n *ndjson) time(b []byte) int {
	if len(n.when) > 0 && bytes.HasPrefix(b, n.when) {
		return len(n.when)
	}
	k, at := n.sameMinute(b)
	if k == 0 {
		k, at = n.anyTime(b)
	}
	if k == 0 || len(b)-k < len(openValue) || string(b[k:k+len(openValue)]) != openValue {
		return 0
	}
	k += len(openValue)
	n.when, n.at = append(n.when[:0], b[:k]...), at
	return k
}

// upToMinute is the length of "2006-01-02T15:04:".
const upToMinute = 17

// anyTime reads a time and returns its length.
func (n *ndjson) anyTime(b []byte) (int, time.Time) {
	const longest = 40
	k := bytes.IndexByte(b[:min(len(b), longest)], '"')
	if k < 0 {
		return 0, time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(b[:k]))
	if err != nil {
		return 0, at
	}
	if k > upToMinute && b[k-1] == 'Z' {
		n.minute, n.minuteAt = append(n.minute[:0], b[:upToMinute]...), at.Truncate(time.Minute)
	}
	return k, at
}

// sameMinute reads a time in UTC that begins as an earlier one did, up to the
// minute: only seconds and up to nine digits of their fraction are new.
func (n *ndjson) sameMinute(b []byte) (int, time.Time) {
	const second = upToMinute + 2
	if len(b) < second+2 || len(n.minute) == 0 || !bytes.HasPrefix(b, n.minute) {
		return 0, time.Time{}
	}
	tens, ones := b[upToMinute]-'0', b[upToMinute+1]-'0'
	if tens > 5 || ones > 9 {
		return 0, time.Time{}
	}
	i, nanos := second, int64(0)
	if b[i] == '.' {
		scale := int64(1e9)
		for i++; i < len(b) && b[i]-'0' <= 9 && scale > 1; i++ {
			scale /= 10
			nanos += int64(b[i]-'0') * scale
		}
		if i == second+1 {
			return 0, time.Time{}
		}
	}
	if i >= len(b) || b[i] != 'Z' {
		return 0, time.Time{}
	}
	since := time.Duration(int64(tens)*10+int64(ones))*time.Second + time.Duration(nanos)
	return i + 1, n.minuteAt.Add(since)
}

// plainNumber is the length of a JSON number without exponent and with at most
// 20 digits, 0 when there is none: those every parser reads without trouble.
func plainNumber(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == first || (b[first] == '0' && i > first+1) {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		point := i
		for i++; i < len(b) && b[i]-'0' <= 9; i++ {
		}
		if i == point+1 {
			return 0
		}
	}
	if i-first > 21 || i == len(b) || b[i] != ',' {
		return 0
	}
	return i
}

// powers are those of ten that a float64 holds exactly, as far as they are needed.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// plainFloat is the value of a plainNumber without a sign and with at most 15
// digits: they and the power of ten are exact, so that their quotient is the
// float64 nearest to the number, which is what strconv.ParseFloat gives.
func plainFloat(b []byte) (float64, bool) {
	if len(b) >= len(powers) || b[0] == '-' {
		v, err := strconv.ParseFloat(string(b), 64)
		return v, err == nil
	}
	var digits int64
	fraction := 0
	for i, c := range b {
		if c == '.' {
			fraction = len(b) - 1 - i
			continue
		}
		digits = digits*10 + int64(c-'0')
	}
	return float64(digits) / powers[fraction], true
}

// tail takes the tags and the end of a line with the prefix p, and returns its
// length, 0 when it must be parsed.
func (n *ndjson) tail(p *prefix, b []byte) (*tagSet, int) {
	if bytes.HasPrefix(b, n.last.text) {
		p.last = n.last
		return n.last.tags, len(n.last.text)
	}
	if bytes.HasPrefix(b, p.last.text) {
		n.last = p.last
		return n.last.tags, len(n.last.text)
	}
	k := bytes.IndexByte(b[:min(len(b), maxTailSize)], '\n') + 1
	if k == 0 {
		return nil, 0
	}
	t, known := n.tails[string(b[:k])]
	if !known {
		values, ok := plainTags(b[:k])
		if !ok {
			return nil, 0
		}
		if len(n.tails) == maxTails {
			clear(n.tails) // tags that never repeat, such as unique URLs
		}
		n.found.sawTags(values)
		t = &tail{bytes.Clone(b[:k]), newTagSet(values, n.metric)}
		n.tails[string(t.text)] = t
	}
	n.last, p.last = t, t
	return t.tags, k
}

var errNotPlain = errors.New("not plain")

// plainTags reads `,"tags":{"k":"v",...}}}` and the line end, if every string
// stands for itself.
func plainTags(b []byte) (map[string]string, bool) {
	if !bytes.HasPrefix(b, openTags) {
		return nil, false
	}
	b = b[len(openTags):]
	values := map[string]string{}
	take := func(after string) (string, error) {
		if len(b) == 0 || b[0] != '"' {
			return "", errNotPlain
		}
		s := plainString(b[1:])
		rest := b[1+len(s):]
		if !bytes.HasPrefix(rest, []byte(after)) {
			return "", errNotPlain
		}
		b = rest[len(after):]
		return string(s), nil
	}
	if len(b) > 0 && b[0] == '}' {
		return values, bytes.Equal(b[1:], closeLine)
	}
	for {
		key, err := take(`":`)
		if err != nil {
			return nil, false
		}
		value, err := take(`"`)
		if err != nil {
			return nil, false
		}
		values[key] = value
		if len(b) == 0 {
			return nil, false
		}
		c := b[0]
		b = b[1:]
		switch c {
		case ',':
		case '}':
			return values, bytes.Equal(b, closeLine)
		default:
			return nil, false
		}
	}
}
