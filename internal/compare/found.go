package compare

import (
	"maps"
	"slices"
	"strings"
)

// found is what a file holds beside the requests that were asked for.
type found struct {
	metrics  map[string]declaration
	tags     map[string]bool // names
	skipped  int64           // lines that are no results, such as k6's log
	cut      string          // how the file ends too early, or ""
	negative int64           // values that no clock can have measured
	dropped  float64         // k6's dropped_iterations
}

// declaration is what k6 says of a metric; empty when the file does not say it.
type declaration struct{ Type, Contains string }

// most bounds what is remembered of names.
const mostNames = 200

func newFound() *found {
	return &found{metrics: map[string]declaration{}, tags: map[string]bool{}}
}

// saw notes a metric.
func (f *found) saw(name string, d declaration) {
	if have, known := f.metrics[name]; (!known && len(f.metrics) < mostNames) || (known && have.Type == "") {
		f.metrics[strings.Clone(name)] = d
	}
}

// sawTags notes the names of tags.
func (f *found) sawTags(values map[string]string) {
	for name := range values {
		if len(f.tags) < mostNames {
			f.tags[name] = true
		}
	}
}

// add takes over what a part of the file held.
func (f *found) add(part *found) {
	for name, d := range part.metrics {
		f.saw(name, d)
	}
	for name := range part.tags {
		f.tags[name] = true
	}
	f.skipped += part.skipped
	f.negative += part.negative
	f.dropped += part.dropped
	f.cut = firstOf(part.cut, f.cut)
}

// kinds are what k6's own metrics hold, for files that do not declare them.
var kinds = map[string]declaration{
	"http_reqs": {"counter", "default"}, "http_req_failed": {"rate", "default"}, "checks": {"rate", "default"},
	"data_sent": {"counter", "data"}, "data_received": {"counter", "data"}, "iterations": {"counter", "default"},
	"dropped_iterations": {"counter", "default"}, "vus": {"gauge", "default"}, "vus_max": {"gauge", "default"},
	"ws_sessions": {"counter", "default"}, "ws_msgs_sent": {"counter", "default"}, "ws_msgs_received": {"counter", "default"},
	"browser_web_vital_cls": {"trend", "default"}, "browser_data_sent": {"counter", "data"}, "browser_data_received": {"counter", "data"},
	"browser_http_req_failed": {"rate", "default"}, "grpc_streams": {"counter", "default"},
	"grpc_streams_msgs_sent": {"counter", "default"}, "grpc_streams_msgs_received": {"counter", "default"},
}

// of is what a metric holds: as the file declares it, as k6 does, or a time.
func (f *found) of(metric string) declaration {
	if d := f.metrics[metric]; d.Type != "" {
		return d
	}
	if d, known := kinds[metric]; known {
		return d
	}
	return declaration{"trend", "time"}
}

// times lists the metrics of the file that can be compared, sorted.
func (f *found) times() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(f.metrics)) {
		if f.of(name) == (declaration{"trend", "time"}) {
			out = append(out, name)
		}
	}
	return out
}

// tagNames lists the tags seen, sorted.
func (f *found) tagNames() []string { return slices.Sorted(maps.Keys(f.tags)) }

// few lists names in one line.
func few(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
