package compare

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// csvColumns are the columns of k6's CSV output that are no tags.
var csvColumns = map[string]bool{"metric_name": true, "timestamp": true, "metric_value": true, "extra_tags": true, "metadata": true}

// readCSV calls emit for every row of the metric, in the file's order, and notes
// in f what else the file holds. Tags stand in columns of their own or, in random
// order, in extra_tags. Of a file that ends inside a row the whole rows are used.
// Errors name the line.
func readCSV(r *bufio.Reader, metric string, f *found, emit sink) error {
	if head, _ := r.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		_, _ = r.Discard(len(byteOrderMark))
	}
	comma, err := separator(r)
	if err != nil {
		return err
	}
	limit := &rowLimit{r: r}
	c := csv.NewReader(limit)
	c.ReuseRecord, c.Comma = true, comma
	head, err := c.Read()
	if err != nil {
		return fmt.Errorf("line 1: %w", csvError(err))
	}
	col, err := columnsOf(head)
	if err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	col.commas = comma != ','
	tags := map[string]*tagSet{}
	var key []byte
	for {
		limit.reset()
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			f.cut = "its compressed data ends too early"
			return nil
		}
		if err != nil {
			if c.InputOffset() >= limit.all && limit.ended && !limit.lineEnd {
				f.cut = "its last row is not complete"
				return nil
			}
			var at *csv.ParseError
			if errors.As(err, &at) {
				return fmt.Errorf("line %d: %w", at.Line, at.Err)
			}
			return csvError(err)
		}
		line, _ := c.FieldPos(0)
		name := row[col.name]
		if !utf8.ValidString(name) {
			return fmt.Errorf("line %d: the metric's name is not UTF-8", line)
		}
		if _, known := f.metrics[name]; !known {
			f.saw(name, declaration{})
		}
		if name != metric && name != droppedMetric && name != failedMetric {
			continue
		}
		key = key[:0]
		for _, i := range col.tag {
			key = append(append(key, row[i]...), 0)
		}
		t := tags[string(key)]
		if t == nil {
			values, err := col.tags(row)
			if err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			t = newTagSet(system(values), metric)
			t.values = values
			f.sawTags(values)
			if len(tags) == maxTails {
				clear(tags)
			}
			tags[string(key)] = t
		}
		if name != metric && name != droppedMetric && !tells(name, metric, t) {
			continue
		}
		e, v, err := col.event(row)
		if err == nil {
			e.tags = t
			err = f.take(&e, name, metric, v)
		}
		switch {
		case errors.As(err, &noLatency{}):
			f.negative++
			continue
		case err == nil && name == droppedMetric && name != metric:
			continue
		case err == nil:
			err = emit(e)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// csvHead is how k6's CSV begins, also when a spreadsheet has saved it.
var csvHead = regexp.MustCompile(`^(?:sep=.\r?\n)?"?metric_name"?([,;\t])`)

// separator is what stands between the columns. It consumes a line before the
// head that names it, as spreadsheets write.
func separator(r *bufio.Reader) (rune, error) {
	head, _ := r.Peek(64)
	m := csvHead.FindSubmatch(head)
	if m == nil {
		return ',', nil // whoever needs the columns says what is missing
	}
	if bytes.HasPrefix(head, []byte("sep=")) {
		if _, err := r.ReadSlice('\n'); err != nil {
			return 0, err
		}
	}
	return rune(m[1][0]), nil
}

func csvError(err error) error {
	if err == io.EOF {
		return errors.New("the file is empty")
	}
	return err
}

// columns is where things stand in a row.
type columns struct {
	name, time, value int
	extra             int // -1 when there is none
	tag               []int
	tagName           []string
	commas            bool // a decimal point may be a comma
}

func columnsOf(head []string) (columns, error) {
	c := columns{name: -1, time: -1, value: -1, extra: -1}
	for i, h := range head {
		switch h {
		case "metric_name":
			c.name = i
		case "timestamp":
			c.time = i
		case "metric_value":
			c.value = i
		case "extra_tags":
			c.extra = i
		}
		if !csvColumns[h] || h == "extra_tags" {
			c.tag = append(c.tag, i)
			c.tagName = append(c.tagName, strings.Clone(h))
		}
	}
	if c.name < 0 || c.time < 0 || c.value < 0 {
		return c, errors.New("not k6's CSV output: it has no columns metric_name, timestamp and metric_value")
	}
	return c, nil
}

// tags collects a row's tags, whichever order extra_tags has them in.
func (c *columns) tags(row []string) (map[string]string, error) {
	values := map[string]string{}
	for k, i := range c.tag {
		if !utf8.ValidString(row[i]) {
			return nil, fmt.Errorf("column %s is not UTF-8", c.tagName[k])
		}
		if i != c.extra {
			if row[i] != "" {
				values[c.tagName[k]] = strings.Clone(row[i])
			}
			if v := values[expectedTag]; v == "TRUE" || v == "FALSE" {
				values[expectedTag] = strings.ToLower(v) // saved by a spreadsheet
			}
			continue
		}
		if row[i] == "" {
			continue
		}
		last := ""
		for _, pair := range strings.Split(row[i], "&") {
			key, value, ok := strings.Cut(pair, "=")
			if last != "" && (!ok || systemTags[key]) {
				// A value with an ampersand in it, which k6 does not escape; its own
				// tags never stand here.
				values[last] += "&" + pair
				continue
			}
			last = strings.Clone(key)
			values[last] = strings.Clone(value)
		}
	}
	return values, nil
}

// systemTags are the tags that k6 itself sets, each in a column of its own.
var systemTags = map[string]bool{"proto": true, "subproto": true, "status": true, "method": true, "url": true,
	"name": true, "group": true,
	"check": true, "error": true, "error_code": true, "tls_version": true, "scenario": true, "service": true, "expected_response": true,
	"ip": true, "ocsp_status": true, "iter": true, "vu": true}

// system is the system tags alone.
func system(values map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range values {
		if systemTags[k] {
			out[k] = v
		}
	}
	return out
}

func (c *columns) event(row []string) (e event, v float64, err error) {
	if e.at, err = csvTime(row[c.time]); err != nil {
		return e, 0, err
	}
	value := row[c.value]
	if c.commas && strings.Count(value, ",") == 1 {
		value = strings.Replace(value, ",", ".", 1)
	}
	if v, err = strconv.ParseFloat(value, 64); err != nil {
		return e, 0, fmt.Errorf("metric_value %.60q: expected a number", row[c.value])
	}
	return e, v, nil
}

// csvTime reads each of k6's time formats: Unix time in seconds, milli-, micro-
// or nanoseconds, which their number of digits tells apart for the years 1973
// to 2286, and RFC 3339.
func csvTime(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t, err := time.Parse(time.RFC3339Nano, s)
		if _, rounded := strconv.ParseFloat(s, 64); err != nil && rounded == nil && strings.ContainsAny(s, "Ee") {
			return t, fmt.Errorf("timestamp %.60q: a spreadsheet has rounded it; only the file as k6 wrote it will do", s)
		}
		if err != nil {
			return t, fmt.Errorf("timestamp %.60q: expected Unix time or RFC 3339", s)
		}
		return t, nil
	}
	switch len(s) {
	case 9, 10:
		return time.Unix(n, 0), nil
	case 12, 13:
		return time.UnixMilli(n), nil
	case 15, 16:
		return time.UnixMicro(n), nil
	case 18, 19:
		return time.Unix(0, n), nil
	}
	return time.Time{}, fmt.Errorf("timestamp %s: expected Unix time in s, ms, µs or ns", s)
}

// rowLimit ends a row that an open quote would let grow to the end of the file.
type rowLimit struct {
	r       io.Reader
	read    int // since the last row
	all     int64
	ended   bool
	lineEnd bool // the last byte ends a line
}

func (l *rowLimit) reset() { l.read = 0 }

func (l *rowLimit) Read(p []byte) (int, error) {
	if l.read > maxLine {
		return 0, fmt.Errorf("a row longer than %d bytes: is a quote left open?", maxLine)
	}
	n, err := l.r.Read(p)
	l.read += n
	l.all += int64(n)
	if n > 0 {
		l.lineEnd = p[n-1] == '\n'
	}
	l.ended = l.ended || err == io.EOF
	return n, err
}
