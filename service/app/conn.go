package app

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
)

// conn counts what net/http does not tell a handler: the connection's serial
// number, the requests on it, and the bytes in each direction. The requests
// of an HTTP/2 connection come at the same time and share its bytes.
type conn struct {
	net.Conn
	serial        int64
	host, peer    string // local and remote address without port
	port          string // local
	requests      atomic.Int64
	read, written atomic.Int64
	// Touched only by the goroutine of an HTTP/1.1 connection:
	readBefore    int64   // of the last finished request
	writtenBefore int64   // of the last finished request
	open          *access // request whose response may still be in the buffer
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// listener hands out connections as *conn, numbered from 1. Several listeners
// share the numbers.
type listener struct {
	net.Listener
	serial *atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, serial: l.serial.Add(1)}
	c.host, c.port = split(inner.LocalAddr())
	c.peer, _ = split(inner.RemoteAddr())
	return c, nil
}

func split(a net.Addr) (host, port string) {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.IP.String(), strconv.Itoa(t.Port)
	}
	return a.String(), ""
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection that a request came on, nil outside a server of serve.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
