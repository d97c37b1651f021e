package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/h1"
	"github.com/hoplab/hoplab/internal/lab/relay"
)

// accessLog writes one line per request in the formats of section 4 of the
// semantics. Lines reach the file within a second. The nil log does nothing.
type accessLog struct {
	json, query bool
	clock       clock.Clock

	mu sync.Mutex
	f  *os.File
	w  *bufio.Writer
}

func openLog(cfg *AccessLog, c clock.Clock) (*accessLog, error) {
	if cfg == nil {
		return nil, nil
	}
	f, err := os.OpenFile(cfg.Path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return &accessLog{json: cfg.Format == "JSON", query: cfg.Query, clock: c, f: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

// logLine is what must be remembered of a request before its buffer is reused.
type logLine struct {
	start                                      time.Time
	method, path, xff, agent, id, host, target string
}

func (l *accessLog) begin(r *route, x *relay.Exchange) *logLine {
	if l == nil {
		return nil
	}
	path := x.Req.Target
	if !l.query {
		if i := bytes.IndexByte(path, '?'); i >= 0 {
			path = path[:i]
		}
	}
	return &logLine{
		start: x.Start, method: string(x.Req.Method), path: string(path), host: string(x.Req.Host),
		xff: string(x.Req.Get(h1.XForwardedFor)), agent: string(x.Req.Get(h1.UserAgent)), id: string(x.Req.Get(h1.XRequestID)),
	}
}

func (l *accessLog) end(n *logLine, x *relay.Exchange, status int, served time.Duration) {
	if l == nil {
		return
	}
	n.target = x.Target
	b := l.text(n, x, status, served)
	if l.json {
		b = l.object(n, x, status, served)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.Write(b)
	l.w.WriteByte('\n')
}

func (l *accessLog) text(n *logLine, x *relay.Exchange, status int, served time.Duration) []byte {
	in, out := x.Payloads()
	return fmt.Appendf(nil, `[%s] "%s %s HTTP/1.1" %d %d %d %d %s "%s" "%s" "%s" "%s" "%s"`,
		stamp(n.start), n.method, n.path, status, in, out, l.ms(time.Since(n.start)), l.service(served),
		dash(n.xff), dash(n.agent), dash(n.id), dash(n.host), dash(n.target))
}

// object uses the keys of a sample that AWS's agent wrote ("forwarded_for" and
// "duration", where the guide says otherwise), and Envoy's usual ones for what
// that sample does not show.
func (l *accessLog) object(n *logLine, x *relay.Exchange, status int, served time.Duration) []byte {
	in, out := x.Payloads()
	null := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	var service *int64
	if served > 0 {
		ms := l.ms(served)
		service = &ms
	}
	b, _ := json.Marshal(struct { // strings and numbers only: cannot fail
		StartTime string  `json:"start_time"`
		Method    string  `json:"method"`
		Path      string  `json:"path"`
		Protocol  string  `json:"protocol"`
		Code      int     `json:"response_code"`
		In        int64   `json:"bytes_received"`
		Out       int64   `json:"bytes_sent"`
		Duration  int64   `json:"duration"`
		Service   *int64  `json:"upstream_service_time"`
		XFF       *string `json:"forwarded_for"`
		Agent     *string `json:"user_agent"`
		ID        *string `json:"request_id"`
		Authority *string `json:"authority"`
		Upstream  *string `json:"upstream_host"`
	}{stamp(n.start), n.method, n.path, "HTTP/1.1", status, in, out, l.ms(time.Since(n.start)), service,
		null(n.xff), null(n.agent), null(n.id), null(n.host), null(n.target)})
	return b
}

func (l *accessLog) ms(d time.Duration) int64 { return l.clock.Modelled(d).Milliseconds() }

func (l *accessLog) service(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprint(l.ms(d))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return strings.ReplaceAll(s, `"`, `\"`)
}

func (l *accessLog) flush() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.Flush()
}

func (l *accessLog) close() {
	if l == nil {
		return
	}
	l.flush()
	l.f.Close()
}
