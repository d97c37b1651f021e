package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

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

// text is a value that may be absent.
type text struct {
	value string
	is    bool
}

func textOf(v []byte, is bool) text { return text{string(v), is} }

// logLine is what must be remembered of a request before its buffer is reused.
type logLine struct {
	protocol Protocol // the endpoint's
	grpc     text     // the outcome of a gRPC call
	start    time.Time

	method, path, xff, agent, id, host, target text
}

// begin notes a request that is refused with reply, or goes on when that is nil.
func (l *accessLog) begin(x *relay.Exchange, p Protocol, reply *localReply) *logLine {
	if l == nil {
		return nil
	}
	if reply != nil && reply.early {
		return l.unread(x, p)
	}
	path, is := x.Req.Find(h1.EnvoyOriginalPath)
	if !is {
		path, is = x.Req.Target, x.Req.Target != nil
	}
	if !l.query {
		if i := bytes.IndexByte(path, '?'); i >= 0 {
			path = path[:i]
		}
	}
	n := &logLine{
		protocol: p, start: x.Began, method: textOf(x.Req.Method, true), path: textOf(path, is), host: textOf(x.Req.Host, x.Req.Host != nil),
		xff: textOf(x.Req.Find(h1.XForwardedFor)), agent: textOf(x.Req.Find(h1.UserAgent)), id: textOf(x.Req.Find(h1.XRequestID)),
	}
	if reply != nil && reply.named && n.id.value == "" {
		n.id = textOf(appendUUID(nil), true)
	}
	return n
}

// unread is begin for a request that was not read, or not to its end.
func (l *accessLog) unread(x *relay.Exchange, p Protocol) *logLine {
	if l == nil {
		return nil
	}
	return &logLine{protocol: p, start: x.Began}
}

func (l *accessLog) end(n *logLine, x *relay.Exchange, status int, served time.Duration) {
	if l == nil {
		return
	}
	n.target = text{x.Target, x.Target != ""}
	b := l.line(n, x, status, served)
	if l.json {
		b = l.object(n, x, status, served)
	}
	l.write(b)
}

func (l *accessLog) line(n *logLine, x *relay.Exchange, status int, served time.Duration) []byte {
	in, out := x.Payloads()
	b := fmt.Appendf(nil, `[%s] "%s %s %s" %d %d %d %d %s "%s" "%s" "%s" "%s" "%s"`,
		stamp(n.start), n.method.dash(), n.path.dash(), version(x), status, in, out, l.ms(time.Since(n.start)), l.service(served),
		n.xff.dash(), n.agent.dash(), n.id.dash(), n.host.dash(), n.target.dash())
	if n.protocol == HTTP2 || n.protocol == GRPC {
		b = append(append(b, ' '), n.id.dash()...)
	}
	if n.protocol == GRPC {
		b = append(append(b, ' '), n.grpc.dash()...)
	}
	return b
}

// version is the client's protocol.
func version(x *relay.Exchange) string {
	if x.OfStream() {
		return "HTTP/2"
	}
	return "HTTP/1.1"
}

// grpcEnded notes how a call ended: by the line of that name among the response's
// trailers or fields, or as its HTTP status says.
func (n *logLine) grpcEnded(lines []byte, field []byte, status int) {
	code := grpcStatus(status)
	for line := range bytes.Lines(lines) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("grpc-status")) {
			field = value
		}
	}
	if v, err := strconv.Atoi(string(bytes.TrimSpace(field))); err == nil {
		code = v
	}
	n.grpc = text{codes.Code(code).String(), true}
}

// raw is the value in JSON, or nothing where the protocol has no such field.
func (t text) raw(there bool) json.RawMessage {
	if !there {
		return nil
	}
	b, _ := json.Marshal(t.null()) // a text: cannot fail
	return b
}

// object uses the keys of a sample that AWS's agent wrote ("forwarded_for" and
// "duration", where the guide says otherwise), and Envoy's usual ones for what
// that sample does not show. They stand in Envoy's order, and the upstream's
// time is text, as every header field is.
func (l *accessLog) object(n *logLine, x *relay.Exchange, status int, served time.Duration) []byte {
	in, out := x.Payloads()
	service := text{l.service(served), served > 0}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(struct { // strings and numbers only: cannot fail
		Authority *string         `json:"authority"`
		In        int64           `json:"bytes_received"`
		Out       int64           `json:"bytes_sent"`
		Duration  int64           `json:"duration"`
		XFF       *string         `json:"forwarded_for"`
		GRPC      json.RawMessage `json:"grpc_status,omitempty"`
		Method    *string         `json:"method"`
		Path      *string         `json:"path"`
		Protocol  string          `json:"protocol"`
		ID        *string         `json:"request_id"`
		Code      int             `json:"response_code"`
		StartTime string          `json:"start_time"`
		Stream    json.RawMessage `json:"stream_id,omitempty"`
		Upstream  *string         `json:"upstream_host"`
		Service   *string         `json:"upstream_service_time"`
		Agent     *string         `json:"user_agent"`
	}{n.host.null(), in, out, l.ms(time.Since(n.start)), n.xff.null(), n.grpc.raw(n.protocol == GRPC), n.method.null(),
		n.path.null(), version(x), n.id.null(), status, stamp(n.start), n.id.raw(n.protocol == HTTP2 || n.protocol == GRPC), n.target.null(),
		service.null(), n.agent.null()})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// connection writes the line of a TCP connection, which has no requests. in and out
// are the bytes that were received from and sent to the client, number is the
// connection's among those of the agent.
func (l *accessLog) connection(start time.Time, peer net.Addr, in, out, number int64) {
	if l == nil {
		return
	}
	from, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return // no address of TCP
	}
	took := l.ms(time.Since(start))
	b := fmt.Appendf(nil, "[%s] %s %d %d %d %d - %d", stamp(start), from.Addr(), from.Port(), in, out, took, number)
	if l.json {
		b, _ = json.Marshal(struct { // strings and numbers only: cannot fail
			In        int64   `json:"bytes_received"`
			Out       int64   `json:"bytes_sent"`
			Number    int64   `json:"connection_id"`
			Details   *string `json:"connection_termination_details"`
			From      string  `json:"downstream_remote_address"`
			Port      uint16  `json:"downstream_remote_port"`
			Duration  int64   `json:"duration"`
			StartTime string  `json:"start_time"`
		}{in, out, number, nil, from.Addr().String(), from.Port(), took, stamp(start)})
	}
	l.write(b)
}

func (l *accessLog) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.Write(line)
	l.w.WriteByte('\n')
}

func (l *accessLog) ms(d time.Duration) int64 { return l.clock.Modelled(d).Milliseconds() }

func (l *accessLog) service(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprint(l.ms(d))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// dash is the value in a line of text, where nothing is escaped.
func (t text) dash() string {
	if !t.is {
		return "-"
	}
	return t.value
}

// null is the value in JSON.
func (t text) null() *string {
	if !t.is {
		return nil
	}
	return &t.value
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
