package app

import (
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"
)

// access is one line of the access log in the making. Names and types of the
// fields are those of nginx's JSON log in the article about ALB health checks,
// so that the two can be read side by side.
type access struct {
	start         time.Time
	method, uri   string
	proto, host   string
	header        http.Header
	status        int
	body          int64
	requestLength int64
	number        int64 // of the request on its connection, from 1
	rtt, rttvar   string
}

// begin opens the line of a request. Call it before the handler, and finish after.
func begin(r *http.Request, c *conn) *access {
	return &access{
		start: time.Now(), method: r.Method, uri: r.RequestURI, proto: r.Proto,
		host: r.Host, header: r.Header, number: c.requests.Add(1),
	}
}

// notCounted stands for request_length and bytes_sent of an HTTP/2 request: the
// streams of a connection share its bytes.
const notCounted = -1

// finish notes the result of the handler. On HTTP/1.1 the response may still
// sit in net/http's buffer, so the line itself is written by logFinished.
func (app *app) finish(a *access, c *conn, status int, body int64, http2 bool) {
	a.status, a.body = status, body
	if rtt, rttvar, ok := tcpInfo(c.Conn); ok {
		a.rtt, a.rttvar = strconv.FormatUint(uint64(rtt), 10), strconv.FormatUint(uint64(rttvar), 10)
	}
	if http2 {
		a.requestLength = notCounted
		app.log(a, c, notCounted)
		return
	}
	read := c.read.Load()
	a.requestLength = read - c.readBefore // exact unless the client pipelines
	c.readBefore = read
	app.lines.Add(1)
	c.open = a
}

// logFinished is the server's ConnState hook: a connection that becomes idle
// or closes has flushed its response, so bytes and time are final.
func (app *app) logFinished(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*conn)
	if !ok || c.open == nil || (state != http.StateIdle && state != http.StateClosed) {
		return
	}
	defer app.lines.Done()
	a := c.open
	c.open = nil
	written := c.written.Load()
	sent := written - c.writtenBefore
	c.writtenBefore = written
	app.log(a, c, sent)
}

// log writes a request's line; sent is the size of the response with its head.
func (app *app) log(a *access, c *conn, sent int64) {
	now := time.Now()
	app.logger.LogAttrs(noContext, slog.LevelInfo, "access",
		slog.String("msec", msec(now)),
		slog.String("remote_addr", c.peer),
		slog.String("server_addr", c.host),
		slog.String("server_port", c.port),
		slog.String("x_forwarded_for", a.header.Get("X-Forwarded-For")),
		slog.String("x_forwarded_port", a.header.Get("X-Forwarded-Port")),
		slog.String("x_forwarded_proto", a.header.Get("X-Forwarded-Proto")),
		slog.String("host", hostOnly(a.host)),
		slog.String("request", a.method+" "+a.uri+" "+a.proto),
		slog.String("request_method", a.method),
		slog.String("request_uri", a.uri),
		slog.Int("status", a.status),
		slog.Int64("request_length", a.requestLength),
		slog.Int64("body_bytes_sent", a.body),
		slog.Int64("bytes_sent", sent),
		slog.Float64("request_time", math.Round(now.Sub(a.start).Seconds()*1e6)/1e6),
		slog.String("user_agent", a.header.Get("User-Agent")),
		slog.String("http_connection", a.header.Get("Connection")),
		slog.String("http_accept", a.header.Get("Accept")),
		slog.String("connection", strconv.FormatInt(c.serial, 10)),
		slog.String("connection_requests", strconv.FormatInt(a.number, 10)),
		slog.String("tcpinfo_rtt", a.rtt),
		slog.String("tcpinfo_rttvar", a.rttvar),
	)
}

// msec is nginx's $msec: Unix seconds with milliseconds.
func msec(t time.Time) string {
	ms := t.UnixMilli()
	frac := strconv.FormatInt(1000+ms%1000, 10)
	return strconv.FormatInt(ms/1000, 10) + "." + frac[1:]
}

// hostOnly is nginx's $host: the Host header without its port.
func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// logTime writes slog's time as nginx's $time_iso8601, in UTC.
func logTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		return slog.String(slog.TimeKey, a.Value.Time().UTC().Format("2006-01-02T15:04:05-07:00"))
	}
	return a
}
