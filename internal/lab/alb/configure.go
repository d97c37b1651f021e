package alb

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
)

// Configure gives the node another configuration and says where its listeners
// are. Requests that are under way end as they began. A listener whose port,
// protocol and certificate stay keeps its connections, a target group that
// stays as it was keeps its targets and their health; the targets of one that
// changed begin with their initial checks. What is left out closes: a group's
// open requests have its deregistration delay. The time scale and the idle
// timeout are those of the start. After an error nothing has changed, but a
// listener that was to get another protocol or certificate may be closed.
func (a *Node) Configure(cfg Config) (Bound, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.setup.Load()
	next := &setup{cfg: cfg, groups: map[string]*group{}, routes: map[uint16]*Listener{}}
	opened, err := a.listen(old, next)
	if err != nil {
		for _, l := range opened {
			l.ln.Close()
		}
		return Bound{}, err
	}
	a.regroup(old, next)
	a.setup.Store(next)
	for _, l := range opened {
		a.wg.Go(func() { l.serve(l.ln) })
	}
	for _, l := range old.listeners {
		if !slices.Contains(next.listeners, l) {
			l.ln.Close()
			l.close()
		}
	}
	for id, g := range old.groups {
		if next.groups[id] != g {
			g.close()
		}
	}
	return Bound{Listeners: a.addresses()}, nil
}

// listen finds the listeners of next among the old ones and opens the others,
// which it returns. One that takes another's port in its place, with another
// protocol or certificate, is opened when that one has closed.
func (a *Node) listen(old, next *setup) (opened []*listener, err error) {
	for i := range next.cfg.Listeners {
		cfg := &next.cfg.Listeners[i]
		next.routes[cfg.Port] = cfg
		same := slices.IndexFunc(old.listeners, func(l *listener) bool { return l.cfg.Port == cfg.Port })
		if same >= 0 && old.listeners[same].serves(cfg) {
			next.listeners = append(next.listeners, old.listeners[same])
			continue
		}
		l, err := a.newListener(*cfg)
		if err == nil {
			if same >= 0 {
				old.listeners[same].ln.Close()
			}
			l.ln, err = a.net.Listen(cfg.Port)
		}
		if err != nil {
			return opened, fmt.Errorf("load balancer %s: listener %d: %w", next.cfg.Name, cfg.Port, err)
		}
		opened, next.listeners = append(opened, l), append(next.listeners, l)
	}
	return opened, nil
}

// serves reports whether the listener can go on under another configuration.
func (l *listener) serves(cfg *Listener) bool {
	return l.cfg.Protocol == cfg.Protocol && reflect.DeepEqual(l.cfg.Certificate, cfg.Certificate)
}

// regroup finds the target groups of next among the old ones and makes the
// others; one that has changed begins with the targets that it had.
func (a *Node) regroup(old, next *setup) {
	used := map[string]bool{}
	for _, l := range next.cfg.Listeners {
		note(used, l.Default)
		for _, r := range l.Rules {
			note(used, r.Actions)
		}
	}
	for _, cfg := range next.cfg.Groups {
		was := old.groups[cfg.ID]
		if was != nil && was.used == used[cfg.ID] && reflect.DeepEqual(was.cfg, cfg) {
			next.groups[cfg.ID] = was
			continue
		}
		g := a.newGroup(cfg, used[cfg.ID])
		if was != nil {
			g.register(was.addresses())
		}
		next.groups[cfg.ID] = g
	}
}

func (g *group) addresses() (out []netip.AddrPort) {
	for _, t := range *g.targets.Load() {
		out = append(out, t.addr)
	}
	return out
}

// addresses is where the listeners are, by port.
func (a *Node) addresses() map[uint16]netip.AddrPort {
	out := map[uint16]netip.AddrPort{}
	for _, l := range a.setup.Load().listeners {
		out[l.cfg.Port] = l.ln.Addr().(*net.TCPAddr).AddrPort()
	}
	return out
}
