package compare

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// vegetaResult is a line of `vegeta encode`. Its time is when the request began.
type vegetaResult struct {
	Attack    string    `json:"attack"`
	Code      int       `json:"code"`
	Timestamp time.Time `json:"timestamp"`
	Latency   int64     `json:"latency"` // ns
	Error     string    `json:"error"`
	Method    string    `json:"method"`
	URL       string    `json:"url"`
}

// readVegeta reads vegeta's results in JSON. The tags are attack, method, name
// (the URL) and status. Requests that vegeta calls unsuccessful, with an error
// or a status outside 200 to 399, count as failed.
func readVegeta(r io.Reader, f *found, emit sink) error {
	tags := newTagCache(f)
	return eachValue(r, f, func(raw []byte) error {
		var v vegetaResult
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("not a result of vegeta: %w", err)
		}
		return v.emit(tags, f, emit)
	})
}

// readVegetaCSV reads `vegeta encode --to csv`: time in ns, status, latency in
// ns, bytes out and in, error, body, attack, number, method, URL, headers.
func readVegetaCSV(r *bufio.Reader, f *found, emit sink) error {
	c := csv.NewReader(r)
	c.ReuseRecord, c.FieldsPerRecord = true, -1
	tags := newTagCache(f)
	for {
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		line, _ := c.FieldPos(0)
		if errors.Is(err, io.ErrUnexpectedEOF) || (err == nil && len(row) < 11) {
			if _, end := r.Peek(1); end == io.EOF {
				f.cut = "its last row is not complete"
				return nil
			}
			err = fmt.Errorf("%d columns; vegeta writes 12", len(row))
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		at, errAt := strconv.ParseInt(row[0], 10, 64)
		code, errCode := strconv.Atoi(row[1])
		latency, errLatency := strconv.ParseInt(row[2], 10, 64)
		if err := errors.Join(errAt, errCode, errLatency); err != nil {
			return fmt.Errorf("line %d: not a row of vegeta's CSV: %w", line, err)
		}
		v := vegetaResult{Attack: row[7], Code: code, Timestamp: time.Unix(0, at), Latency: latency, Error: row[5],
			Method: row[9], URL: row[10]}
		if err := v.emit(tags, f, emit); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func (v *vegetaResult) emit(tags *tagCache, f *found, emit sink) error {
	t := tags.of([]string{"attack", v.Attack, "status", strconv.Itoa(v.Code), "method", v.Method, "name", v.URL,
		"error", v.Error}, func(t *tagSet) {
		switch {
		case v.Error != "" && v.Code == 0:
			t.failed, t.why = true, "error "+v.Error
		case v.Code < 200 || v.Code >= 400:
			t.failed, t.why = true, "status "+strconv.Itoa(v.Code)
		case v.Error != "":
			t.failed, t.why = true, "error "+v.Error
		}
	})
	latency, err := latencyOf(float64(v.Latency) / 1e6)
	if err != nil {
		f.negative++
		return nil
	}
	return emit(event{at: v.Timestamp.Add(time.Duration(v.Latency)), latency: latency, tags: t})
}

// tagCache makes one set of tags for requests that carry the same ones.
type tagCache struct {
	sets  map[string]*tagSet
	found *found
	key   []byte
}

func newTagCache(f *found) *tagCache { return &tagCache{sets: map[string]*tagSet{}, found: f} }

// of is the set of the given names and values, one after the other; finish
// completes a new one. Empty values are no tags.
func (c *tagCache) of(pairs []string, finish func(*tagSet)) *tagSet {
	c.key = c.key[:0]
	for i := 1; i < len(pairs); i += 2 {
		c.key = append(append(c.key, pairs[i]...), 0)
	}
	if t := c.sets[string(c.key)]; t != nil {
		return t
	}
	t := &tagSet{values: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			t.values[pairs[i]] = pairs[i+1]
		}
	}
	finish(t)
	c.found.sawTags(t.values)
	if len(c.sets) == maxTails {
		clear(c.sets)
	}
	c.sets[string(c.key)] = t
	return t
}
