package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/summary"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func quantityNamed(t *testing.T, s *summary.Summary, what string) summary.Quantity {
	t.Helper()
	for _, q := range s.Quantities {
		if q.What == what {
			return q
		}
	}
	t.Fatalf("no quantity %q in %+v", what, s.Quantities)
	return summary.Quantity{}
}

// halves are a log's entries in two files, the compressed one cut at a line.
func halves(t *testing.T, path string) []string {
	t.Helper()
	in, err := openInput(path)
	if err != nil {
		t.Fatal(err)
	}
	r, done, err := in.open()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	cut := len(all)/2 + bytes.IndexByte(all[len(all)/2:], '\n') + 1
	return []string{write(t, "first.log", string(all[:cut])), write(t, "second.log", string(all[cut:]))}
}

// Two target groups of one log: what the means, shares, failures and rates must be.
func TestTargetGroupsOfALoadBalancersLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alb.log.gz")
	manyEntries(t, path, 30_000)
	r, err := Run(Options{A: []string{path}, By: "target_group"})
	if err != nil {
		t.Fatal(err)
	}
	s := &r.Summary
	if s.Verdict != summary.Different || !strings.HasPrefix(s.Sentences[0],
		"`mesh` is slower than `plain` by 1.0") || !strings.Contains(s.Sentences[0], "in the mean") {
		t.Errorf("verdict %q, %q", s.Verdict, s.Sentences[0])
	}
	mean := quantityNamed(t, s, "mean")
	if mean.Low > 1000 || mean.High < 1000 || mean.High-mean.Low > 200 || mean.Verdict != summary.Different {
		t.Errorf("mean: %+v; want 1 ms inside", mean)
	}
	if q := quantityNamed(t, s, "above 4 ms"); *q.A < *q.B+0.1 || q.Low <= 0 || q.Unit != summary.UnitShare {
		t.Errorf("above 4 ms: %+v", q)
	}
	if q := quantityNamed(t, s, "requests per minute"); math.Abs(*q.A-30_000) > 1500 {
		t.Errorf("requests per minute: %v", *q.A)
	}
	failed := 0.0
	for _, why := range []string{"502, the target closed the connection (t -1 -1)",
		"503, no target to send it to (-1 -1 -1)", "504, no connection to the target in time (-1 -1 -1)"} {
		q := quantityNamed(t, s, "failed: "+why)
		failed += *q.A + *q.B
	}
	if all := s.Arms[0].Failed + s.Arms[1].Failed; int64(failed) != all || all < 20 || s.Arms[0].Requests+s.Arms[1].Requests != 30_000 {
		t.Errorf("%v failures by kind, %d in the arms, %d requests", failed, all, s.Arms[0].Requests+s.Arms[1].Requests)
	}
	for _, d := range s.Differences {
		if d.HighUs-d.LowUs < 2000 {
			t.Errorf("p%v: [%v, %v] is narrower than the grid", 100*d.Quantile, d.LowUs, d.HighUs)
		}
	}
	for by, n := range map[string]int{"target": 4, "target_port": 1, "listener_port": 1, "method": 1, "host": 1} {
		r, err := Run(Options{A: []string{path}, By: by, Where: []Filter{{filter{tag: "status", value: "200"}}}})
		if n > 1 && (err != nil || len(r.Summary.Arms) != n) {
			t.Errorf("by %s: %v", by, err)
		}
		if n == 1 && (err == nil || !strings.Contains(err.Error(), "has only the value")) {
			t.Errorf("by %s: %v; want one value", by, err)
		}
	}
	// Parts of one log belong together: two files are no replicates.
	again, err := Run(Options{A: halves(t, path), By: "target_group"})
	if err != nil || again.Summary.Differences[0].Replicates != 1 || again.Summary.Arms[0].Requests != s.Arms[0].Requests {
		t.Errorf("two files of a log: %v", err)
	}
	if _, err := Run(Options{A: []string{path}, By: "target_group",
		Metric: "latency"}); fail.CodeOf(err) != fail.Usage || !strings.Contains(fail.HintOf(err), albTotalMetric) {
		t.Errorf("a time that it does not hold: %v", err)
	}
}

func TestHowRequestsFailedAtALoadBalancer(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct{ request, answer, response, status, target, want string }{
		{"0.000", "0.003", "0.000", "200", "200", ""},
		{"0.001", "0.003", "0.000", "404", "404", ""},
		{"0.000", "0.003", "0.000", "500", "500", "500 from the target"},
		{"0.000", "0.003", "0.000", "503", "503", "503 from the target"},
		{"-1", "-1", "-1", "503", "-", "503, no target to send it to (-1 -1 -1)"},
		{"-1", "-1", "-1", "504", "-", "504, no connection to the target in time (-1 -1 -1)"},
		{"0.001", "-1", "-1", "504", "-", "504, no answer from the target in time (t -1 -1)"},
		{"-1", "-1", "-1", "502", "-", "502, no connection to the target (-1 -1 -1)"},
		{"0.001", "-1", "-1", "502", "-", "502, the target closed the connection (t -1 -1)"},
		{"0.001", "0.002", "-1", "502", "-", "502, the target's answer could not be understood (t t -1)"},
		{"0.001", "-1", "-1", "460", "-", "460, the client closed the connection first (t -1 -1)"},
		{"-1", "-1", "-1", "400", "-", "400, not answered by a target (-1 -1 -1)"},
	} {
		var e albEntry
		e.split([]byte(albLine(at, "shop", 1, c.request, c.answer, c.response, c.status, c.target)))
		if have := e.outcome(); have != c.want {
			t.Errorf("%s %s %s, %s and %s: %q; want %q", c.request, c.answer, c.response, c.status, c.target, have, c.want)
		}
	}
}

func TestEntriesOfEveryAgeAreRead(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 123456000, time.UTC)
	line := albLine(at, "shop", 1, "0.001", "0.002", "0.003", "200", "200")
	fields := strings.Split(line, " ")
	for name, c := range map[string]struct {
		line string
		ms   float64
		bad  string
	}{
		"today's":          {line, 2, ""},
		"of 2018":          {strings.Join(fields[:20], " "), 2, ""},
		"quotes inside":    {strings.Replace(line, `"k6/2.2.0"`, `"a \"quoted\" agent"`, 1), 2, ""},
		"over TLS":         {strings.Replace(line, "http ", "https ", 1), 2, ""},
		"cut":              {line[:100], 0, "fields"},
		"a time of letter": {strings.Replace(line, " 0.002 ", " 0.0x2 ", 1), 0, "expected seconds"},
		"no time":          {strings.Replace(line, "2026-03-02T09", "2026-13-02T09", 1), 0, "RFC 3339"},
	} {
		r, err := newALBReader(&wanted{metric: DefaultMetric})
		if err != nil {
			t.Fatal(err)
		}
		var e albEntry
		ev, err := r.event([]byte(c.line), &e)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: %v; want an error with %q", name, err, c.bad)
			}
			continue
		}
		if err != nil || float64(ev.latency)/1e6 != c.ms || !ev.at.Equal(at) || ev.tags.failed {
			t.Errorf("%s: %v at %v, %v", name, ev.latency, ev.at, err)
		}
	}
	total, _ := newALBReader(&wanted{metric: albTotalMetric, tags: []string{"target_group", "listener_port", "host", "name", "target"}})
	var e albEntry
	ev, err := total.event([]byte(line), &e)
	want := map[string]string{"target_group": "shop", "listener_port": "80", "host": "internal-shop.test",
		"name": "/items", "target": "10.0.2.41:80", "method": "GET", "status": "200"}
	if err != nil || ev.latency != 6*time.Millisecond || fmt.Sprint(ev.tags.values) != fmt.Sprint(want) {
		t.Errorf("total %v, tags %v, %v; want 6ms, %v", ev.latency, ev.tags.values, err, want)
	}
}

// agentLine is the same request in an agent's log, in one of its forms.
func agentLine(form string, at time.Time, ms int, authority string) string {
	when := at.Format("2006-01-02T15:04:05.000Z")
	object := func(duration, forwardedFor string) string {
		return fmt.Sprintf(`{"start_time":%q,"method":"GET","path":"/items?id=1","protocol":"HTTP/1.1","response_code":200,"bytes_received":0,"bytes_sent":11,%q:%d,"upstream_service_time":"%d",%q:"10.0.1.17","user_agent":"k6","request_id":"r","authority":%q,"upstream_host":"127.0.0.1:8080"}`, when, duration, ms, ms, forwardedFor, authority)
	}
	text := fmt.Sprintf(`[%s] "GET /items?id=1 HTTP/1.1" 200 0 11 %d %d "10.0.1.17" "k6" "r" %q "127.0.0.1:8080"`, when,
		ms, ms, authority)
	switch form {
	case "json":
		return object("duration", "forwarded_for")
	case "json as documented":
		return object("duration_ms", "x_forwarded_for")
	case "text":
		return text
	case "envoy's default":
		return strings.Replace(text, " 200 0 11 ", " 200 - via_upstream - 0 11 ", 1)
	case "behind the time of a tail":
		return at.Format(time.RFC3339) + " " + object("duration", "forwarded_for")
	case "wrapped by FireLens":
		return fmt.Sprintf(`{"container_id":"x","container_name":"agent","log":%q,"source":"stdout"}`, text)
	case "text behind a stream":
		return at.Format(time.RFC3339) + " agent/x/1 " + text
	}
	panic(form)
}

func TestTheLogOfAnAgentInEveryForm(t *testing.T) {
	for _, form := range []string{"json", "json as documented", "text", "envoy's default", "behind the time of a tail",
		"text behind a stream", "wrapped by FireLens"} {
		rng := rand.New(rand.NewPCG(1, 1))
		at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		var b strings.Builder
		if form == "text" {
			b.WriteString("[2026-03-02 09:00:00.000][1][info][main] [source/server/server.cc:1] initializing\n")
		}
		sum := map[string]float64{}
		n := map[string]float64{}
		for range 4000 {
			at = at.Add(time.Duration(rng.ExpFloat64() * 2e7))
			authority := []string{"app.ns", "pay.ns"}[rng.IntN(2)]
			ms := 2 + rng.IntN(5)
			sum[authority] += float64(ms)
			n[authority]++
			b.WriteString(agentLine(form, at, ms, authority) + "\n")
		}
		b.WriteString("[2026-03-02 09:01:00.000][1][info][main] [source/server/server.cc:1] starting\n")
		r, err := Run(Options{A: []string{write(t, "agent.log", b.String())}, By: "authority"})
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		for _, a := range r.Summary.Arms {
			if want := 1e3 * sum[a.Name] / n[a.Name]; float64(a.Requests) != n[a.Name] || math.Abs(a.Latency.Mean-want) > 0.2 {
				t.Errorf("%s: %s has %d requests, mean %v; want %v, %v", form, a.Name, a.Requests, a.Latency.Mean, n[a.Name], want)
			}
		}
	}
}

// An agent's entries prove which of a load balancer's requests passed one.
func TestAnAgentsLogProvesThePath(t *testing.T) {
	for _, form := range []string{"json", "json as documented", "text"} {
		t.Run(form, func(t *testing.T) { provesThePath(t, form) })
	}
}

func provesThePath(t *testing.T, form string) {
	rng := rand.New(rand.NewPCG(2, 1))
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var alb, agent strings.Builder
	meshed := int64(0)
	for range 4000 {
		at = at.Add(time.Duration(rng.ExpFloat64() * 2e7))
		group := []string{"mesh", "plain"}[rng.IntN(2)]
		ms := 2 + rng.IntN(5)
		alb.WriteString(albLine(at, group, 1, "0.000", fmt.Sprintf("0.00%d", ms), "0.000", "200", "200") + "\n")
		if group == "mesh" {
			meshed++
			agent.WriteString(agentLine(form, at.Add(-time.Duration(ms)*time.Millisecond), ms, "app.ns") + "\n")
		}
	}
	o := Options{A: []string{write(t, "alb.log", alb.String())}, By: "target_group", AgentLog: []string{write(t,
		"agent.log", agent.String())}}
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Summary.Arms {
		passed, not := a.Evidence.AgentHops["1"], a.Evidence.AgentHops["0"]
		if passed+not != a.Requests {
			t.Errorf("%s: %d and %d of %d", a.Name, passed, not, a.Requests)
		}
		// Nothing in the logs tells two requests of the same instant apart.
		if share := float64(passed) / float64(a.Requests); (a.Name == "mesh" && share < 0.95) || (a.Name != "mesh" && share > 0.05) {
			t.Errorf("%s: %.0f %% passed an agent", a.Name, 100*share)
		}
	}
	if a := r.Summary.Arms[0].Evidence.AgentHops["1"] + r.Summary.Arms[1].Evidence.AgentHops["1"]; a != meshed {
		t.Errorf("%d requests were proved; the agent has %d entries", a, meshed)
	}
	twice := o
	twice.AgentLog = append(twice.AgentLog, write(t, "copy.log", agent.String()))
	if _, err := Run(twice); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "hold the same") {
		t.Errorf("an agent's log twice: %v", err)
	}
	o.By, o.B = "", o.A
	if _, err := Run(o); fail.CodeOf(err) != fail.Usage {
		t.Errorf("without --by: %v", err)
	}
}

func TestVegetasResults(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var j, c strings.Builder
	for i := range 2000 {
		code, why := 200, ""
		switch i % 100 {
		case 0:
			code, why = 500, "500 Internal Server Error"
		case 1:
			code, why = 0, "dial tcp: refused"
		}
		ns := 3_000_000 + int64(i%7)*100_001
		when := at.Add(time.Duration(i) * 10 * time.Millisecond)
		fmt.Fprintf(&j,
			`{"attack":"x","seq":%d,"code":%d,"timestamp":%q,"latency":%d,"bytes_out":0,"bytes_in":11,"error":%q,"body":"SGVsbG8=","method":"GET","url":"http://app.test/","headers":{}}`+"\n", i, code, when.Format(time.RFC3339Nano), ns, why)
		fmt.Fprintf(&c, "%d,%d,%d,0,11,%s,SGVsbG8=,x,%d,GET,http://app.test/,\n", when.UnixNano(), code, ns, why, i)
	}
	r, err := Run(Options{A: []string{write(t, "a.json", j.String())}, B: []string{write(t, "b.csv", c.String())}})
	if err != nil {
		t.Fatal(err)
	}
	s := &r.Summary
	for _, a := range s.Arms {
		if a.Requests != 2000 || a.Failed != 40 || math.Abs(a.Latency.P50-3300) > 1 {
			t.Errorf("%s: %d requests, %d failed, p50 %v", a.Name, a.Requests, a.Failed, a.Latency.P50)
		}
	}
	if s.Arms[0].Latency != s.Arms[1].Latency || s.Differences[0].EstimateUs != 0 {
		t.Errorf("JSON and CSV of one attack differ: %+v and %+v", s.Arms[0].Latency, s.Arms[1].Latency)
	}
	if q := quantityNamed(t, s, "failed: error dial tcp: refused"); *q.A != 20 || *q.B != 20 {
		t.Errorf("refused: %v and %v; want 20", *q.A, *q.B)
	}
}

// agentEntries are two discovery names in turn, each entry as a log driver or an
// export leaves it.
func agentEntries(n int, line func(at time.Time, ms int, authority string) string) string {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var b strings.Builder
	for i := range n {
		b.WriteString(line(at.Add(time.Duration(i)*20*time.Millisecond), 2+i%3, []string{"app.ns", "pay.ns"}[i%2]))
	}
	return b.String()
}

func TestAnAgentsLogAsToolsHandItOn(t *testing.T) {
	object := func(at time.Time, ms int, authority string) string { return agentLine("json", at, ms, authority) }
	quoted := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	asText := regexp.MustCompile(`:(\d+)([,}])`)
	for name, text := range map[string]string{
		"numbers as text": agentEntries(400, func(at time.Time, ms int, authority string) string {
			return asText.ReplaceAllString(object(at, ms, authority), `:"$1"$2`) + "\n"
		}),
		"pretty-printed": agentEntries(400, func(at time.Time, ms int, authority string) string {
			var b bytes.Buffer
			_ = json.Indent(&b, []byte(object(at, ms, authority)), "", "  ")
			return b.String() + "\n"
		}),
		"an array": "[" + strings.TrimSuffix(agentEntries(400, func(at time.Time, ms int, authority string) string {
			return object(at, ms, authority) + ","
		}), ",") + "]",
		"JSON wrapped by FireLens, with spaces": agentEntries(400, func(at time.Time, ms int, authority string) string {
			return fmt.Sprintf("{\"source\": \"stdout\", \"log\": %q, \"container_id\": \"x\"}\n", object(at, ms, authority))
		}),
		"Docker's file": agentEntries(400, func(at time.Time, ms int, authority string) string {
			return fmt.Sprintf("{\"log\":%q,\"stream\":\"stdout\",\"time\":\"2026-03-02T09:00:00Z\"}\n", agentLine("text", at, ms, authority)+"\n")
		}),
		"exported, of JSON": "timestamp,message\n" + agentEntries(400, func(at time.Time, ms int, authority string) string {
			return fmt.Sprintf("%d,%s\n", at.UnixMilli(), quoted(object(at, ms, authority)))
		}),
		"exported, of text": "@timestamp,@message,@logStream\n" + agentEntries(400, func(at time.Time, ms int, authority string) string {
			return fmt.Sprintf("2026-03-02 09:00:00.000,%s,agent/x/1\n", quoted(agentLine("text", at, ms, authority)))
		}),
		"far behind the agent's own lines": strings.Repeat("[2026-03-02 09:00:00.000][1][info][main] [source/x.cc:1] starting\n", 2000) +
			agentEntries(400, func(at time.Time, ms int, authority string) string { return object(at, ms, authority) + "\n" }),
	} {
		r, err := Run(Options{A: []string{write(t, "agent.log", text)}, By: "authority"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, a := range r.Summary.Arms {
			if a.Requests != 200 || a.Failed != 0 || math.Abs(a.Latency.Mean-3000) > 20 {
				t.Errorf("%s: %s has %d requests, %d failed, mean %v; want 200, 0, about 3000", name, a.Name, a.Requests, a.Failed, a.Latency.Mean)
			}
		}
	}
}

func TestALogWithoutAnEntryOfAnAgent(t *testing.T) {
	for name, text := range map[string]string{
		"the agent's own lines": "[2026-03-02 09:00:00.000][1][info][main] [source/server/server.cc:1] starting\n",
		"events of a service":   `{"events":[{"id":"1","message":"(service web) has reached a steady state."}],"nextForwardToken":"f/1"}`,
	} {
		_, err := Run(Options{A: []string{write(t, "x.log", text)}, By: "authority"})
		if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "holds no entry of an agent's access log") ||
			!strings.Contains(fail.HintOf(err), "accessLogConfiguration") {
			t.Errorf("%s: %v, hint %q", name, err, fail.HintOf(err))
		}
	}
	entry := write(t, "agent.log", agentLine("text", time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), 2, "app.ns")+"\n")
	if _, err := Run(Options{A: []string{entry}, By: "authority", Metric: "nosuch"}); err == nil || !strings.Contains(err.Error(), "no nosuch") {
		t.Errorf("a time that it does not hold: %v", err)
	}
}

// A line that was cut inside its last field would name a target or a target group
// that there is not.
func TestALogCutInsideAField(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	whole := albLine(at, "shop", 1, "0.000", "0.003", "0.000", "200", "200") + "\n" +
		albLine(at, "mesh", 1, "0.000", "0.003", "0.000", "200", "200") + "\n"
	last := albLine(at, "shop", 1, "0.000", "0.003", "0.000", "200", "200")
	inGroup := strings.Index(last, "targetgroup/") + len("targetgroup/sh")
	agent := agentLine("text", at, 2, "a.ns") + "\n" + agentLine("text", at, 2, "b.ns") + "\n"
	for name, c := range map[string]struct{ text, by string }{
		"a target group": {whole + last[:inGroup], "target_group"},
		"an upstream":    {agent + strings.TrimSuffix(agentLine("text", at, 2, "a.ns"), `80"`), "authority"},
	} {
		r, err := Run(Options{A: []string{write(t, "x.log", c.text)}, By: c.by})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all := int64(0)
		for _, a := range r.Summary.Arms {
			all += a.Requests
		}
		if len(r.Summary.Arms) != 2 || all != 2 || !strings.Contains(fmt.Sprint(r.Summary.Warnings), "the file was cut") {
			t.Errorf("%s: %d arms, %d requests, %v; want 2 of each", name, len(r.Summary.Arms), all, r.Summary.Warnings)
		}
	}
}

// What a load balancer answers by itself belongs to no target group.
func TestAnswersOfTheLoadBalancerAreNoTargetGroup(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	group := regexp.MustCompile(`arn:aws:elasticloadbalancing:\S+`)
	redirect := group.ReplaceAllString(albLine(at, "shop", 1, "-1", "-1", "-1", "301", "-"), "-")
	text := albLine(at, "shop", 1, "0.000", "0.003", "0.000", "200", "200") + "\n" +
		albLine(at, "mesh", 1, "0.000", "0.003", "0.000", "200", "200") + "\n" + redirect + "\n"
	r, err := Run(Options{A: []string{write(t, "alb.log", text)}, By: "target_group"})
	if err != nil {
		t.Fatal(err)
	}
	if said := fmt.Sprint(r.Summary.Warnings); len(r.Summary.Arms) != 2 || !strings.Contains(said, "1 request without the tag target_group left out") {
		t.Errorf("%d arms, %s", len(r.Summary.Arms), said)
	}
}
