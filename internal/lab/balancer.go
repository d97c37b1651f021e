package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/certs"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/lab/vpc"
	"github.com/hoplab/hoplab/internal/topology"
)

// balancer is a running load balancer. It runs as one node; the service has
// one in each zone, which matters for the number of health checks only.
type balancer struct {
	copy  *deploymentCopy
	def   *topology.LoadBalancer
	iface *vpc.Interface
	host  fabric.Host
	// groupHost has the same security groups; it is made when first asked for.
	groupHost fabric.Host
	cfg       *alb.Config
	pair      *certs.Pair // of its HTTPS listeners; nil without one
	removed   bool
	*nodeProcess
}

func (b *balancer) start(ctx context.Context) (err error) {
	l := b.copy.lab
	if b.iface, err = l.network.Attach("alb node of "+string(b.def.ID), b.def.Subnets, b.def.Groups); err != nil {
		return err
	}
	b.host, err = l.fabric.AddHost(ctx, fabric.HostSpec{Name: b.iface.Name, IP: b.iface.IP, Subnet: b.iface.Subnet, Delay: l.opts.LinkDelay})
	if err != nil {
		return err
	}
	if b.cfg, err = b.config(); err != nil {
		return fmt.Errorf("load balancer %s: %w", b.def.ID, err)
	}
	return b.startNode()
}

// startNode starts the node's process, now or after the last one has ended.
func (b *balancer) startNode() error {
	l := b.copy.lab
	event := func(raw json.RawMessage) {
		var c alb.HealthChange
		if json.Unmarshal(raw, &c) == nil {
			select {
			case l.health <- healthEvent{b, c}:
			case <-l.ctx.Done():
			}
		}
	}
	var bound alb.Bound
	c, err := l.startNode(b.iface.Name, b.host, node.Start{ALB: b.cfg}, &bound, event)
	if err != nil {
		return err
	}
	b.nodeProcess = c
	if err := b.bind(bound); err != nil {
		return err
	}
	l.onEnd(c.proc, func() { b.ended(c) })
	return b.Call(node.OpUpdate, alb.Update{Targets: b.targets()}, nil)
}

// ended starts another node in the place of one that has ended. Its targets
// begin with their initial health checks, as for any new node.
func (b *balancer) ended(c *nodeProcess) {
	l := b.copy.lab
	if b.removed {
		return
	}
	l.note(fmt.Sprintf("load balancer %s: the node ended: %s", b.def.ID, c.proc.Why()))
	c.close()
	b.release()
	if err := b.startNode(); err != nil {
		l.note(fmt.Sprintf("load balancer %s: the node does not start again: %v", b.def.ID, err))
	}
}

// bind tells the fabric where the node listens.
func (b *balancer) bind(bound alb.Bound) error {
	for port, real := range bound.Listeners {
		if err := b.host.Bound(port, fabric.BindInterface, real); err != nil {
			return err
		}
	}
	return nil
}

// configure gives the node the configuration of its definition and reports
// whether that is another than it had.
func (b *balancer) configure() (changed bool, err error) {
	cfg, err := b.config()
	if err != nil || reflect.DeepEqual(cfg, b.cfg) {
		return false, err
	}
	before := b.cfg
	b.cfg = cfg // also for a node that starts in the place of one that has ended
	if b.nodeProcess == nil || !b.proc.Alive() {
		return true, nil
	}
	var bound alb.Bound
	if err := b.Call(node.OpConfigure, cfg, &bound); err != nil {
		return false, err
	}
	for _, l := range before.Listeners {
		if _, stays := bound.Listeners[l.Port]; !stays {
			b.host.Unbound(l.Port)
		}
	}
	return true, b.bind(bound)
}

// release lets the tasks go that wait for a node to be done with them, because
// it has ended, and their open requests with it.
func (b *balancer) release() {
	for _, s := range b.copy.services {
		for _, t := range s.leaving {
			for _, group := range forwardsTo(b.def) {
				t.drained(string(group))
			}
		}
	}
}

// remove ends the load balancer for good.
func (b *balancer) remove() {
	l := b.copy.lab
	b.removed = true
	b.close()
	b.release()
	for _, h := range []fabric.Host{b.host, b.groupHost} {
		if h != nil {
			h.Remove()
		}
	}
	l.network.Detach(b.iface)
}

func (b *balancer) close() {
	if b.nodeProcess != nil {
		b.nodeProcess.close()
	}
}

// DNSName is the name under which callers reach a load balancer. It is of the
// form that AWS gives, under a domain that never resolves outside the lab. name
// is empty for one that the source does not name.
func DNSName(id topology.ID, name string, internal bool) string {
	if name == "" {
		name = string(id[strings.LastIndexByte(string(id), '/')+1:])
	}
	h := fnv.New32a()
	h.Write([]byte(id))
	prefix := ""
	if internal {
		prefix = "internal-"
	}
	return strings.ToLower(fmt.Sprintf("%s%s-%010d.elb.lab.test", prefix, name, h.Sum32()))
}

func dnsName(lb *topology.LoadBalancer) string {
	return DNSName(lb.ID, lb.Name.Or(""), lb.Internal.Or(true))
}

// forwardsTo lists the target groups that any action of lb forwards to.
func forwardsTo(lb *topology.LoadBalancer) []topology.ID {
	var out []topology.ID
	add := func(as []topology.Action) {
		for _, a := range as {
			for _, f := range a.Forward {
				if id, ok := f.Group.Get(); ok && !slices.Contains(out, id) {
					out = append(out, id)
				}
			}
		}
	}
	for _, l := range lb.Listeners {
		add(l.Default)
		for _, r := range l.Rules {
			add(r.Actions)
		}
	}
	return out
}

// targets lists what is registered: the running tasks of services that name
// the group, by container port, and what the source itself registers.
func (b *balancer) targets() map[string][]netip.AddrPort {
	out := map[string][]netip.AddrPort{}
	for _, id := range forwardsTo(b.def) {
		list := []netip.AddrPort{}
		if g := b.copy.lab.index.TargetGroup(id); g != nil {
			list = b.copy.registered(g)
		}
		for _, s := range b.copy.services {
			for _, t := range s.tasks {
				for _, st := range t.def.LoadBalancers {
					g, okg := st.Group.Get()
					port, okp := st.Port.Get()
					if okg && okp && g == id {
						list = append(list, netip.AddrPortFrom(t.iface.IP, uint16(port)))
					}
				}
			}
		}
		out[string(id)] = list
	}
	return out
}

// servicesOf lists the services of the copy that register with the group.
func (b *balancer) servicesOf(group topology.ID) (out []*service) {
	for _, s := range b.copy.services {
		for _, st := range s.def.LoadBalancers {
			if g, ok := st.Group.Get(); ok && g == group {
				out = append(out, s)
			}
		}
	}
	return out
}

// config turns the load balancer of the topology into a node's configuration.
func (b *balancer) config() (*alb.Config, error) {
	l := b.copy.lab
	attr := func(key, def string) string { return b.def.Attributes[key].Or(def) }
	cfg := &alb.Config{
		Name: b.def.Name.Or(string(b.def.ID)), DNSName: dnsName(b.def), Scale: l.opts.Scale, Seed: l.opts.Seed,
		Idle:          seconds(attr("idle_timeout.timeout_seconds", ""), 60*time.Second),
		XFF:           attr("routing.http.xff_header_processing.mode", "append"),
		XFFClientPort: attr("routing.http.xff_client_port.enabled", "false") == "true",
		DropInvalid:   attr("routing.http.drop_invalid_header_fields.enabled", "false") == "true",
		Desync:        attr("routing.http.desync_mitigation_mode", "defensive"),
	}
	for _, id := range forwardsTo(b.def) {
		g := l.index.TargetGroup(id)
		if g == nil {
			return nil, fmt.Errorf("target group %s is not in the source", id)
		}
		ag := groupConfig(g)
		b.copy.secureTargets(id, &ag)
		for _, s := range b.servicesOf(id) {
			if spec := l.injectionFor("alb", s); spec != nil {
				ag.Inject = spec
			}
		}
		cfg.Groups = append(cfg.Groups, ag)
	}
	for _, tl := range b.def.Listeners {
		b.noteActions(tl)
		port, ok := tl.Port.Get()
		if !ok {
			return nil, fmt.Errorf("listener %s: the source does not settle its port", tl.ID)
		}
		al := alb.Listener{Port: uint16(port), Protocol: tl.Protocol.Or("HTTP"), Default: actions(tl.Default)}
		if al.Protocol == "HTTPS" {
			if b.pair == nil {
				pair, err := l.certificate(dnsName(b.def))
				if err != nil {
					return nil, err
				}
				b.pair = pair
			}
			al.Certificate = b.pair
		}
		for _, r := range tl.Rules {
			al.Rules = append(al.Rules, alb.Rule{Conditions: conditions(r.Conditions), Actions: actions(r.Actions)})
		}
		cfg.Listeners = append(cfg.Listeners, al)
	}
	return cfg, nil
}

// noteActions notes actions that the lab does not run, such as
// authenticate-oidc: requests pass them by.
func (b *balancer) noteActions(l *topology.Listener) {
	check := func(as []topology.Action) {
		for _, a := range as {
			switch a.Type {
			case "forward", "redirect", "fixed-response":
			default:
				b.copy.lab.note(fmt.Sprintf("listener %s: the lab does not run actions of type %s; requests pass them by", l.ID, a.Type))
			}
		}
	}
	check(l.Default)
	for _, r := range l.Rules {
		check(r.Actions)
	}
}

// groupConfig applies the defaults of section 6 of the semantics.
func groupConfig(g *topology.TargetGroup) alb.Group {
	attr := func(key, def string) string { return g.Attributes[key].Or(def) }
	h := g.Health
	hc := alb.Health{
		Enabled: h.Enabled.Or(true), Protocol: h.Protocol.Or(""), Path: h.Path.Or(""), Matcher: h.Matcher.Or(""),
		Interval: time.Duration(h.IntervalSeconds.Or(0)) * time.Second,
		Timeout:  time.Duration(h.TimeoutSeconds.Or(0)) * time.Second,
		Healthy:  h.HealthyThreshold.Or(0), Unhealthy: h.UnhealthyThreshold.Or(0),
	}.WithDefaults(g.ProtocolVersion.Or("HTTP1"))
	if p, err := strconv.ParseUint(h.Port.Or("traffic-port"), 10, 16); err == nil {
		hc.Port = uint16(p)
	}
	minimum, err := strconv.Atoi(attr("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"))
	if err != nil {
		minimum = 1
	}
	return alb.Group{
		ID: string(g.ID), Name: g.Name.Or(string(g.ID)), Protocol: g.Protocol.Or("HTTP"), Version: g.ProtocolVersion.Or("HTTP1"),
		Health: hc, Algorithm: attr("load_balancing.algorithm.type", "round_robin"),
		SlowStart:           seconds(attr("slow_start.duration_seconds", ""), 0),
		DeregistrationDelay: seconds(attr("deregistration_delay.timeout_seconds", ""), 300*time.Second),
		MinimumHealthy:      minimum,
	}
}

func seconds(v string, def time.Duration) time.Duration {
	n, err := strconv.Atoi(v)
	if err != nil {
		return def
	}
	return time.Duration(n) * time.Second
}

func actions(in []topology.Action) []alb.Action {
	var out []alb.Action
	for _, a := range in {
		b := alb.Action{Type: a.Type}
		for _, f := range a.Forward {
			if id, ok := f.Group.Get(); ok {
				b.Forward = append(b.Forward, alb.Weighted{Group: string(id), Weight: f.Weight})
			}
		}
		if r := a.Redirect; r != nil {
			b.Redirect = &alb.Redirect{Protocol: r.Protocol, Host: r.Host, Port: r.Port, Path: r.Path, Query: r.Query, Status: status(r.Status, 302)}
		}
		if f := a.Fixed; f != nil {
			b.Fixed = &alb.Fixed{Status: status(f.Status, 200), ContentType: f.ContentType, Body: f.Body}
		}
		out = append(out, b)
	}
	return out
}

// status reads "HTTP_301" and "503".
func status(s string, def int) int {
	if n, err := strconv.Atoi(strings.TrimPrefix(s, "HTTP_")); err == nil {
		return n
	}
	return def
}

func conditions(in []topology.Condition) []alb.Condition {
	var out []alb.Condition
	for _, c := range in {
		b := alb.Condition{Field: c.Field, Name: c.Name}
		for _, v := range c.Values {
			if s, ok := v.Get(); ok {
				b.Values = append(b.Values, s)
			}
		}
		for _, q := range c.Query {
			b.Query = append(b.Query, alb.KeyValue{Key: q.Key, Value: q.Value})
		}
		out = append(out, b)
	}
	return out
}
