package compare_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/hoplab/hoplab/internal/compare"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
)

// Each form of a sound file must give the same requests, and say what was not
// there or left out.
func TestFormsOfASoundFile(t *testing.T) {
	good := unzipped(t, filepath.Join(cases, "sound.json.gz"))
	lines := bytes.SplitAfter(good, []byte("\n"))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	half := len(lines) / 2
	between := func(text string) []byte { return join(join(lines[:half]...), []byte(text), join(lines[half:]...)) }
	var pretty, array bytes.Buffer
	array.WriteString("[")
	for i, line := range lines {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if i > 0 {
			array.WriteString(",\n ")
		}
		array.Write(line)
		pretty.WriteString(strings.NewReplacer(`{`, "{\n  ", `,"`, ",\n  \"", `}`, "\n}").Replace(string(line)) + "\n")
	}
	array.WriteString("]\n")
	var wide bytes.Buffer
	wide.WriteString("\xff\xfe")
	for _, u := range utf16.Encode([]rune(string(good))) {
		wide.WriteByte(byte(u))
		wide.WriteByte(byte(u >> 8))
	}
	zip := zipped(good)
	sheet := unzipped(t, filepath.Join(cases, "sound.csv.gz"))
	want := must(t, compare.Options{A: []string{file(t, "a.json", good)}, B: []string{file(t, "b.json", good)}}).Summary.Arms[0]
	rows := must(t, compare.Options{A: []string{file(t, "a.csv", sheet)}, B: []string{file(t, "b.csv", sheet)}}).Summary.Arms[0]
	saved := func(separator string) []byte { // as a spreadsheet does where the decimal point is a comma
		text := regexp.MustCompile(`(,\d+)\.(\d+,)`).ReplaceAllString(strings.ReplaceAll(string(sheet), ",true,", ",TRUE,"), "$1\x00$2")
		return []byte(strings.NewReplacer(",", separator, "\x00", ",", "\n", "\r\n").Replace(text))
	}
	quoted := regexp.MustCompile(`(?m)^(.+)$`).ReplaceAll(bytes.ReplaceAll(sheet, []byte(","), []byte(`","`)), []byte(`"$1"`))
	for _, c := range []struct {
		name string
		data []byte
		of   summary.Arm
		less int64 // requests that are missing
		says string
	}{
		{"byte order mark", join([]byte("\xef\xbb\xbf"), good), want, 0, ""},
		{"utf-16", wide.Bytes(), want, 0, ""},
		{"two gzip members", join(zipped(join(lines[:half]...)), zipped(join(lines[half:]...))), want, 0, ""},
		{"crlf", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), want, 0, ""},
		{"log line between", between("time=\"2026-03-02T09:00:12Z\" level=warning msg=\"Request Failed\"\n"), want, 0, "1 line skipped"},
		{"log line in JSON", between(`{"level":"warning","msg":"Request Failed","time":"2026-03-02T09:00:12Z"}` + "\n"),
			want, 0, "1 line skipped"},
		{"banner first", join([]byte("\n     execution: local\n\n"), good), want, 0, "1 line skipped"},
		{"k6's banner first", join(
			[]byte("\n         /\\      Grafana   /‾‾/\n    /\\  /  \\     |\\  __   /  /\n"), good), want, 0, "2 lines skipped"},
		{"log line in JSON first", join([]byte(`{"level":"info","msg":"starting"}`+"\n"), good), want, 0, "1 line skipped"},
		{"summary at the end", join(good, []byte("\n  TOTAL RESULTS\n    http_req_duration....: avg=3.2ms\n")), want, 0,
			"2 lines skipped"},
		{"cut", good[:len(good)-40], want, 1, "was cut"},
		{"cut gzip", zip[:len(zip)*9/10], want, -1, "was cut"},
		{"pretty", pretty.Bytes(), want, 0, ""},
		{"array", array.Bytes(), want, 0, ""},
		{"array without an end", array.Bytes()[:array.Len()-300], want, -1, "was cut"},
		{"negative",
			between(strings.Replace(string(lines[1]), `"value":`, `"value":-`, 1)), want, 0, "1 value left out"},
		{"csv with semicolons and decimal commas", saved(";"), rows, 0, ""},
		{"csv behind the name of its separator", join([]byte("sep=;\r\n"), saved(";")), rows, 0, ""},
		{"csv with tabs", saved("\t"), rows, 0, ""},
		{"csv, all quoted", quoted, rows, 0, ""},
		{"csv with a byte order mark", join([]byte("\xef\xbb\xbf"), sheet), rows, 0, ""},
		{"csv with semicolons", bytes.ReplaceAll(sheet, []byte(","), []byte(";")), rows, 0, ""},
		{"csv cut in gzip", zipped(sheet)[:len(zipped(sheet))*9/10], rows, -1, "was cut"},
		{"csv cut", sheet[:len(sheet)-60], rows, 1, "was cut"},
		{"csv with & alone", bytes.ReplaceAll(sheet, []byte("team=x"), []byte("q=a&b")), rows, 0, ""},
		{"csv with & and error", bytes.ReplaceAll(sheet, []byte("team=x"), []byte("filter=open&error=none&team=x")), rows, 0, ""},
		{"csv with & and status", bytes.ReplaceAll(sheet, []byte("team=x"), []byte("filter=open&status=closed&team=x")), rows, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := must(t, compare.Options{A: []string{file(t, "form", c.data)}, B: []string{file(t, "sound", good)}})
			a := r.Summary.Arms[0]
			if c.less < 0 {
				if a.Requests == 0 || a.Requests >= c.of.Requests {
					t.Errorf("%d requests; want some of %d", a.Requests, c.of.Requests)
				}
			} else if a.Requests != c.of.Requests-c.less || a.Failed != 0 || (c.less == 0 && a.Latency != c.of.Latency) {
				t.Errorf("%d requests, %d failed, p50 %v; want %d, 0, %v", a.Requests, a.Failed, a.Latency.P50,
					c.of.Requests-c.less, c.of.Latency.P50)
			}
			if text := words(&r.Summary); c.says != "" && !strings.Contains(text, c.says) {
				t.Errorf("no %q in\n%s", c.says, text)
			} else if c.says == "" && (strings.Contains(text, "skipped") || strings.Contains(text, "was cut")) {
				t.Errorf("an intact file is called damaged:\n%s", text)
			}
		})
	}
}

// Every other tool's file is named, with the step that gives something readable,
// and none is called damaged.
func TestOtherToolsAreNamed(t *testing.T) {
	is := map[string]string{
		"autocannon.json": "autocannon", "dash.ndjson": "k6's dashboard", "dlt.json": "Distributed Load Testing", "fortio.json": "fortio",
		"gatling.log": "Gatling", "hdr.hgrm": "HdrHistogram", "hdr.hlog": "HdrHistogram", "hey.csv": "hey", "influx.csv": "InfluxDB",
		"influx.lp": "InfluxDB", "influx1.csv": "InfluxDB", "locust.csv": "Locust", "nighthawk.json": "Nighthawk", "oha.csv": "oha",
		"oha.json": "oha", "otel.json": "OpenTelemetry", "prom.json": "Prometheus", "prom.txt": "Prometheus", "r.jtl": "JMeter",
		"rx.jtl": "JMeter", "vegeta-report.json": "vegeta's report", "wrk2.txt": "wrk",
	}
	read := []string{"alb.log", "cwl-events.json", "sc-cwl.txt", "sc.json", "sc.txt", "vegeta.csv", "vegeta.json"}
	entries, err := os.ReadDir(filepath.Join(cases, "other-tools"))
	if err != nil {
		t.Fatal(err)
	}
	sound := filepath.Join(cases, "sound.json.gz")
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			r, err := compare.Run(compare.Options{A: []string{filepath.Join(cases, "other-tools", e.Name())}, B: []string{sound}})
			if slices.Contains(read, e.Name()) {
				if err != nil || r.Summary.Arms[0].Requests == 0 {
					t.Errorf("not read: %v", err)
				}
				return
			}
			want, known := is[e.Name()]
			if !known || err == nil || !strings.Contains(err.Error(), want) || fail.HintOf(err) == "" || fail.CodeOf(err) != fail.Usage {
				t.Errorf("got %v, hint %q; want %q by name", err, fail.HintOf(err), want)
			} else if strings.Contains(fail.HintOf(err), "restore") {
				t.Errorf("an intact file is called damaged: %v", fail.HintOf(err))
			}
		})
	}
	for name, c := range map[string][2]string{
		"zstd":         {"\x28\xb5\x2f\xfdxxxx", "zstd"},
		"xz":           {"\xfd7zXZ\x00xx", "xz"},
		"zip":          {"PK\x03\x04xxxx", "zip"},
		"sqlite":       {"SQLite format 3\x00xxx", "SQLite"},
		"parquet":      {"PAR1xxxx", "Parquet"},
		"wrapped":      {`{"points":[{"metric":"http_req_duration","type":"Point","data":{}}]}`, "a wrapped list of results"},
		"vegeta list":  {`[{"attack":"","code":200,"timestamp":"2026-03-02T09:00:00Z","latency":1}]`, "a list of results"},
		"unknown JSON": {`{"foo":1,"bar":2}`, "its fields are foo, bar"},
		"nginx":        {`10.0.0.1 - - [02/Mar/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5` + "\n", "web server"},
		"k6's text":    {"\n  execution: local\n\n  ✓ checks....: 100.00%\n  http_req_duration....: avg=3.2ms\n", "k6's summary as text"},
		"k6's console": {"\n          /\\      |‾‾| /‾‾/   /‾‾/\n     /\\  /  \\     |  |/  /   /  /\n" +
			strings.Repeat("time=\"2026-03-02T09:00:00Z\" level=info msg=hello\n", 2000), "what k6 prints"},
		"newer console":   {"\n         /\\      Grafana   /‾‾/\n    /\\  /  \\     |\\  __   /  /\n", "what k6 prints"},
		"ALB connections": {"2026-03-02T09:00:00.123456Z 10.0.1.17 49152 443 TLSv1.3 TLS_AES_128_GCM_SHA256 0.005 \"-\"\n", "a connection log"},
		"a description":   {`{"services":[{"serviceName":"web","events":[{"message":"(service web) has started"}]}]}`, "its fields are services"},
		"a command first": {"$ wrk -t4 -c100 -d10s http://app.test/\n\nRunning 10s test @ http://app.test/\n  4 threads\n", "the output of wrk"},
		"gzip twice":      {string(zipped(zipped([]byte("metric_name,timestamp\n")))), "compressed twice"},
		"no first line":   {"http_req_duration,1772442000,3.067000,,,,true,,GET,http://app.test/,HTTP/1.1,default\n", "without its first line"},
		"TCP":             {"[2026-03-02T09:00:00.002Z] 10.0.1.17 49152 5 5 10 - 127.0.0.1:8080\n", "TCP connections"},
		"hey":             {"\nSummary:\n  Total:\t20.0 secs\n", "hey"},
		"network LB":      {"tls 2.0 2026-03-02T09:00:00 net/x/1 a 10.0.0.1:1 10.0.0.2:443 5 2 1 1\n", "Network Load Balancer"},
		"cut in line 1":   {`{"metric":"http_req_durat`, "cut"},
	} {
		_, err := compare.Run(compare.Options{A: []string{file(t, "x", []byte(c[0]))}, B: []string{sound}})
		if err == nil || !strings.Contains(err.Error(), c[1]) || fail.HintOf(err) == "" {
			t.Errorf("%s: got %v, hint %q; want %q", name, err, fail.HintOf(err), c[1])
		}
	}
}

func TestSummariesOfK6StandSideBySide(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(cases, "summaries"))
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d summaries, %v", len(entries), err)
	}
	last := filepath.Join(cases, "summaries", "machine-readable-1.0.0.json")
	for _, e := range entries {
		r := must(t, compare.Options{A: []string{filepath.Join(cases, "summaries", e.Name())}, B: []string{last}})
		s := &r.Summary
		if s.Verdict != summary.CannotTell || len(s.Differences) != 0 || !strings.Contains(s.Sentences[0], "--out json") {
			t.Errorf("%s: verdict %q, %q", e.Name(), s.Verdict, s.Sentences)
		}
		found := false
		for _, q := range s.Quantities {
			if q.What == "http_req_duration med" {
				found = q.A != nil && *q.A == 3100 && q.B != nil && *q.B == 3100 && q.Level == 0
			}
		}
		if !found {
			t.Errorf("%s: no median of 3.1 ms in %+v", e.Name(), s.Quantities)
		}
	}
	if _, err := compare.Run(compare.Options{A: []string{last}, B: []string{filepath.Join(cases,
		"sound.json.gz")}}); err == nil || !strings.Contains(fail.HintOf(err), "--out json") {
		t.Errorf("a summary and results: %v", err)
	}
	if _, err := compare.Run(compare.Options{A: []string{last}, B: []string{last},
		Metric: "nosuch"}); err == nil || !strings.Contains(fail.HintOf(err), "http_req_duration") {
		t.Errorf("a metric that is not there: %v, %q", err, fail.HintOf(err))
	}
}

// A summary has no quantiles of its own requests, and says how many failed.
func TestASummaryShowsNoLatencyThatItDoesNotHold(t *testing.T) {
	for form, text := range map[string]string{
		"exported": `{"metrics":{"http_reqs":{"count":200,"rate":10},"http_req_failed":{"passes":50,"fails":150,"value":0.25},
			"http_req_duration":{"avg":3.1,"med":3}}}`,
		"handled": `{"metrics":{"http_reqs":{"type":"counter","values":{"count":200,"rate":10}},
			"http_req_failed":{"type":"rate","values":{"rate":0.25,"passes":50,"fails":150}},
			"http_req_duration":{"type":"trend","values":{"avg":3.1,"med":3}}}}`,
		"machine-readable": `{"version":"1.0.0","results":{"metrics":[{"name":"http_reqs","values":{"count":200,"rate":10}},
			{"name":"http_req_failed","values":{"rate":0.25,"matches":50,"total":200}},
			{"name":"http_req_duration","values":{"avg":3.1,"med":3}}]}}`,
	} {
		r := must(t, compare.Options{A: []string{file(t, "a.json", []byte(text))}, B: []string{file(t, "b.json", []byte(text))}})
		for _, a := range r.Summary.Arms {
			if a.Requests != 200 || a.Failed != 50 {
				t.Errorf("%s: %d requests, %d failed; want 200 and 50", form, a.Requests, a.Failed)
			}
		}
		var page bytes.Buffer
		if err := report.Text(&page, &r.Summary, report.TextOptions{}); err != nil {
			t.Fatal(err)
		}
		if text := page.String(); strings.Contains(text, "0.0 µs  0.0 µs") || !strings.Contains(text, "50 of 200 requests failed") {
			t.Errorf("%s:\n%s", form, text)
		}
	}
}

// A spreadsheet writes k6's true and false in capitals, and whole numbers of ten
// digits rounded.
func TestACSVThatASpreadsheetSaved(t *testing.T) {
	row := func(at string, outcome string) string {
		return "http_req_duration," + at + ",3.067000,1404," + outcome + ",404\n"
	}
	const head = "metric_name,timestamp,metric_value,error_code,expected_response,status\n"
	text := head + row("1772442000", "TRUE") + row("1772442001", "TRUE") + row("1772442002", "FALSE")
	sound := []byte(head + row("1772442000", "true") + row("1772442001", "true") + row("1772442003", "true"))
	r := must(t, compare.Options{A: []string{file(t, "a.csv", []byte(text))}, B: []string{file(t, "b.csv", sound)}})
	if a := r.Summary.Arms[0]; a.Requests != 3 || a.Failed != 1 {
		t.Errorf("%d requests, %d failed; want 3 and 1", a.Requests, a.Failed)
	}
	rounded := head + row("1.77244E+09", "TRUE")
	_, err := compare.Run(compare.Options{A: []string{file(t, "a.csv", []byte(rounded))}, B: []string{file(t, "b.csv", sound)}})
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "a spreadsheet has rounded it") {
		t.Errorf("rounded: %v", err)
	}
}

// A summary's numbers have the unit that it declares, and none that it does not.
func TestASummaryDeclaresItsUnits(t *testing.T) {
	handled := `{"metrics":{"queue":{"type":"trend","contains":"default","values":{"med":4}},
		"body":{"type":"trend","contains":"data","values":{"med":4}},"login":{"type":"trend","contains":"time","values":{"med":4}},
		"http_req_duration{scenario:a}":{"type":"trend","contains":"time","values":{"med":4}},"http_reqs":{"values":{"count":1}}}}`
	readable := `{"version":"1.0.0","results":{"metrics":[{"name":"queue","type":"trend","contains":"default","values":{"med":4}},
		{"name":"login","type":"trend","contains":"time","values":{"med":4}}]}}`
	exported := `{"metrics":{"http_reqs":{"count":1},"login":{"med":4},"http_req_duration{scenario:a}":{"med":4}}}`
	for _, c := range []struct{ text, metric, unit string }{
		{handled, "queue", summary.UnitCount}, {handled, "body", summary.UnitCount}, {handled, "login", summary.UnitUs},
		{handled, "http_req_duration{scenario:a}", summary.UnitUs}, {readable, "queue", summary.UnitCount}, {readable, "login", summary.UnitUs},
		{exported, "login", summary.UnitCount}, {exported, "http_req_duration{scenario:a}", summary.UnitUs},
	} {
		in := []string{file(t, "a.json", []byte(c.text))}
		r := must(t, compare.Options{A: in, B: in, Metric: c.metric})
		want := map[string]float64{summary.UnitCount: 4, summary.UnitUs: 4000}[c.unit]
		if q := r.Summary.Quantities[0]; q.Unit != c.unit || *q.A != want {
			t.Errorf("%.30s… %s: %v %s; want %v %s", c.text, c.metric, *q.A, q.Unit, want, c.unit)
		}
	}
}

// A long name costs a row its place in the table, and not its difference.
func TestALongNameKeepsItsDifference(t *testing.T) {
	text := func(v string) []byte {
		return []byte(`{"metrics":{"http_reqs":{"count":1},"http_req_duration":{"p(99.9)":` + v + `}}}`)
	}
	r := must(t, compare.Options{A: []string{file(t, "a.json", text("8"))}, B: []string{file(t, "b.json", text("9.5"))}})
	var page bytes.Buffer
	if err := report.Text(&page, &r.Summary, report.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := "http_req_duration p(99.9): 8.00 ms and 9.50 ms, −1.50 ms no interval"; !strings.Contains(page.String(), want) {
		t.Errorf("%s\nwant %q", page.String(), want)
	}
}

// A count is written whole: 2,048 are not 2,050, and one failure is not 1.0.
func TestCountsAreWrittenWhole(t *testing.T) {
	text := []byte(`{"metrics":{"http_reqs":{"count":2048,"rate":10.25}}}`)
	r := must(t, compare.Options{A: []string{file(t, "a.json", text)}, B: []string{file(t, "b.json", text)}, Metric: "http_reqs"})
	var page bytes.Buffer
	if err := report.Text(&page, &r.Summary, report.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := page.String(); !regexp.MustCompile(`http_reqs count +2,048 +2,048 +0 `).MatchString(got) ||
		!regexp.MustCompile(`http_reqs rate +10.3 `).MatchString(got) {
		t.Error(got)
	}
}
