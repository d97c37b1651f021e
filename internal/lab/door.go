package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"

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
	// LoadBalancer, if set, makes the caller a host beside that load balancer:
	// it holds the same security groups, so that it reaches a target the way the
	// load balancer does, but not through it.
	LoadBalancer topology.ID `json:"load_balancer,omitempty"`
	// Twin, if set, puts the caller beside that twin: names of services and
	// load balancers that the twin has stand for the twin's.
	Twin string `json:"twin,omitempty"`
}

// Door is where a call really goes.
type Door struct {
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

// Obstacle is why a call does not get through to anything that listens.
type Obstacle string

// The obstacles.
const (
	Unresolved Obstacle = "unresolved" // the name means nothing to the caller
	Refused    Obstacle = "refused"    // nothing listens there
	TimedOut   Obstacle = "timed out"  // a security group drops the connection, or there is no such host
)

// NoDoor is the error of a call that cannot be connected.
type NoDoor struct {
	Obstacle Obstacle
	Host     string
	Port     uint16
}

func (e *NoDoor) Error() string {
	switch e.Obstacle {
	case Unresolved:
		return fmt.Sprintf("%s does not resolve for this caller", e.Host)
	case Refused:
		return fmt.Sprintf("%s:%d refuses the connection", e.Host, e.Port)
	}
	return fmt.Sprintf("%s:%d does not answer", e.Host, e.Port)
}

// Door resolves a URL as the caller sees it and says what to connect to. It
// returns a *NoDoor when the caller would not get a connection. A port of a
// Service Connect name without an alias has a door: the agent that resets.
func (l *Lab) Door(c Caller, rawURL string) (Door, error) {
	d, h, err := l.door(c, rawURL)
	if err != nil {
		return Door{}, err
	}
	// An isolated fabric leaves the answer to the kernel, which would take its
	// time; the groups say it at once.
	to := d.Logical.Addr()
	if _, ok := l.fabric.(fabric.Isolated); ok && !to.IsLoopback() && to != h.Spec().IP &&
		!fabric.Contains(l.network.Open(h.Spec().IP, to), d.Logical.Port()) {
		return Door{}, &NoDoor{Obstacle: TimedOut, Host: to.String(), Port: d.Logical.Port()}
	}
	return d, nil
}

func (l *Lab) door(c Caller, rawURL string) (Door, fabric.Host, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return Door{}, nil, fmt.Errorf("%q is not a URL with a host", rawURL)
	}
	port := uint64(80)
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil {
			return Door{}, nil, fmt.Errorf("%q: port %s is not a TCP port", rawURL, p)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h, t, err := l.caller(c)
	if err != nil {
		return Door{}, nil, err
	}
	none := func(o Obstacle) (Door, fabric.Host, error) {
		return Door{}, h, &NoDoor{Obstacle: o, Host: u.Hostname(), Port: uint16(port)}
	}
	ip, ok := l.resolve(c, t, u.Hostname())
	if !ok {
		return none(Unresolved)
	}
	d := Door{URL: rawURL, Logical: netip.AddrPortFrom(ip, uint16(port))}
	real, verdict := h.Lookup(d.Logical)
	switch verdict {
	case fabric.Dropped:
		return none(TimedOut)
	case fabric.Refused:
		return none(Refused)
	}
	d.Dial = real.String()
	if from := h.From(d.Logical); from.IsValid() {
		d.From = from.String()
	}
	return d, h, nil
}

// caller returns the caller's host and, when it is one, its task.
func (l *Lab) caller(c Caller) (fabric.Host, *task, error) {
	w := l.world(c.Twin)
	if w == nil {
		return nil, nil, fmt.Errorf("the lab has no twin %q", c.Twin)
	}
	if c.LoadBalancer != "" {
		h, err := l.beside(w, c.LoadBalancer)
		return h, nil, err
	}
	if c.Service == "" {
		o, err := l.outside(context.Background())
		if err != nil {
			return nil, nil, err
		}
		return o.host, nil, nil
	}
	for _, w := range []*world{w, l.worlds[0]} {
		if s := w.service(c.Service); s != nil {
			for _, t := range s.tasks {
				if c.Task == "" || c.Task == t.id {
					return t.host, t, nil
				}
			}
		}
		for _, i := range w.instances {
			if i.def.ID == c.Service {
				return i.host, nil, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("no task of service %s runs", c.Service)
}

// beside returns the host that holds a load balancer's security groups, in a
// subnet of it; Lab.mu is held.
func (l *Lab) beside(w *world, id topology.ID) (fabric.Host, error) {
	for _, w := range []*world{w, l.worlds[0]} {
		for _, b := range w.balancers {
			if b.def.ID != id {
				continue
			}
			if b.beside != nil {
				return b.beside, nil
			}
			i, err := l.network.Attach("beside "+string(id), b.def.Subnets, b.def.Groups)
			if err != nil {
				return nil, err
			}
			h, err := l.fabric.AddHost(context.Background(), fabric.HostSpec{Name: i.Name, IP: i.IP, Subnet: i.Subnet, Delay: l.opts.LinkDelay})
			if err != nil {
				return nil, err
			}
			b.beside = h
			return h, l.applyPolicy()
		}
	}
	return nil, fmt.Errorf("no load balancer %s runs", id)
}

func (l *Lab) world(name string) *world {
	for _, w := range l.worlds {
		if w.name == name {
			return w
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
	if t != nil {
		for _, n := range t.names {
			if n.host == host {
				return n.at.Addr(), true
			}
		}
	}
	if host == "localhost" && c.Service != "" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	for _, w := range []*world{l.world(c.Twin), l.worlds[0]} {
		for _, b := range w.balancers {
			if dnsName(b.def) == host {
				return b.iface.IP, true
			}
		}
	}
	return netip.Addr{}, false
}

// LoadBalancerURL returns the URL of a load balancer's listener port.
func (l *Lab) LoadBalancerURL(id topology.ID, port int) (string, error) {
	lb := l.opts.Topology.LoadBalancer(id)
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
	if w := l.world(twin); w != nil {
		if s := w.service(id); s != nil {
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
