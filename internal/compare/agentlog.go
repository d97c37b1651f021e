package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
)

// agentEntry is one request in the access log of a Service Connect agent.
// Fields of that log are AWS's (Amazon ECS Developer Guide, "Service Connect
// access logs"); live agents call two of them "duration" and "forwarded_for",
// AWS's page "duration_ms" and "x_forwarded_for". Durations are number
// milliseconds. Numbers may be written as text, as older Envoys did.
type agentEntry struct {
	StartTime    string          `json:"start_time"`
	Method       *string         `json:"method"`
	Path         *string         `json:"path"`
	Protocol     *string         `json:"protocol"`
	Code         number          `json:"response_code"`
	Duration     *number         `json:"duration"`
	DurationMs   *number         `json:"duration_ms"`
	ForwardedFor *string         `json:"forwarded_for"`
	AsDocumented *string         `json:"x_forwarded_for"`
	RequestID    *string         `json:"request_id"`
	Authority    *string         `json:"authority"`
	Upstream     *string         `json:"upstream_host"`
	GRPC         json.RawMessage `json:"grpc_status"`
	Flags        string          `json:"response_flags"`
}

// number is one that may stand in quotes.
type number int64

func (w *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	*w = number(n)
	return err
}

// readAgentLog reads the access log of a Service Connect agent: in AWS's text or
// JSON format, as a container writes it or behind the times that `aws logs tail`
// puts before each line. Lines of the agent's own log between are skipped and
// counted. The tags are authority (the discovery name), upstream_host, method,
// name (the path), status and protocol. Responses of 500 and above, and requests
// without one, count as failed.
func readAgentLog(r io.Reader, w *wanted, f *found, emit sink) error {
	tags, err := agentTags(w, f)
	if err != nil {
		return err
	}
	return inChunks(r, f, emit, func(lines []byte, events []event) ([]event, int64, error) {
		n := int64(0)
		for len(lines) > 0 {
			line, rest, _ := bytes.Cut(lines, []byte("\n"))
			lines = rest
			n++
			e, ok, err := agentEvent(line, tags, w, f)
			if err != nil {
				return events, n, err
			}
			if ok {
				e.line = n
				events = append(events, e)
			}
		}
		return events, n, nil
	})
}

// agentMetric is what an agent's log tells of time.
const agentMetric = "duration"

// agentTags begins the reading of an agent's log.
func agentTags(w *wanted, f *found) (*tagCache, error) {
	if w.metric != DefaultMetric && w.metric != agentMetric {
		return nil, fail.Newf(fail.Usage, "compare its "+agentMetric, "an agent's access log holds no %s", w.metric)
	}
	f.saw(agentMetric, declaration{"trend", "time"})
	return newTagCache(f), nil
}

// readAgentValues reads entries in JSON that do not stand on a line each: pretty
// printed, or in an array.
func readAgentValues(r io.Reader, w *wanted, f *found, emit sink) error {
	tags, err := agentTags(w, f)
	if err != nil {
		return err
	}
	return eachValue(r, f, func(raw []byte) error {
		e, ok, err := agentEvent(raw, tags, w, f)
		if err != nil || !ok {
			return err
		}
		return emit(e)
	})
}

// readLogEvents reads the same entries from what `aws logs filter-log-events`
// and `get-log-events` print: an object with a list of events.
func readLogEvents(r io.Reader, w *wanted, f *found, emit sink) error {
	tags, err := agentTags(w, f)
	if err != nil {
		return err
	}
	return eachValue(r, f, func(raw []byte) error {
		var page struct {
			Events []struct {
				Message string `json:"message"`
			} `json:"events"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return fmt.Errorf("not a page of log events: %w", err)
		}
		for i, ev := range page.Events {
			e, ok, err := agentEvent([]byte(ev.Message), tags, w, f)
			if err == nil && ok {
				err = emit(e)
			}
			if err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		}
		return nil
	})
}

// agentEvent reads one line; ok is false for one that is no access log entry.
func agentEvent(line []byte, tags *tagCache, w *wanted, f *found) (e event, ok bool, err error) {
	entry, ok, err := parseAgent(line)
	if err != nil || !ok {
		if err == nil && len(bytes.TrimSpace(line)) > 0 {
			f.skipped++
		}
		return e, false, err
	}
	start, err := time.Parse(time.RFC3339Nano, entry.StartTime)
	if err != nil {
		return e, false, fmt.Errorf("start_time %.40q: expected RFC 3339", entry.StartTime)
	}
	ms := entry.DurationMs
	if ms == nil {
		ms = entry.Duration
	}
	if ms == nil {
		return e, false, errors.New("an entry without a duration")
	}
	path, _, _ := strings.Cut(given(entry.Path), "?")
	grpc := strings.Trim(string(entry.GRPC), `"`)
	client := ""
	if slices.Contains(w.tags, "client") { // no tag unless asked for: there are many
		// The load balancer adds the address that it saw at the end.
		client = firstOf(given(entry.ForwardedFor), given(entry.AsDocumented))
		client = strings.TrimSpace(client[strings.LastIndexByte(client, ',')+1:])
	}
	t := tags.of([]string{"client", client, "authority", given(entry.Authority), "upstream_host", given(entry.Upstream),
		"method", given(entry.Method), "name", path,
		"status", strconv.FormatInt(int64(entry.Code), 10), "protocol", given(entry.Protocol),
		"grpc_status", strings.Trim(grpc, "-")}, func(t *tagSet) {
		switch {
		case entry.Code == 0:
			t.failed, t.why = true, "no response"
		case entry.Code >= 500:
			t.failed, t.why = true, "status "+strconv.FormatInt(int64(entry.Code), 10)
		case grpc != "" && grpc != "-" && grpc != "null" && grpc != "0" && grpc != "OK":
			t.failed, t.why = true, "gRPC status "+grpc
		}
	})
	latency, err := latencyOf(float64(*ms))
	if err != nil {
		f.negative++
		return e, false, nil
	}
	return event{at: start.Add(latency), latency: latency, tags: t}, true, nil
}

// given is a field of an entry; "-" and null stand for none.
func given(s *string) string {
	if s == nil || *s == "-" {
		return ""
	}
	return *s
}

// exported is a row of the CSV that the console of CloudWatch Logs exports: the
// entry stands in a quoted field, each of its own quotes twice.
var exported = regexp.MustCompile(`"(?:\{""|\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "")`)

// parseAgent finds the entry in a line, behind whatever a log driver put before
// it. ok is false for a line of another kind.
func parseAgent(line []byte) (e agentEntry, ok bool, err error) {
	if trimmed := bytes.TrimSpace(line); bytes.HasPrefix(trimmed, []byte("{")) && bytes.Contains(trimmed, []byte(`"log"`)) {
		var wrapped struct {
			Log string `json:"log"`
		}
		if json.Unmarshal(trimmed, &wrapped) == nil && wrapped.Log != "" {
			line = []byte(wrapped.Log) // as FireLens and Docker wrap it
		}
	} else if bytes.Contains(trimmed, []byte(`""`)) && exported.Match(trimmed) {
		line = bytes.ReplaceAll(trimmed, []byte(`""`), []byte(`"`))
		if end := bytes.LastIndexByte(line, '}'); end > 0 {
			line = line[:end+1]
		}
	}
	if i := bytes.Index(line, []byte(`"start_time"`)); i >= 0 {
		open := bytes.IndexByte(line, '{')
		if open < 0 || open > i {
			return e, false, nil
		}
		if err := json.Unmarshal(bytes.TrimSpace(line[open:]), &e); err != nil {
			return e, false, fmt.Errorf("not an entry of an agent's access log: %w", err)
		}
		return e, true, nil
	}
	open := bytes.IndexByte(line, '[')
	if open < 0 || !textEntry.Match(line[open:]) {
		return e, false, nil
	}
	return parseAgentText(string(line[open:]))
}

// parseAgentText reads AWS's text format:
//
//	[start_time] "METHOD PATH PROTOCOL" CODE BYTES_IN BYTES_OUT DURATION SERVICE_TIME "XFF" "AGENT" "REQUEST_ID" "AUTHORITY" "UPSTREAM"
//
// Envoy's own default has flags behind the code, and is read too.
func parseAgentText(s string) (e agentEntry, ok bool, err error) {
	when, rest, _ := strings.Cut(s[1:], "] ")
	e.StartTime = when
	fields := quotedFields(rest)
	if len(fields) < 11 {
		return e, false, fmt.Errorf("%d fields after the time; an agent's access log entry has 11", len(fields))
	}
	method, target, _ := strings.Cut(fields[0], " ")
	path, protocol := target, ""
	if i := strings.LastIndexByte(target, ' '); i >= 0 {
		path, protocol = target[:i], target[i+1:]
	}
	e.Method, e.Path, e.Protocol = &method, &path, &protocol
	code, err := strconv.Atoi(fields[1])
	if err != nil {
		return e, false, fmt.Errorf("response code %.20q: expected a number", fields[1])
	}
	e.Code = number(code)
	at := 2
	if _, err := strconv.Atoi(fields[at]); err != nil {
		e.Flags = fields[at]
		// Envoy's default format also has details behind the flags in newer versions.
		for at < len(fields)-9 {
			if _, err := strconv.Atoi(fields[at]); err == nil {
				break
			}
			at++
		}
	}
	if len(fields) < at+9 {
		return e, false, fmt.Errorf("%d fields after the time; an agent's access log entry has 11", len(fields))
	}
	ms, err := strconv.ParseInt(fields[at+2], 10, 64)
	if err != nil {
		return e, false, fmt.Errorf("duration %.20q: expected whole milliseconds", fields[at+2])
	}
	took := number(ms)
	e.DurationMs = &took
	last := fields[at+4:]
	e.ForwardedFor, e.RequestID, e.Authority, e.Upstream = &last[0], &last[2], &last[3], &last[4]
	return e, true, nil
}

// quotedFields splits at spaces outside of quotes. A field whose quotes do not
// end is none: the line was cut there.
func quotedFields(s string) []string {
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		if s[0] != '"' {
			f, rest, _ := strings.Cut(s, " ")
			out, s = append(out, f), rest
			continue
		}
		end := 1
		for end < len(s) && s[end] != '"' {
			if s[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(s) {
			break
		}
		out, s = append(out, s[1:end]), s[end+1:]
	}
	return out
}
