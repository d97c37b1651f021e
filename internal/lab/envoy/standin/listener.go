package standin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
)

// listen opens a listener's addresses and serves each of its filter chains.
func (p *proxy) listen(def *listenerv3.Listener) error {
	chains := make([]func(net.Conn), len(def.FilterChains))
	for i, c := range def.FilterChains {
		var err error
		if chains[i], err = p.chain(c); err != nil {
			return err
		}
	}
	addresses := []*corev3.Address{def.Address}
	for _, a := range def.AdditionalAddresses {
		addresses = append(addresses, a.Address)
	}
	for _, a := range addresses {
		l, err := listenAt(a)
		if err != nil {
			return err
		}
		if def.TrafficDirection == corev3.TrafficDirection_INBOUND {
			p.inbound = append(p.inbound, l)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if i := match(def, c); i >= 0 {
					chains[i](c)
				} else {
					go refuse(c.(*net.TCPConn))
				}
			}
		}()
	}
	return nil
}

// refuse resets a connection once its client has said something, as Envoy does
// whose inspector has seen it.
func refuse(c *net.TCPConn) {
	c.SetReadDeadline(time.Now().Add(15 * time.Second))
	c.Read(make([]byte, 1))
	c.SetLinger(0)
	c.Close()
}

func listenAt(a *corev3.Address) (net.Listener, error) {
	network := "tcp4"
	switch at := a.GetSocketAddress(); {
	case at.Ipv4Compat:
		network = "tcp"
	case at.Address == "::":
		network = "tcp6" // Envoy's "::" is IPv6 alone
	}
	return net.Listen(network, hostPort(a))
}

// match returns which filter chain takes the connection, or -1.
func match(def *listenerv3.Listener, c net.Conn) int {
	if len(def.ListenerFilters) == 0 {
		return 0
	}
	dst := c.LocalAddr().(*net.TCPAddr).AddrPort()
	if def.ListenerFilters[0].Name == "envoy.filters.listener.original_dst" {
		var err error
		if dst, err = originalDestination(c.(*net.TCPConn)); err != nil {
			return -1
		}
	}
	for i, chain := range def.FilterChains {
		m := chain.FilterChainMatch
		if uint32(dst.Port()) != m.DestinationPort.GetValue() {
			continue
		}
		for _, r := range m.PrefixRanges {
			if netip.PrefixFrom(netip.MustParseAddr(r.AddressPrefix), int(r.PrefixLen.GetValue())).Contains(dst.Addr()) {
				return i
			}
		}
	}
	return -1
}

// chain returns what takes the connections of a filter chain.
func (p *proxy) chain(def *listenerv3.FilterChain) (func(net.Conn), error) {
	m, err := def.Filters[0].GetTypedConfig().UnmarshalNew()
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *hcmv3.HttpConnectionManager:
		return p.http(m), nil
	case *tcpv3.TcpProxy:
		return p.tcp(m), nil
	}
	return nil, errors.New("a filter that is neither HTTP nor TCP")
}

// http serves a chain's connections through one server.
func (p *proxy) http(m *hcmv3.HttpConnectionManager) func(net.Conn) {
	stat := "http." + m.StatPrefix + ".downstream_"
	route := m.GetRouteConfig().VirtualHosts[0].Routes[0].GetRoute()
	to := p.clusters[route.GetCluster()]
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "cluster", r.In.Host
		},
		Transport: &http.Transport{DialContext: to.dial, DisableCompression: true},
		ModifyResponse: func(r *http.Response) error {
			p.count(stat+"rq_"+strconv.Itoa(r.StatusCode/100)+"xx", 1)
			r.Header.Set("Server", m.ServerName)
			r.Header.Set("X-Envoy-Upstream-Service-Time", "0")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.count(stat+"rq_5xx", 1)
			w.Header().Set("Server", m.ServerName)
			if errors.Is(r.Context().Err(), context.DeadlineExceeded) {
				w.WriteHeader(http.StatusGatewayTimeout)
				io.WriteString(w, "upstream request timeout")
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, "upstream connect error or disconnect/reset before headers. "+err.Error())
		},
	}
	conns := &handed{conns: make(chan net.Conn)}
	go http.Serve(conns, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.count(stat+"rq_total", 1)
		if d := route.Timeout.AsDuration(); d > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), d)
			defer cancel()
			r = r.WithContext(ctx)
		}
		proxy.ServeHTTP(w, r)
	}))
	return func(c net.Conn) {
		p.count(stat+"cx_total", 1)
		conns.conns <- c
	}
}

// tcp moves bytes both ways.
func (p *proxy) tcp(m *tcpv3.TcpProxy) func(net.Conn) {
	to := p.clusters[m.GetCluster()]
	return func(c net.Conn) {
		p.count("tcp."+m.StatPrefix+".downstream_cx_total", 1)
		go func() {
			defer c.Close()
			up, err := to.dial(context.Background(), "", "")
			if err != nil {
				return
			}
			defer up.Close()
			go func() {
				io.Copy(up, c)
				up.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(c, up)
		}()
	}
}

// handed is a listener whose connections are accepted elsewhere.
type handed struct{ conns chan net.Conn }

func (h *handed) Accept() (net.Conn, error) { return <-h.conns, nil }
func (h *handed) Close() error              { return nil }
func (h *handed) Addr() net.Addr            { return &net.TCPAddr{} }

var _ net.Listener = (*handed)(nil)
