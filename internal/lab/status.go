package lab

import (
	"slices"
	"sync"

	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/node"
	"github.com/hoplab/hoplab/internal/topology"
)

// Status is a picture of the lab. Counters of different processes are read
// one after the other while requests go on.
type Status struct {
	Fabric        string               `json:"fabric"`
	Scale         float64              `json:"scale"` // modelled seconds per real second
	Dir           string               `json:"dir"`   // logs
	Services      []ServiceStatus      `json:"services"`
	LoadBalancers []LoadBalancerStatus `json:"load_balancers"`
	Notes         []string             `json:"notes,omitempty"`
}

// ServiceStatus is a service with its tasks.
type ServiceStatus struct {
	ID      topology.ID  `json:"id"`
	Name    string       `json:"name"`
	Twin    string       `json:"twin,omitempty"` // set for the tasks of a twin
	Desired int          `json:"desired"`
	Tasks   []TaskStatus `json:"tasks"`
	Events  []Event      `json:"events,omitempty"`
}

// TaskStatus is one task.
type TaskStatus struct {
	ID     string            `json:"id"`
	IP     string            `json:"ip"`
	State  TaskState         `json:"state"`
	Why    string            `json:"why,omitempty"`   // why it stops
	Health string            `json:"health"`          // of its containers' checks: HEALTHY, UNHEALTHY, UNKNOWN
	Names  map[string]string `json:"names,omitempty"` // endpoint name and client port → virtual address
	Agent  *agent.Status     `json:"agent,omitempty"`
	Apps   []AppStatus       `json:"apps,omitempty"`
	PIDs   []int             `json:"pids"`
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

// Status asks all processes for their state.
func (l *Lab) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Status{Fabric: l.fabric.Name(), Scale: l.clock.Factor(), Dir: l.dir, Notes: slices.Clone(l.notes)}
	var wg sync.WaitGroup
	for _, w := range l.worlds {
		for _, s := range w.services {
			tasks := slices.Concat(s.tasks, s.leaving)
			ss := ServiceStatus{ID: s.def.ID, Name: s.name(), Twin: w.name, Desired: s.desired,
				Tasks: make([]TaskStatus, len(tasks)), Events: slices.Clone(s.events)}
			for i, t := range tasks {
				wg.Go(func() { ss.Tasks[i] = t.status() })
			}
			st.Services = append(st.Services, ss)
		}
		for _, b := range w.balancers {
			st.LoadBalancers = append(st.LoadBalancers, b.status())
		}
	}
	wg.Wait()
	return st
}

func (t *task) status() TaskStatus {
	ts := TaskStatus{ID: t.id, IP: t.iface.IP.String(), State: t.state, Why: t.why, Health: t.health(), Names: map[string]string{}}
	for _, n := range t.names {
		ts.Names[n.key()] = n.at.Addr().String()
	}
	if t.agent != nil {
		ts.PIDs = append(ts.PIDs, t.agent.proc.PID())
		var as agent.Status
		if err := t.agent.Call(node.OpStatus, nil, &as); err == nil {
			ts.Agent = &as
		}
	}
	if h, ok := t.host.(fabric.Counting); ok {
		ts.Packets, _ = h.Packets() // the task is about to go
	}
	for _, a := range t.apps {
		n, probes := a.requests.count(a.log)
		ts.Apps = append(ts.Apps, AppStatus{Container: a.container, Port: a.port, Address: a.address, PID: a.proc.PID(), Requests: n, HealthChecks: probes, Log: a.log})
		ts.PIDs = append(ts.PIDs, a.proc.PID())
	}
	return ts
}

func (b *balancer) status() LoadBalancerStatus {
	bs := LoadBalancerStatus{ID: b.def.ID, Name: b.def.Name.Or(string(b.def.ID)), Twin: b.world.name, DNSName: dnsName(b.def), IP: b.iface.IP.String(), PID: b.proc.PID()}
	if err := b.Call(node.OpStatus, nil, &bs.Status); err != nil {
		bs.Error = err.Error()
	}
	return bs
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
