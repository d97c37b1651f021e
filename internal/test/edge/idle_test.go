package edge

import (
	"net"
	"net/http"
	"sync"
)

// idleConns knows a server's idle connections.
type idleConns struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (i *idleConns) note(c net.Conn, s http.ConnState) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conns == nil {
		i.conns = map[net.Conn]bool{}
	}
	if s == http.StateIdle {
		i.conns[c] = true
	} else {
		delete(i.conns, c)
	}
}

func (i *idleConns) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for c := range i.conns {
		c.Close()
	}
}
