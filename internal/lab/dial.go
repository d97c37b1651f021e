package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/topology"
)

// Caller is who makes a call. The zero value is a host of the VPC that is no
// part of the deployment and has no Service Connect: CloudShell, or a task
// that RunTask started.
type Caller struct {
	// Service makes a task of that service the caller, or the EC2 instance of
	// that id; Task the task with that id instead of the first that runs.
	Service topology.ID `json:"service,omitempty"`
	Task    string      `json:"task,omitempty"`
	// LoadBalancer, if set, makes the caller a host with that load balancer's
	// security groups in one of its subnets: it reaches a target as the load
	// balancer does, but not through it.
	LoadBalancer topology.ID `json:"load_balancer,omitempty"`
	// Standalone, if set, makes the caller the task of that id; see AddStandalone.
	Standalone string `json:"standalone,omitempty"`
	// Twin, if set, makes names of services and load balancers stand for those
	// of that twin, where it has them.
	Twin string `json:"twin,omitempty"`
	// Lookup is how the caller looks up the URL's host.
	Lookup call.Lookup `json:"lookup,omitempty"`
}

// DialInfo is what to connect to for a call.
type DialInfo struct {
	// URL is the address as the caller writes it; it decides the Host header.
	URL string `json:"url"`
	// Dial is what to connect to for it on this machine.
	Dial string `json:"dial"`
	// From is the local address to connect from if the peer's address is to be
	// that of the caller; empty when any will do.
	From string `json:"from,omitempty"`
	// Logical is the address and port in the modelled network.
	Logical netip.AddrPort `json:"logical"`
}

// Reason is why a call does not get through to anything that listens.
type Reason string

// The reasons.
const (
	Unresolved Reason = "unresolved" // the name means nothing to the caller
	Refused    Reason = "refused"    // nothing listens there
	NoRoute    Reason = "no route"   // the caller has no address of that family: network unreachable
	TimedOut   Reason = "timed out"  // a security group drops the connection, or there is no such host
)

// DialError is the error of a call that does not get a connection.
type DialError struct {
	Reason Reason
	Host   string
	Port   uint16
}

func (e *DialError) Error() string {
	switch e.Reason {
	case Unresolved:
		return fmt.Sprintf("%s does not resolve for this caller", e.Host)
	case Refused:
		return fmt.Sprintf("%s:%d refuses the connection", e.Host, e.Port)
	case NoRoute:
		return fmt.Sprintf("%s:%d: network unreachable", e.Host, e.Port)
	}
	return fmt.Sprintf("%s:%d does not answer", e.Host, e.Port)
}

// DialInfo resolves a URL as the caller sees it and says what to connect to. It
// returns a *DialError when the caller would not get a connection. A port of a
// Service Connect name without an alias can be dialled: the agent resets it.
func (l *Lab) DialInfo(c Caller, rawURL string) (DialInfo, error) {
	d, h, err := l.dialInfo(c, rawURL)
	if err != nil {
		return DialInfo{}, err
	}
	// On an isolated fabric the kernel decides, by a timeout; the groups give
	// the same answer at once.
	to := d.Logical.Addr()
	if _, ok := l.fabric.(fabric.Isolated); ok && !to.IsLoopback() && to != h.Spec().IP &&
		!fabric.Contains(l.network.Open(h.Spec().IP, to), d.Logical.Port()) {
		return DialInfo{}, &DialError{Reason: TimedOut, Host: to.String(), Port: d.Logical.Port()}
	}
	return d, nil
}

func (l *Lab) dialInfo(c Caller, rawURL string) (DialInfo, fabric.Host, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return DialInfo{}, nil, fmt.Errorf("%q is not a URL with a host", rawURL)
	}
	port := uint64(80)
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil {
			return DialInfo{}, nil, fmt.Errorf("%q: port %s is not a TCP port", rawURL, p)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h, t, err := l.caller(c)
	if err != nil {
		return DialInfo{}, nil, err
	}
	fails := func(reason Reason) (DialInfo, fabric.Host, error) {
		return DialInfo{}, h, &DialError{Reason: reason, Host: u.Hostname(), Port: uint16(port)}
	}
	ip, ok := l.resolve(c, t, u.Hostname())
	if !ok {
		return fails(Unresolved)
	}
	d := DialInfo{URL: rawURL, Logical: netip.AddrPortFrom(ip, uint16(port))}
	if d.Logical.Addr().Is6() && !h.Spec().IP6.IsValid() {
		return fails(NoRoute)
	}
	real, verdict := h.Lookup(d.Logical)
	switch verdict {
	case fabric.Unreachable:
		return fails(NoRoute)
	case fabric.Dropped:
		return fails(TimedOut)
	case fabric.Refused:
		return fails(Refused)
	}
	d.Dial = real.String()
	if from := h.From(d.Logical); from.IsValid() {
		d.From = from.String()
	}
	return d, h, nil
}

// caller returns the caller's host and, when it is one, its task.
func (l *Lab) caller(c Caller) (fabric.Host, *task, error) {
	dc := l.copyNamed(c.Twin)
	if dc == nil {
		return nil, nil, fmt.Errorf("the lab has no twin %q", c.Twin)
	}
	if c.LoadBalancer != "" {
		h, err := l.groupHost(dc, c.LoadBalancer)
		return h, nil, err
	}
	if c.Standalone != "" {
		s := l.standalone[c.Standalone]
		if s == nil {
			return nil, nil, fmt.Errorf("no standalone task %s runs", c.Standalone)
		}
		return s.host, nil, nil
	}
	if c.Service == "" {
		o, err := l.external(context.Background())
		if err != nil {
			return nil, nil, err
		}
		return o.host, nil, nil
	}
	for _, dc := range []*deploymentCopy{dc, l.copies[0]} {
		if s := dc.service(c.Service); s != nil {
			for _, t := range s.tasks {
				if c.Task == "" || c.Task == t.id {
					return t.host, t, nil
				}
			}
		}
		for _, i := range dc.instances {
			if i.def.ID == c.Service {
				return i.host, nil, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("no task of service %s runs", c.Service)
}

// groupHost returns a host with a load balancer's security groups, in a
// subnet of it; Lab.mu is held.
func (l *Lab) groupHost(dc *deploymentCopy, id topology.ID) (fabric.Host, error) {
	for _, dc := range []*deploymentCopy{dc, l.copies[0]} {
		for _, b := range dc.balancers {
			if b.def.ID != id {
				continue
			}
			if b.groupHost != nil {
				return b.groupHost, nil
			}
			i, err := l.network.Attach("host with the groups of "+string(id), b.def.Subnets, b.def.Groups)
			if err != nil {
				return nil, err
			}
			h, err := l.fabric.AddHost(context.Background(), fabric.HostSpec{Name: i.Name, IP: i.IP, Subnet: i.Subnet, Delay: l.opts.LinkDelay})
			if err != nil {
				return nil, err
			}
			b.groupHost = h
			return h, nil
		}
	}
	return nil, fmt.Errorf("no load balancer %s runs", id)
}

// Address returns the caller's address in the modelled network.
func (l *Lab) Address(c Caller) (netip.Addr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, _, err := l.caller(c)
	if err != nil {
		return netip.Addr{}, err
	}
	return h.Spec().IP, nil
}

func (l *Lab) copyNamed(name string) *deploymentCopy {
	for _, dc := range l.copies {
		if dc.name == name {
			return dc
		}
	}
	return nil
}

// resolve looks a name up as the caller does: the task's hosts file, then
// DNS, which in the lab knows the load balancers.
func (l *Lab) resolve(c Caller, t *task, host string) (netip.Addr, bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, true
	}
	if t != nil && c.Lookup != call.LookupDNS {
		for _, n := range t.names {
			if n.host == host && c.Lookup == call.LookupFirst {
				return fabric.VIP6(n.at.Addr()), true
			} else if n.host == host {
				return n.at.Addr(), true
			}
		}
	}
	if host == "localhost" && c.Service != "" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	for _, dc := range []*deploymentCopy{l.copyNamed(c.Twin), l.copies[0]} {
		for _, b := range dc.balancers {
			if dnsName(b.def) == host {
				return b.iface.IP, true
			}
		}
	}
	return netip.Addr{}, false
}

// LoadBalancerURL returns the URL of a load balancer's listener port.
func (l *Lab) LoadBalancerURL(id topology.ID, port int) (string, error) {
	lb := l.index.LoadBalancer(id)
	if lb == nil {
		return "", fmt.Errorf("no load balancer %s", id)
	}
	for _, ln := range lb.Listeners {
		if p, ok := ln.Port.Get(); ok && p == port {
			scheme, standard := "http", 80
			if ln.Protocol.Or("HTTP") == "HTTPS" {
				scheme, standard = "https", 443
			}
			return urlOf(scheme, dnsName(lb), port, standard), nil
		}
	}
	return "", fmt.Errorf("load balancer %s has no listener on port %d", id, port)
}

// TaskURL returns the URL of a port of a service's first running task, of the
// twin's when twin is set.
func (l *Lab) TaskURL(id topology.ID, twin string, port int) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dc := l.copyNamed(twin); dc != nil {
		if s := dc.service(id); s != nil {
			if len(s.tasks) > 0 {
				t := s.tasks[0]
				return urlOf("http", t.iface.IP.String(), port, 80), nil
			}
		}
	}
	return "", fmt.Errorf("no task of service %s runs", id)
}

func urlOf(scheme, host string, port, standard int) string {
	if port != standard {
		host = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return scheme + "://" + host + "/"
}

// Hosts returns the hosts file of the caller.
func (l *Lab) Hosts(c Caller) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, _, err := l.caller(c)
	if err != nil {
		return "", err
	}
	return fabric.HostsFile(h.Spec()), nil
}

// Dial connects as the caller would for the URL. The error is a *DialError
// when the caller would not get a connection.
func (l *Lab) Dial(ctx context.Context, c Caller, rawURL string) (net.Conn, error) {
	d, h, err := l.dialInfo(c, rawURL)
	if err != nil {
		return nil, err
	}
	return h.Dial(ctx, d.Logical)
}
