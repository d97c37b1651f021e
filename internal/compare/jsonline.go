package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// errLog is a line that is JSON and no result: k6's own log, written as JSON
// into the same file.
var errLog = errors.New("a line of a log")

// parseLine reads one line of k6's JSON output with a real parser, and notes in
// f what it holds. ok is false for lines that are sound and of no interest:
// other metrics, and the declarations of metrics. Of a key that occurs twice the
// last one counts, as in every common parser. It fails with noLatency for a value
// that no clock can have measured, and with errLog for a line of k6's log.
func parseLine(line []byte, metric string, f *found) (e event, ok bool, err error) {
	if !utf8.Valid(line) {
		return e, false, errors.New("the line is not UTF-8")
	}
	var top map[string]json.RawMessage
	if err := unmarshal(line, &top); err != nil {
		return e, false, fmt.Errorf("not a line of k6's JSON output: %w", err)
	}
	if top == nil {
		return e, false, errors.New("not a line of k6's JSON output: null")
	}
	if top["metric"] == nil && top["type"] == nil && (top["level"] != nil || top["msg"] != nil) {
		return e, false, errLog
	}
	kind, err := text(top, "type")
	if err != nil {
		return e, false, err
	}
	name, err := text(top, "metric")
	if err != nil {
		return e, false, err
	}
	switch kind {
	case "Metric":
		var d declaration
		if unmarshal(top["data"], &d) == nil {
			f.saw(name, d)
		}
		return e, false, nil
	case "Point":
		f.saw(name, declaration{})
	default:
		return e, false, fmt.Errorf("type %q: expected Point or Metric", kind)
	}
	e, v, err := parseData(top["data"], metric)
	if err != nil {
		return e, false, err
	}
	return e, name == metric || tells(name, metric, e.tags), f.take(&e, name, metric, v)
}

// dropped and failed are the metrics that say something of other requests.
const (
	droppedMetric = "dropped_iterations"
	failedMetric  = "http_req_failed"
)

// tells reports whether a point of k6's http_req_failed says something that the
// tags of its request do not.
func tells(name, metric string, tags *tagSet) bool {
	return name == failedMetric && name != metric && tags.silent && strings.HasPrefix(metric, "http_req_")
}

// take makes an event of a point's value.
func (f *found) take(e *event, name, metric string, v float64) (err error) {
	switch {
	case name == metric:
		f.sawTags(e.tags.values)
		e.latency, err = latencyOf(v)
	case name == droppedMetric:
		f.dropped += v
	case v != 0:
		e.kind = itFailed
	default:
		e.kind = itHeld
	}
	return err
}

// parseData reads time, value and tags of a point.
func parseData(raw json.RawMessage, metric string) (e event, v float64, err error) {
	var data map[string]json.RawMessage
	if err := unmarshal(raw, &data); err != nil || data == nil {
		return e, 0, errors.New("data: expected an object")
	}
	when, err := text(data, "time")
	if err != nil {
		return e, 0, err
	}
	if e.at, err = time.Parse(time.RFC3339Nano, when); err != nil {
		return e, 0, fmt.Errorf("time %.60q: expected RFC 3339", when)
	}
	var value *float64
	if err := unmarshal(data["value"], &value); err != nil || value == nil {
		return e, 0, fmt.Errorf("value %.60q: expected a number", data["value"])
	}
	tags, err := parseTags(data["tags"])
	if err != nil {
		return e, 0, err
	}
	e.tags = newTagSet(tags, metric)
	return e, *value, nil
}

// parseTags reads an object of strings; none and null are no tags.
func parseTags(raw json.RawMessage) (map[string]string, error) {
	tags := map[string]string{}
	if len(raw) == 0 {
		return tags, nil
	}
	var values map[string]*string
	if err := unmarshal(raw, &values); err != nil {
		return nil, errors.New("tags: expected an object of strings")
	}
	for k, v := range values {
		if v == nil {
			return nil, fmt.Errorf("tag %.60q: expected a string", k)
		}
		tags[k] = *v
	}
	return tags, nil
}

// text is a field that must be a string.
func text(object map[string]json.RawMessage, key string) (string, error) {
	raw, there := object[key]
	var s *string
	if !there {
		return "", fmt.Errorf("no %q: not a line of k6's JSON output", key)
	}
	if err := unmarshal(raw, &s); err != nil || s == nil {
		return "", fmt.Errorf("%q is %.40q: expected a string", key, raw)
	}
	return *s, nil
}

// unmarshal is json.Unmarshal, with an error of one line for nothing at all.
func unmarshal(raw []byte, v any) error {
	if len(raw) == 0 {
		return errors.New("nothing there")
	}
	return json.Unmarshal(raw, v)
}
