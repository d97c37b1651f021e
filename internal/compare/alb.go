package compare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
)

// Fields of an ALB access log entry by their places, as AWS lists them. Entries
// of other years have more or fewer at the end; only these are needed.
const (
	albType = iota
	albTime // when the response was sent
	albELB
	albClient
	albTarget
	albRequestTime  // until the request was sent to the target
	albTargetTime   // until the target began to answer
	albResponseTime // until the response was sent on
	albStatus
	albTargetStatus
	albReceived
	albSent
	albRequest
	albUserAgent
	albCipher
	albProtocol
	albTargetGroup
	albTraceID
	albDomain
	albFields                  // how many are looked at
	albLeast  = albTraceID + 1 // the oldest entries end here
)

// Times of an ALB access log that can be compared; the first is the default.
const (
	albTargetMetric   = "target_processing_time"
	albRequestMetric  = "request_processing_time"
	albResponseMetric = "response_processing_time"
	albTotalMetric    = "total_time"
)

// albMetrics lists them, for messages.
var albMetrics = []string{albTargetMetric, albRequestMetric, albResponseMetric, albTotalMetric}

// albTags are the tags of an ALB entry, and how each is read from its fields.
var albTags = map[string]func(*albEntry) []byte{
	"type":               func(e *albEntry) []byte { return e.field[albType] },
	"elb":                func(e *albEntry) []byte { return e.field[albELB] },
	"client":             func(e *albEntry) []byte { return hostOf(e.field[albClient]) },
	"target":             func(e *albEntry) []byte { return e.field[albTarget] },
	"target_port":        func(e *albEntry) []byte { return portOf(e.field[albTarget]) },
	"elb_status_code":    func(e *albEntry) []byte { return e.field[albStatus] },
	"status":             func(e *albEntry) []byte { return e.field[albStatus] },
	"target_status_code": func(e *albEntry) []byte { return e.field[albTargetStatus] },
	"user_agent":         func(e *albEntry) []byte { return e.field[albUserAgent] },
	"target_group_arn":   func(e *albEntry) []byte { return e.field[albTargetGroup] },
	"target_group":       func(e *albEntry) []byte { return groupOf(e.field[albTargetGroup]) },
	"domain":             func(e *albEntry) []byte { return e.field[albDomain] },
	"method":             func(e *albEntry) []byte { method, _, _ := e.request(); return method },
	"host":               func(e *albEntry) []byte { _, host, _ := e.request(); return hostOf(host) },
	"listener_port":      func(e *albEntry) []byte { return e.listenerPort() },
	"name":               func(e *albEntry) []byte { _, _, path := e.request(); return path },
}

// albEntry is one line, cut into fields.
type albEntry struct {
	field [albFields][]byte
	n     int
}

// split cuts a line. Quoted fields may hold spaces and escaped quotes. One whose
// quotes do not end is none: the line was cut there.
func (e *albEntry) split(line []byte) {
	e.n = 0
	for len(line) > 0 && e.n < albFields {
		var end int
		if line[0] == '"' {
			end = 1
			for end < len(line) && line[end] != '"' {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(line) {
				break
			}
			e.field[e.n] = line[1:end]
			end = min(end+2, len(line))
		} else {
			if end = bytes.IndexByte(line, ' '); end < 0 {
				end = len(line)
			}
			e.field[e.n] = line[:end]
			end = min(end+1, len(line))
		}
		line = line[end:]
		e.n++
	}
	for i := e.n; i < albFields; i++ {
		e.field[i] = nil
	}
}

// request is the method, the host with its port and the path without a query:
// `GET https://host:443/path?query HTTP/1.1`.
func (e *albEntry) request() (method, host, path []byte) {
	method, rest, _ := bytes.Cut(e.field[albRequest], []byte(" "))
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 {
		rest = rest[:i]
	}
	if _, after, ok := bytes.Cut(rest, []byte("://")); ok {
		rest = after
	}
	host, path = rest, nil
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	return method, host, path
}

func (e *albEntry) listenerPort() []byte {
	_, host, _ := e.request()
	return portOf(host)
}

func portOf(hostPort []byte) []byte {
	if i := bytes.LastIndexByte(hostPort, ':'); i >= 0 {
		return hostPort[i+1:]
	}
	return nil
}

func hostOf(hostPort []byte) []byte {
	if i := bytes.LastIndexByte(hostPort, ':'); i >= 0 {
		return hostPort[:i]
	}
	return hostPort
}

// groupOf is a target group's name: arn:aws:...:targetgroup/NAME/ID.
func groupOf(arn []byte) []byte {
	_, rest, ok := bytes.Cut(arn, []byte(":targetgroup/"))
	if !ok {
		return arn
	}
	name, _, _ := bytes.Cut(rest, []byte("/"))
	return name
}

// isNone reports whether a time is -1: the request did not come so far.
func isNone(b []byte) bool { return len(b) > 0 && b[0] == '-' }

// outcome says why a request has no latency that counts, or "". A status below
// 500 that a target answered is an answer.
func (e *albEntry) outcome() string {
	status, target := string(e.field[albStatus]), e.field[albTargetStatus]
	noRequest, noTarget := isNone(e.field[albRequestTime]), isNone(e.field[albTargetTime])
	pattern := ""
	for _, f := range []int{albRequestTime, albTargetTime, albResponseTime} {
		if isNone(e.field[f]) {
			pattern += " -1"
		} else {
			pattern += " t"
		}
	}
	answered := len(target) > 0 && target[0] != '-'
	server := len(status) == 3 && status[0] == '5'
	why := ""
	switch {
	case !noTarget && answered && !server:
		return ""
	case status == "460":
		why = "the client closed the connection first"
	case answered && string(target) == status:
		return status + " from the target"
	case len(e.field[albTarget]) > 0 && e.field[albTarget][0] == '-' && status == "503":
		why = "no target to send it to"
	case status == "504" && noRequest:
		why = "no connection to the target in time"
	case status == "504":
		why = "no answer from the target in time"
	case status == "502" && noRequest:
		why = "no connection to the target"
	case status == "502" && noTarget:
		why = "the target closed the connection"
	case status == "502":
		why = "the target's answer could not be understood"
	case !noTarget && !server:
		return "" // answered by the load balancer itself, such as a redirect
	default:
		why = "not answered by a target"
	}
	return status + ", " + why + " (" + strings.TrimSpace(pattern) + ")"
}

// albReader turns lines into events. It belongs to one goroutine.
type albReader struct {
	metric string
	names  []string // tags that are made
	read   []func(*albEntry) []byte
	paths  map[string]bool // seen, so that endless ones are no tag
	cache  map[string]*tagSet
	key    []byte
	clock  clock
}

// mostPaths is how many paths are told apart; where there are more, as with
// identifiers in them, the path is no tag.
const mostPaths = 200

func newALBReader(w *wanted) (*albReader, error) {
	r := &albReader{metric: w.metric, cache: map[string]*tagSet{}, paths: map[string]bool{}}
	if r.metric == DefaultMetric {
		r.metric = albTargetMetric
	}
	if !slices.Contains(albMetrics, r.metric) {
		return nil, fail.Newf(fail.Usage, "compare one of "+few(albMetrics), "an ALB access log holds no %s", w.metric)
	}
	for _, name := range append([]string{"method", "name"}, w.tags...) {
		if of, known := albTags[name]; known && !slices.Contains(r.names, name) {
			r.names, r.read = append(r.names, name), append(r.read, of)
		}
	}
	return r, nil
}

// event reads one line.
func (r *albReader) event(line []byte, e *albEntry) (event, error) {
	e.split(line)
	if e.n < albLeast {
		return event{}, fmt.Errorf("%d fields; an ALB access log entry has at least %d", e.n, albLeast)
	}
	at, err := r.clock.read(e.field[albTime])
	if err != nil {
		return event{}, err
	}
	out := event{at: at, tags: r.tags(e)}
	if out.tags.failed {
		return out, nil
	}
	var sum time.Duration
	for i, name := range []string{albRequestMetric, albTargetMetric, albResponseMetric} {
		if r.metric != name && r.metric != albTotalMetric {
			continue
		}
		d, err := secondsOf(e.field[albRequestTime+i])
		if err != nil {
			return out, err
		}
		sum += max(0, d)
	}
	out.latency = sum
	return out, nil
}

func (r *albReader) tags(e *albEntry) *tagSet {
	key := append(r.key[:0], e.field[albStatus]...)
	key = append(key, ' ')
	key = append(key, e.field[albTargetStatus]...)
	for _, f := range []int{albRequestTime, albTargetTime, albResponseTime} {
		if isNone(e.field[f]) {
			key = append(key, '-')
		} else {
			key = append(key, 't')
		}
	}
	if t := e.field[albTarget]; len(t) == 1 {
		key = append(key, '-')
	}
	for i, of := range r.read {
		v := of(e)
		if r.names[i] == "name" {
			if len(r.paths) > mostPaths {
				v = nil
			} else if !r.paths[string(v)] {
				r.paths[string(v)] = true
			}
		}
		key = append(append(key, 0), v...)
	}
	r.key = key
	if t := r.cache[string(key)]; t != nil {
		return t
	}
	t := &tagSet{values: map[string]string{"status": string(e.field[albStatus])}}
	for i, of := range r.read {
		if v := of(e); len(v) > 0 && string(v) != "-" && (r.names[i] != "name" || len(r.paths) <= mostPaths) {
			t.values[r.names[i]] = string(v)
		}
	}
	if why := e.outcome(); why != "" {
		t.failed, t.why = true, why
	}
	if len(r.cache) == maxTails {
		clear(r.cache)
	}
	r.cache[string(key)] = t
	return t
}

// secondsOf reads "0.002" as a duration; -1 is negative.
func secondsOf(b []byte) (time.Duration, error) {
	s := b
	if isNone(s) {
		return -1, nil
	}
	var v int64
	scale := int64(1e9)
	point := false
	for _, c := range s {
		switch {
		case c == '.' && !point:
			point = true
		case c >= '0' && c <= '9' && !point && v < 1e6:
			v = v*10 + int64(c-'0')
		case c >= '0' && c <= '9' && point && scale > 1:
			scale /= 10
			v = v*10 + int64(c-'0')
		default:
			return 0, fmt.Errorf("a time of %.20q: expected seconds", b)
		}
	}
	if len(s) == 0 {
		return 0, errors.New("a time is empty")
	}
	return time.Duration(v * scale), nil
}

// clock reads times in UTC that mostly lie in the minute of the one before.
type clock struct {
	minute []byte
	at     time.Time
}

func (c *clock) read(b []byte) (time.Time, error) {
	const second = upToMinute + 2
	if len(b) > second && len(c.minute) == upToMinute && bytes.Equal(b[:upToMinute], c.minute) && b[len(b)-1] == 'Z' {
		s, err := secondsOf(b[upToMinute : len(b)-1])
		if err == nil && s >= 0 && s < time.Minute {
			return c.at.Add(s), nil
		}
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return t, fmt.Errorf("time %.40q: expected RFC 3339", b)
	}
	if len(b) > second && b[len(b)-1] == 'Z' {
		c.minute, c.at = append(c.minute[:0], b[:upToMinute]...), t.Truncate(time.Minute)
	}
	return t, nil
}

// readALB calls emit for every entry of an ALB access log, in its order. Reading
// and unpacking, parsing, and what emit does run side by side. Errors name the line.
func readALB(r io.Reader, w *wanted, f *found, emit sink) error {
	reader, err := newALBReader(w)
	if err != nil {
		return err
	}
	for _, name := range albMetrics {
		f.saw(name, declaration{"trend", "time"})
	}
	for name := range albTags {
		f.tags[name] = true
	}
	return inChunks(r, f, emit, func(lines []byte, events []event) ([]event, int64, error) {
		var e albEntry
		n := int64(0)
		for len(lines) > 0 {
			line, rest, _ := bytes.Cut(lines, []byte("\n"))
			lines = rest
			n++
			if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
				continue
			}
			ev, err := reader.event(line, &e)
			if err != nil {
				return events, n, err
			}
			ev.line = n
			events = append(events, ev)
		}
		return events, n, nil
	})
}
