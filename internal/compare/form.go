package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// form is how the requests stand in a file.
type form uint8

const (
	formNDJSON form = iota + 1
	formJSON        // the same objects, pretty-printed or in an array
	formCSV
	formSample
	formSummary   // k6's summaries: no requests
	formVegeta    // vegeta encode
	formVegetaCSV // vegeta encode --to csv
	formALB       // access log of an Application Load Balancer
	formAgent     // access log of a Service Connect agent: text or JSON
	formAgentJSON // the same objects, pretty-printed or in an array
	formEvents    // the same as CloudWatch Logs gives it: an object with events
)

// isLog reports whether a form is a log of production: files of one log belong
// together and are no replicates.
func (f form) isLog() bool { return f == formALB || f.isAgent() }

func (f form) isAgent() bool { return f == formAgent || f == formAgentJSON || f == formEvents }

// otherTool is a file that is not read, by name, and what to do instead.
type otherTool struct{ is, step string }

// formOf tells a file's form from its beginning, or what else it is. whole says
// that the beginning is all of it.
func formOf(head []byte, whole bool) (form, *otherTool) {
	if bytes.HasPrefix(head, []byte(sampleMagic)) {
		return formSample, nil
	}
	if o := binaryTool(head); o != nil {
		return 0, o
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	switch text[0] {
	case '{':
		return formOfObject(text, whole)
	case '[':
		if textEntry.Match(text) {
			return formAgent, nil
		}
		if connectionEntry.Match(text) {
			return 0, &otherTool{"an agent's access log of TCP connections, which knows no requests",
				"give the log of a service whose appProtocol is http, http2 or grpc"}
		}
		isArray := bytes.HasPrefix(bytes.TrimLeft(text[1:], " \t\r\n"), []byte("{"))
		if envoyLine.Match(text) || (!isArray && behindALog(text) == formAgent) {
			return formAgent, nil
		}
		return formOfArray(text)
	}
	for _, t := range textForms {
		if regexp.MustCompile(t.begins).Match(text) { // compiled here: most commands need none of them
			return t.form, t.other
		}
	}
	if f := behindALog(text); f != 0 {
		return f, nil
	}
	if o := behindACommand(text); o != nil {
		return 0, o
	}
	if summaryText.Match(text) {
		return 0, &otherTool{"k6's summary as text, which holds no single requests", stepOutJSON}
	}
	if banner.Match(text) {
		return 0, &otherTool{"what k6 prints, which holds no single requests", stepOutJSON}
	}
	return 0, &otherTool{fmt.Sprintf("no result file: it starts with %.20q", text),
		"give k6's --out json or --out csv, vegeta encode, an access log of an ALB or a Service Connect agent, a hoplab sample file or a run directory"}
}

const sampleMagic = "\x89HOPSMP\n" // how a hoplab sample file begins

func binaryTool(head []byte) *otherTool {
	for _, b := range []struct{ magic, is, step string }{
		{"\x1f\x8b", "compressed twice", "decompress it once first: gzip -dc FILE > results"},
		{"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it first: zstd -d FILE"},
		{"\xfd7zXZ\x00", "compressed with xz", "decompress it first: xz -d FILE"},
		{"\x04\x22\x4d\x18", "compressed with lz4", "decompress it first: lz4 -d FILE"},
		{"PK\x03\x04", "a zip archive", "unpack it first, and give the result file inside"},
		{"PAR1", "a Parquet file", "export it as k6's CSV or JSON"},
		{"SQLite format 3\x00", "an SQLite database, such as oha --db-url writes", "export the requests with vegeta or k6's --out json"},
		{"Obj\x01", "an Avro file", "export it as k6's CSV or JSON"},
	} {
		if bytes.HasPrefix(head, []byte(b.magic)) {
			return &otherTool{b.is, b.step}
		}
	}
	if len(head) > 262 && bytes.Equal(head[257:262], []byte("ustar")) {
		return &otherTool{"a tar archive", "unpack it first, and give the result file inside"}
	}
	if bytes.IndexByte(head, 0) >= 0 && bytes.Contains(head, []byte("Attack")) && bytes.Contains(head, []byte("Latency")) {
		return &otherTool{"vegeta's binary results", "vegeta encode FILE > results.json"}
	}
	return nil
}

// Steps that several tools share.
const (
	stepOutJSON = "run the test again with k6 run --out json=FILE, which keeps every request"
	stepVegeta  = "send the load with k6 run --out json=FILE, or with vegeta and vegeta encode"
	stepRewrite = "send the load with k6 run --out json=FILE, or with vegeta and vegeta encode"
)

// textEntry is how an entry of an Envoy access log begins, in AWS's text format.
var textEntry = regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "`)

// envoyLine is how a line of Envoy's own log begins. Entries of the access log
// stand between such lines, the first behind all that is said of its start.
var envoyLine = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:[\d.]+\]\[`)

// connectionEntry is how an entry about a TCP connection begins there.
var connectionEntry = regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] \S+ \d+ \d+ \d+ \d+ `)

// summaryText is a line of the summary that k6 prints.
var summaryText = regexp.MustCompile(`(?m)^\s*[✓✗]?\s*(?:http_req_duration|http_reqs|iterations|iteration_duration|data_received|checks)[a-z_]*\.*: `)

// banner is the first line that k6 prints; its summary may stand far behind.
var banner = regexp.MustCompile(`^/\\\s+(?:\|‾‾\||Grafana)`)

// textForms are told by how they begin, the first that matches.
var textForms = []struct {
	begins string // a regular expression
	form   form
	other  *otherTool
}{
	{csvHead.String(), formCSV, nil},
	{`^(?:http_req|http_reqs|data|iteration|iterations|checks|vus|group|ws|grpc|browser)(?:_\w+)?,\d{9,19},-?\d+\.\d+,`, 0,
		&otherTool{"k6's CSV without its first line, which names the columns",
			"put that line back; it begins with metric_name,timestamp,metric_value"}},
	{`^(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT\S+Z (?:app/)?\S+ \S+ \S+ -?[\d.]+ -?[\d.]+ -?[\d.]+ `, formALB, nil},
	{`^\d{4}-\d\d-\d\dT\S+ (?:\S+ )?(?:\{"|\[\d{4}-\d\d-\d\dT)`, formAgent, nil},
	{`^"?@?(?:timestamp|message|ingestionTime|logStream)"?,`, formAgent, nil}, // exported by CloudWatch Logs
	{`^\d{16,19},\d{1,3},\d+,\d+,\d+,`, formVegetaCSV, nil},
	{`^\d{4}-\d\d-\d\dT\S+Z [\da-f.:]+ \d+ \d+ (?:TLSv|- - )`, 0,
		&otherTool{"a connection log of an Application Load Balancer, which knows no requests", "give its access log"}},
	{`^tls \d+\.\d+ \d{4}-`, 0,
		&otherTool{"an access log of a Network Load Balancer, which knows connections and no requests",
			"give the access log of an Application Load Balancer"}},
	{`^\d{4}-\d\d-\d\dT\S+Z \S+ \S+:\d+ \S+ -?[\d.]+ -?[\d.]+ -?[\d.]+ `, 0,
		&otherTool{"an access log of a Classic Load Balancer", "give the access log of an Application Load Balancer"}},
	{`^response-time,DNS`, 0, &otherTool{"hey's CSV, whose times have steps of 0.1 ms", stepRewrite}},
	{`^request-start,DNS`, 0, &otherTool{"oha's CSV", stepRewrite}},
	{`^timeStamp[,;\t]elapsed`, 0, &otherTool{"JMeter's JTL, whose times are whole milliseconds", stepRewrite}},
	{`^<\?xml[^>]*>\s*<testResults|^<testResults`, 0, &otherTool{"JMeter's JTL in XML, whose times are whole milliseconds", stepRewrite}},
	{`^"?Type"?,"?Name"?,"?Request Count|^"?Method"?,"?Name"?,"?(# requests|Occurrences)|^"?Timestamp"?,"?User Count`,
		0, &otherTool{"Locust's statistics", stepVegeta}},
	{`^RUN\t`, 0, &otherTool{"Gatling's simulation.log, whose times are whole milliseconds", stepRewrite}},
	{`^Running \S+ test @`, 0, &otherTool{"the output of wrk or autocannon, which holds no single requests", stepVegeta}},
	{`^Value\s+Percentile\s+TotalCount`, 0, &otherTool{"an HdrHistogram's percentiles", stepVegeta}},
	{`^#\[(?:Histogram log|StartTime)`, 0, &otherTool{"an HdrHistogram log", stepVegeta}},
	{`^#(?:group|datatype),`, 0, &otherTool{"InfluxDB's annotated CSV", stepOutJSON}},
	{`^name,(?:tags,)?time,`, 0, &otherTool{"InfluxDB's CSV export", stepOutJSON}},
	{`^[A-Za-z_]\w*(?:,[^ =,]+=[^ ,]*)* \w+=\S+(?: \d{16,19})?\s*\n`, 0, &otherTool{"InfluxDB's line protocol", stepOutJSON}},
	{`^"?Label"?,"?# Samples`, 0, &otherTool{"JMeter's aggregate report, which holds no single requests", stepVegeta}},
	{`^\s*Summary:\s*\n\s+(?:Total|Success rate):`, 0,
		&otherTool{"the output of hey or oha, which holds no single requests", stepVegeta}},
	{`^Requests\s+\[total, rate`, 0, &otherTool{"vegeta's report, which holds no single requests", "vegeta encode FILE > results.json"}},
	{`^Fortio \d`, 0, &otherTool{"fortio's output, which holds no single requests", stepVegeta}},
	{`^(?:starting benchmark\.\.\.|spawning thread #)`, 0, &otherTool{"h2load's output, which holds no single requests", stepVegeta}},
	{`^(?:\*\* SIEGE|Transactions:\s)`, 0, &otherTool{"siege's output, which holds no single requests", stepVegeta}},
	{`^# (?:HELP|TYPE) `, 0, &otherTool{"Prometheus' text format, which holds no single requests", stepOutJSON}},
	{`^This is ApacheBench`, 0, &otherTool{"ab's output", stepVegeta}},
	{`^starttime\tseconds\t`, 0, &otherTool{"ab's gnuplot file, whose times are whole milliseconds", stepRewrite}},
	{`^#Version: [\d.]+\s*\n#Fields: `, 0, &otherTool{"CloudFront's access log", "give the access log of the load balancer behind it"}},
	{`^\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:`, 0, &otherTool{"a web server's access log",
		"give the access log of the load balancer before it"}},
	{`^<(?:!DOCTYPE html|html)`, 0, &otherTool{"an HTML page", "give the file from which it was made"}},
}

// behindALog finds results behind lines of a log: k6 was told to write them to
// its standard output, and an agent's container does so anyway.
func behindALog(text []byte) form {
	for i, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		switch {
		case i > 400:
			return 0
		case bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"metric":"`)) && bytes.Contains(line, []byte(`"type":"`)):
			return formNDJSON
		case textEntry.Match(line), bytes.Contains(line, []byte(`"start_time"`)) && bytes.Contains(line, []byte(`"response_code"`)):
			return formAgent
		}
	}
	return 0
}

// behindACommand names the tool whose output stands behind the lines of a shell
// that started it, a few at most.
func behindACommand(text []byte) *otherTool {
	for range 5 {
		_, rest, more := bytes.Cut(text, []byte("\n"))
		if text = rest; !more {
			return nil
		}
		for _, t := range textForms {
			if t.other != nil && regexp.MustCompile(t.begins).Match(text) {
				return t.other
			}
		}
	}
	return nil
}

// keysOf are the keys of the first object of a text, as far as it goes, and of
// the objects in it: "results" and "results.metrics".
func keysOf(text []byte) (keys []string, complete bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	var path []string // the open objects' keys; "" for an array
	var open []byte
	key := true
	for {
		t, err := d.Token()
		if err != nil {
			return keys, err == io.EOF && len(open) == 0
		}
		if delim, is := t.(json.Delim); is {
			switch delim {
			case '{', '[':
				open = append(open, byte(delim))
				if len(path) < len(open) {
					path = append(path, "")
				}
				path[len(open)-1] = ""
				key = delim == '{'
			case '}', ']':
				open = open[:len(open)-1]
				if len(open) == 0 {
					return keys, true
				}
				key = open[len(open)-1] == '{'
			}
			continue
		}
		inObject := len(open) > 0 && open[len(open)-1] == '{'
		switch {
		case inObject && key:
			path[len(open)-1] = t.(string)
			if len(open) <= 2 && !slices.Contains(open, '[') {
				keys = append(keys, strings.Join(path[:len(open)], "."))
			}
			key = false
		case inObject:
			key = true
		}
	}
}

// jsonForms are told by the keys of their first object: all of them are there.
var jsonForms = []struct {
	keys  []string
	form  form
	other *otherTool
}{
	{[]string{"metric", "type"}, formNDJSON, nil},
	{[]string{"latency", "code", "timestamp"}, formVegeta, nil},
	{[]string{"start_time", "response_code"}, formAgent, nil},
	{[]string{"log", "container_id"}, formAgent, nil}, // as FireLens wraps a line
	{[]string{"log", "container_name"}, formAgent, nil},
	{[]string{"log", "stream", "time"}, formAgent, nil}, // as Docker's json-file does
	{[]string{"events", "searchedLogStreams"}, formEvents, nil},
	{[]string{"events", "nextForwardToken"}, formEvents, nil},
	{[]string{"metrics", "root_group"}, formSummary, nil},
	{[]string{"results.metrics", "version"}, formSummary, nil},
	{[]string{"metrics.http_reqs"}, formSummary, nil},
	{[]string{"metrics.http_req_duration"}, formSummary, nil},
	{[]string{"metrics.iterations"}, formSummary, nil},
	{[]string{"events"}, formEvents, nil},
	{[]string{"event", "data"}, 0, &otherTool{"k6's dashboard export, which holds no single requests", stepOutJSON}},
	{[]string{"DurationHistogram"}, 0, &otherTool{"fortio's result, which holds a histogram and no single requests", stepVegeta}},
	{[]string{"options.requests_per_second"}, 0, &otherTool{"Nighthawk's result, which holds no single requests", stepVegeta}},
	{[]string{"summary.successRate"}, 0, &otherTool{"oha's JSON, which holds no single requests", stepVegeta}},
	{[]string{"latencyPercentiles"}, 0, &otherTool{"oha's JSON, which holds no single requests", stepVegeta}},
	{[]string{"latency", "requests", "connections"}, 0, &otherTool{"autocannon's result, which holds no single requests", stepVegeta}},
	{[]string{"latencies", "status_codes"}, 0, &otherTool{"vegeta's report, which holds no single requests",
		"vegeta encode FILE > results.json"}},
	{[]string{"testId", "results"}, 0,
		&otherTool{"a result of Distributed Load Testing on AWS, which holds no single requests", stepVegeta}},
	{[]string{"data.resultType"}, 0, &otherTool{"Prometheus' answer to a query, which holds no single requests", stepOutJSON}},
	{[]string{"resourceMetrics"}, 0, &otherTool{"OpenTelemetry metrics, which hold no single requests", stepOutJSON}},
	{[]string{"resourceSpans"}, 0, &otherTool{"OpenTelemetry traces", stepOutJSON}},
	{[]string{"details", "latencyDistribution"}, 0, &otherTool{"ghz's result", "run the gRPC calls with k6 run --out json=FILE"}},
	{[]string{"spec", "result"}, 0, &otherTool{"bombardier's result, which holds no single requests", stepVegeta}},
	{[]string{"aggregate", "intermediate"}, 0, &otherTool{"Artillery's result, which holds no single requests", stepVegeta}},
	{[]string{"stats.meanNumberOfRequestsPerSecond"}, 0, &otherTool{"Gatling's statistics, which hold no single requests", stepVegeta}},
	{[]string{"collection", "run"}, 0, &otherTool{"Newman's result", stepVegeta}},
	{[]string{"lighthouseVersion"}, 0, &otherTool{"Lighthouse's report", stepOutJSON}},
	{[]string{"log.entries"}, 0, &otherTool{"a HAR file", stepOutJSON}},
	{[]string{"results", "statistics"}, 0, &otherTool{"a query result of CloudWatch Logs Insights",
		"aws logs filter-log-events --output json > FILE, which keeps whole events"}},
	{[]string{"benchmarks"}, 0, &otherTool{"a benchmark's result", stepVegeta}},
	{[]string{"num_requests"}, 0, &otherTool{"Locust's statistics", stepVegeta}},
	{[]string{"schema", "differences"}, 0, &otherTool{"hoplab's own summary", "give the run directory in which it lies"}},
	{[]string{"level", "msg"}, formNDJSON, nil}, // a log line; results may follow
}

func formOfObject(text []byte, whole bool) (form, *otherTool) {
	first, _, oneLine := bytes.Cut(text, []byte("\n"))
	pretty := oneLine && !json.Valid(first)
	keys, complete := keysOf(text)
	f, o := byKeys(keys)
	switch {
	case o != nil:
		return 0, o
	case f == formNDJSON && pretty && !bytes.Contains(first, []byte(`"metric":`)):
		return formJSON, nil
	case f == formAgent && pretty:
		return formAgentJSON, nil
	case f != 0:
		return f, nil
	}
	if inner := arrayIn(keys, text); inner != "" {
		return 0, &otherTool{"a wrapped list of results", fmt.Sprintf("take the list out: jq -c '.%s[]' FILE > results.json", inner)}
	}
	// A log line in JSON, a line that is no result and results behind it.
	if f := behindALog(text); f != 0 {
		return f, nil
	}
	if !complete && whole {
		return 0, &otherTool{"cut: it begins like JSON and ends inside its first object", "give a file with at least one whole line"}
	}
	if len(keys) == 0 {
		return 0, &otherTool{fmt.Sprintf("no result file: it starts with %.20q", text), stepOutJSON}
	}
	return 0, &otherTool{"JSON, but not of a tool that hoplab knows: its fields are " + few(keys), stepOutJSON}
}

// arrayIn names the array in an object whose elements look like results.
func arrayIn(keys []string, text []byte) string {
	for _, k := range keys {
		at := bytes.Index(text, []byte(`"`+k+`"`))
		if at < 0 {
			continue
		}
		rest := bytes.TrimLeft(text[at+len(k)+2:], " \t\r\n:")
		if !bytes.HasPrefix(rest, []byte("[")) {
			continue
		}
		inner, _ := keysOf(bytes.TrimLeft(rest[1:], " \t\r\n"))
		if f, _ := byKeys(inner); f != 0 && f != formSummary && f != formEvents {
			return k
		}
	}
	return ""
}

func formOfArray(text []byte) (form, *otherTool) {
	keys, _ := keysOf(bytes.TrimLeft(text[1:], " \t\r\n"))
	switch f, o := byKeys(keys); {
	case o != nil:
		return 0, o
	case f == formNDJSON:
		return formJSON, nil
	case f == formAgent:
		return formAgentJSON, nil
	case f == formVegeta:
		return 0, &otherTool{"a list of results", "write one to a line: jq -c '.[]' FILE > results.json"}
	}
	return 0, &otherTool{"a JSON list, but not of k6's results", stepOutJSON}
}

func byKeys(keys []string) (form, *otherTool) {
	for _, j := range jsonForms {
		all := true
		for _, k := range j.keys {
			all = all && slices.Contains(keys, k)
		}
		if all {
			return j.form, j.other
		}
	}
	return 0, nil
}
