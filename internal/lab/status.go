package lab

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/topology"
)

// Status is the state of the lab. Counters of different processes are read
// one after the other while requests go on.
type Status struct {
	Fabric        string               `json:"fabric"`
	Scale         float64              `json:"scale"` // modelled seconds per real second
	Dir           string               `json:"dir"`   // logs
	Services      []ServiceStatus      `json:"services"`
	Instances     []InstanceStatus     `json:"instances,omitempty"`
	LoadBalancers []LoadBalancerStatus `json:"load_balancers"`
	// Namespaces are what AWS Cloud Map lists, of the deployment without twins.
	Namespaces []NamespaceStatus `json:"namespaces,omitempty"`
	// CA is the file with the authority that signs the HTTPS listeners'
	// certificates; empty without such a listener.
	CA string `json:"ca,omitempty"`
	// Addresses gives the modelled address for each one that processes see
	// instead of it on this fabric, in their logs for example.
	Addresses map[string]string `json:"addresses,omitempty"`
	Notes     []string          `json:"notes,omitempty"`
}

// ServiceStatus is a service with its tasks.
type ServiceStatus struct {
	ID      topology.ID `json:"id"`
	Name    string      `json:"name"`
	Twin    string      `json:"twin,omitempty"` // set for the tasks of a twin
	Desired int         `json:"desired"`
	// Stable is what the waiter services-stable of the AWS CLI waits for: as
	// many tasks as desired and no deployment under way, of whatever revision.
	Stable bool         `json:"stable"`
	Tasks  []TaskStatus `json:"tasks"`
	// Deployments are the current one first, then those that have tasks left.
	Deployments []DeploymentStatus `json:"deployments,omitempty"`
	// Stopped are the last tasks that ended, the newest last.
	Stopped []StoppedTask `json:"stopped,omitempty"`
	Events  []Event       `json:"events,omitempty"`
}

// TaskStatus is one task.
type TaskStatus struct {
	ID string `json:"id"`
	// Deployment is the one that it belongs to, as ECS names it.
	Deployment string `json:"deployment"`
	// Started is when it was started, since the lab's start, modelled time.
	Started time.Duration     `json:"started"`
	IP      string            `json:"ip"`
	State   TaskState         `json:"state"`
	Why     string            `json:"why,omitempty"`   // why it stops
	Health  string            `json:"health"`          // of its containers' checks: HEALTHY, UNHEALTHY, UNKNOWN
	Names   map[string]string `json:"names,omitempty"` // endpoint name and client port → virtual address
	Agent   *agent.Status     `json:"agent,omitempty"`
	Apps    []AppStatus       `json:"apps,omitempty"`
	PIDs    []int             `json:"pids"`
	Dir     string            `json:"dir"` // its logs
	// Packets is what the rules of the task's network interface have counted,
	// on a fabric whose kernel does: see the counters of package netns.
	Packets map[string]uint64 `json:"packets,omitempty"`
}

// AppStatus is the process behind one port of a container.
type AppStatus struct {
	Container string `json:"container"`
	Port      uint16 `json:"port"`
	Address   string `json:"address"` // where it really listens
	PID       int    `json:"pid"`
	Ended     string `json:"ended,omitempty"` // how the process ended, if it has
	// Requests is what the app has logged, HealthChecks those of them that a
	// load balancer's health check sent.
	Requests     int64  `json:"requests"`
	HealthChecks int64  `json:"health_checks"`
	Log          string `json:"log"`
}

// LoadBalancerStatus is a load balancer with its target groups.
type LoadBalancerStatus struct {
	ID      topology.ID `json:"id"`
	Name    string      `json:"name"`
	Twin    string      `json:"twin,omitempty"`
	DNSName string      `json:"dns_name"`
	IP      string      `json:"ip"`
	PID     int         `json:"pid"`
	Error   string      `json:"error,omitempty"` // why there are no counters
	alb.Status
}

// Time is the real time of a moment that is told as modelled time since the
// lab's start, as events and tasks have it.
func (l *Lab) Time(at time.Duration) time.Time { return l.begun.Add(l.clock.Real(at)) }

// Status asks all processes for their state.
func (l *Lab) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Status{Fabric: l.fabric.Name(), Scale: l.clock.Factor(), Dir: l.dir, Notes: l.remarks()}
	if l.ca != nil {
		st.CA = l.caFile()
	}
	st.Addresses = l.addresses()
	var wg sync.WaitGroup
	for _, dc := range l.copies {
		if dc.name == "" {
			st.Namespaces = dc.cloudMap()
		}
		for _, s := range dc.services {
			tasks := slices.Concat(s.tasks, s.leaving)
			ss := ServiceStatus{ID: s.def.ID, Name: s.name(), Twin: dc.name, Desired: s.desired, Stable: s.stable(),
				Tasks:       make([]TaskStatus, len(tasks)),
				Deployments: s.deploymentStatus(), Stopped: slices.Clone(s.stopped), Events: slices.Clone(s.events)}
			for i, t := range tasks {
				wg.Go(func() { ss.Tasks[i] = t.status() })
			}
			st.Services = append(st.Services, ss)
		}
		for _, i := range dc.instances {
			st.Instances = append(st.Instances, i.status())
		}
		for _, b := range dc.balancers {
			st.LoadBalancers = append(st.LoadBalancers, b.status())
		}
	}
	wg.Wait()
	return st
}

func (t *task) status() TaskStatus {
	l := t.service.copy.lab
	ts := TaskStatus{ID: t.id, Deployment: t.service.deploymentName(t.rollout), IP: t.iface.IP.String(),
		Started: l.clock.Modelled(t.begun.Sub(l.begun)), Dir: t.dir, State: t.state, Why: t.why, Health: t.health(), Names: map[string]string{}}
	for _, n := range t.names {
		ts.Names[n.key] = n.at.Addr().String()
	}
	if t.agent != nil {
		ts.PIDs = append(ts.PIDs, t.agent.proc.PID())
		var as agent.Status
		if err := t.agent.Call(node.OpStatus, nil, &as); err == nil {
			ts.Agent = &as
			if as.PID != 0 {
				ts.PIDs = append(ts.PIDs, as.PID)
			}
		}
	}
	if h, ok := t.host.(fabric.Counting); ok {
		ts.Packets, _ = h.Packets() // the task is about to go
	}
	for _, a := range t.apps {
		ts.Apps = append(ts.Apps, a.status())
		ts.PIDs = append(ts.PIDs, a.proc.PID())
	}
	return ts
}

func (a *appProcess) status() AppStatus {
	n, probes := a.requests.count(a.log)
	st := AppStatus{Container: a.container, Port: a.port, Address: a.address, PID: a.proc.PID(), Requests: n, HealthChecks: probes, Log: a.log}
	if !a.proc.Alive() {
		st.Ended = a.proc.Why()
	}
	return st
}

// addresses maps what hosts are seen with to their modelled addresses, where
// the two differ.
func (l *Lab) addresses() map[string]string {
	out := map[string]string{}
	add := func(h fabric.Host) {
		if h == nil {
			return
		}
		ip := h.Spec().IP
		if real := h.From(netip.AddrPortFrom(ip, 0)); real.IsValid() && real != ip {
			out[real.String()] = ip.String()
		}
	}
	for _, dc := range l.copies {
		for _, b := range dc.balancers {
			add(b.host)
		}
		for _, i := range dc.instances {
			add(i.host)
		}
		for _, s := range dc.services {
			for _, t := range s.tasks {
				add(t.host)
			}
		}
	}
	if l.load != nil {
		add(l.load.host)
	}
	for _, s := range l.standalone {
		add(s.host)
	}
	return out
}

func (b *balancer) status() LoadBalancerStatus {
	bs := LoadBalancerStatus{ID: b.def.ID, Name: b.def.Name.Or(string(b.def.ID)), Twin: b.copy.name, DNSName: dnsName(b.def),
		IP: b.iface.IP.String(), PID: b.proc.PID()}
	if err := b.Call(node.OpStatus, nil, &bs.Status); err != nil {
		bs.Error = err.Error()
	}
	return bs
}

// balancerStatus asks the load balancers alone, however many tasks there are.
func (l *Lab) balancerStatus() (out []LoadBalancerStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, dc := range l.copies {
		for _, b := range dc.balancers {
			out = append(out, b.status())
		}
	}
	return out
}

// Service returns the status of a service, of its twin's when twin is set, or nil.
func (st *Status) Service(id topology.ID, twin string) *ServiceStatus {
	for i := range st.Services {
		if s := &st.Services[i]; s.ID == id && s.Twin == twin {
			return s
		}
	}
	return nil
}
