package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hoplab/hoplab/internal/lab/agent"
)

// statName is a name without the characters that mean something in the names
// of Envoy's statistics.
func statName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == ':' {
			return '_'
		}
		return r
	}, name)
}

// Counters returns Envoy's own counters and gauges by name.
func (p *Proxy) Counters() (map[string]int64, error) {
	body, err := p.ask(context.Background(), http.MethodGet, "/stats?format=json")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Stats []struct {
			Name  string
			Value any
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("envoy's counters: %w", err)
	}
	out := map[string]int64{}
	for _, s := range doc.Stats {
		// Histograms have no name, and the value of a text readout is a text.
		if n, ok := s.Value.(float64); ok {
			out[s.Name] = int64(n)
		}
	}
	return out, nil
}

// Status returns Envoy's counters in the terms of the lab's own agent. They
// begin at 0 again when Envoy is started again.
func (p *Proxy) Status() (agent.Status, error) {
	v, err := p.Counters()
	if err != nil {
		return agent.Status{}, err
	}
	p.mu.Lock()
	st := agent.Status{PID: p.proc.PID()}
	p.mu.Unlock()
	if st.Inject, err = p.injected(); err != nil {
		return agent.Status{}, err
	}
	for _, in := range p.cfg.Ingress {
		e := endpoint(v, ingressName(in), name("app", in.Discovery), in.Discovery, in.Protocol)
		e.Handshakes = v["listener."+statName(ingressName(in))+".ssl.handshake"]
		e.HealthChecks = v["vhost."+ingressName(in)+".vcluster."+healthChecks+".upstream_rq_total"]
		st.Ingress = append(st.Ingress, e)
	}
	for _, e := range p.cfg.Egress {
		s := endpoint(v, name("egress", key(e)), name("egress", key(e)), e.Discovery, e.Protocol)
		s.Name = key(e)
		st.Egress = append(st.Egress, s)
	}
	return st, nil
}

func endpoint(v map[string]int64, listener, cluster, discovery string, p agent.Protocol) agent.EndpointStatus {
	down := "http." + statName(listener) + ".downstream_"
	if p == agent.TCP {
		down = "tcp." + statName(listener) + ".downstream_"
	}
	s := agent.EndpointStatus{
		Discovery: discovery, Codes: map[string]int64{},
		Requests: v[down+"rq_total"], NewConnections: v[down+"cx_total"], ActiveConnections: v[down+"cx_active"],
		BytesIn: v[down+"cx_rx_bytes_total"], BytesOut: v[down+"cx_tx_bytes_total"],
		UpstreamConnections: v["cluster."+statName(cluster)+".upstream_cx_total"],
	}
	for _, counter := range agent.UpstreamCounters {
		if n := v["cluster."+statName(cluster)+".upstream_"+counter]; n > 0 {
			if s.Upstream == nil {
				s.Upstream = map[string]int64{}
			}
			s.Upstream[counter] = n
		}
	}
	for _, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx"} {
		if n := v[down+"rq_"+class]; n > 0 {
			s.Codes[class] = n
		}
	}
	return s
}
