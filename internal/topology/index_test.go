package topology_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// An endpoint's three ports, its protocol and why one is not known, for every
// way in which the source may give them.
func TestEndpointIsResolvedOnce(t *testing.T) {
	named := func(e *topology.Endpoint) { e.Aliases = []topology.Alias{alias(80, "web")} }
	for _, c := range []struct {
		name   string
		change func(*topology.Service, *topology.Endpoint, *topology.PortMapping)
		want   string // client, ingress, container port and protocol; "?" when unknown
		why    string // why the container port is not known
	}{
		{"default", func(*topology.Service, *topology.Endpoint, *topology.PortMapping) {}, "8080 8080 8080 tcp", ""},
		{"alias", func(_ *topology.Service, e *topology.Endpoint, _ *topology.PortMapping) { named(e) }, "80 8080 8080 tcp", ""},
		{"override", func(_ *topology.Service, e *topology.Endpoint, _ *topology.PortMapping) {
			named(e)
			e.IngressPortOverride = topology.Known(9000)
		}, "80 9000 8080 tcp", ""},
		{"override unknown", func(_ *topology.Service, e *topology.Endpoint, _ *topology.PortMapping) {
			e.IngressPortOverride = topology.Unknown[int]("a parameter")
		}, "8080 ? 8080 tcp", ""},
		{"http", func(_ *topology.Service, _ *topology.Endpoint, m *topology.PortMapping) {
			m.AppProtocol = topology.Known("http")
		}, "8080 8080 8080 http", ""},
		{"protocol empty", func(_ *topology.Service, _ *topology.Endpoint, m *topology.PortMapping) {
			m.AppProtocol = topology.Known("")
		}, "8080 8080 8080 tcp", ""},
		{"protocol unknown", func(_ *topology.Service, _ *topology.Endpoint, m *topology.PortMapping) {
			m.AppProtocol = topology.Unknown[string]("a parameter")
		}, "8080 8080 8080 ?", ""},
		{"no container port", func(_ *topology.Service, _ *topology.Endpoint, m *topology.PortMapping) { m.Port = topology.Opt[int]{} },
			"? ? ? tcp", `port mapping "http" has no container port`},
		{"no mapping", func(_ *topology.Service, e *topology.Endpoint, _ *topology.PortMapping) {
			e.PortName = topology.Known("x")
		},
			"? ? ? ?", `no port mapping of the task definition is named "x"`},
		{"no port name", func(_ *topology.Service, e *topology.Endpoint, _ *topology.PortMapping) {
			e.PortName = topology.Opt[string]{}
		},
			"? ? ? ?", "the endpoint has no port name"},
		{"no task", func(s *topology.Service, _ *topology.Endpoint, _ *topology.PortMapping) {
			s.Task, s.TaskUnknown = nil, "imported"
		}, "? ? ? ?", "imported"},
	} {
		s := service("s/Web", topology.Known("shop"), false, endpoint("http", ""))
		c.change(s, &s.Connect.Endpoints[0], &s.Task.Containers[0].Ports[0])
		e := topology.NewIndex(&topology.Topology{Services: []*topology.Service{s}}).Endpoints("s/Web")[0]
		number := func(o topology.Opt[int]) string {
			if n, ok := o.Get(); ok {
				return fmt.Sprint(n)
			}
			return "?"
		}
		got := fmt.Sprintf("%s %s %s %s", number(e.Names[0].Port), number(e.IngressPort), number(e.ContainerPort), e.Protocol.Or("?"))
		if got != c.want || e.ContainerPort.Why() != c.why {
			t.Errorf("%s: %s (%s); want %s (%s)", c.name, got, e.ContainerPort.Why(), c.want, c.why)
		}
		if e.IngressPort.IsAbsent() || e.ContainerPort.IsAbsent() || e.Protocol.IsAbsent() {
			t.Errorf("%s: something is absent, which nobody asks for", c.name)
		}
	}
}

func TestSwitchedOffPublishesNothing(t *testing.T) {
	s := service("s/Web", topology.Known("shop"), false, endpoint("http", ""))
	s.Connect.Enabled = topology.Known(false)
	x := topology.NewIndex(&topology.Topology{Services: []*topology.Service{s}})
	if len(x.Endpoints("s/Web")) != 0 || len(x.ConnectNamespaces()) != 0 || x.NamespaceOf(s.Connect) != nil {
		t.Error("a service without Service Connect publishes")
	}
}

// wide is a topology of n services in one namespace, each behind a target group of its own.
func wide(n int) *topology.Topology {
	t := &topology.Topology{}
	lb := &topology.LoadBalancer{Origin: topology.Origin{ID: "s/Alb"}}
	for i := range n {
		s := service(fmt.Sprintf("s/S%d", i), topology.Known("shop"), false, endpoint("http", fmt.Sprintf("s%d", i), alias(80, "")))
		g := &topology.TargetGroup{Origin: topology.Origin{ID: topology.ID(fmt.Sprintf("s/G%d", i))}}
		s.LoadBalancers = []topology.ServiceTarget{{Group: topology.Known(g.ID), Port: topology.Known(8080)}}
		l := &topology.Listener{Port: topology.Known(i + 1)}
		l.Default = []topology.Action{{Type: "forward", Forward: []topology.WeightedTarget{{Group: topology.Known(g.ID), Weight: 1}}}}
		t.Services, t.TargetGroups, lb.Listeners = append(t.Services, s), append(t.TargetGroups, g), append(lb.Listeners, l)
	}
	t.LoadBalancers = []*topology.LoadBalancer{lb}
	return t
}

// TestIndexIsLinear counts allocations, which do not depend on how busy the
// machine is: eight times the services may cost at most ten times.
func TestIndexIsLinear(t *testing.T) {
	cost := func(n int) float64 {
		top := wide(n)
		return testing.AllocsPerRun(1, func() { topology.NewIndex(top) })
	}
	if small, large := cost(500), cost(4000); large > 10*small {
		t.Errorf("%.0f allocations for 500 services, %.0f for 4000", small, large)
	}
}

// Several goroutines read one index; the race detector watches.
func TestIndexIsSafeToShare(t *testing.T) {
	top := wide(50)
	x := topology.NewIndex(top)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, s := range top.Services {
				ns := x.NamespaceOf(s.Connect)
				name := fmt.Sprintf("s%d.shop", i)
				if got := ns.Named(name); len(got) != 1 || got[0].Endpoint != x.Endpoints(s.ID)[0] || got[0].Index == 0 {
					t.Errorf("%s leads to %v", name, got)
				}
				group, _ := s.LoadBalancers[0].Group.Get()
				if r := x.Registrations(group).Read(); len(r) != 1 || r[0].Service != s {
					t.Errorf("%s: registrations %v", group, r)
				}
				if f := x.Forwards(group).Read(); len(f) != 1 || f[0].Listener.Port.Or(0) != i+1 {
					t.Errorf("%s: forwards %v", group, f)
				}
			}
		})
	}
	wg.Wait()
}
