package reach

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// generated builds a topology of about n resources: blocks of a load balancer
// with listener and target group, a server with an endpoint and an override,
// three clients, their task definitions, roles and security groups; one block
// in eight has its ingress port closed. shared puts all clients into one
// security group, the worst case for whoever looks for pairs.
func generated(n int, shared bool) *topology.Topology {
	const perBlock = 18
	t := &topology.Topology{Name: fmt.Sprintf("generated-%d", n)}
	t.VPCs = []*topology.VPC{{Origin: origin("Vpc", "AWS::EC2::VPC"), CIDR: known(netip.MustParsePrefix("10.0.0.0/16"))}}
	t.Subnets = []*topology.Subnet{{Origin: origin("Subnet", "AWS::EC2::Subnet"), VPC: "Main/Vpc", CIDR: known(netip.MustParsePrefix("10.0.1.0/24"))}}
	t.Namespaces = []*topology.Namespace{{Origin: origin("Namespace", "AWS::ServiceDiscovery::HttpNamespace"), Name: known("ns"), Kind: "http"}}
	all := sg("AllClients")
	all.Egress = []topology.Rule{allowAll()}
	t.SecurityGroups = append(t.SecurityGroups, all)
	for b := 0; b < max(n/perBlock, 1); b++ {
		f := healthy()
		rename := func(o *topology.Origin) { o.ID = topology.ID(fmt.Sprintf("%s-%d", o.ID, b)) }
		for _, g := range f.SecurityGroups {
			rename(&g.Origin)
		}
		rename(&f.tg.Origin)
		rename(&f.alb.Origin)
		rename(&f.listener.Origin)
		rename(&f.server.Origin)
		rename(&f.role.Origin)
		rename(&f.server.Task.Origin)
		f.server.Task.TaskRole = known(f.role.ID)
		f.listener.Default[0].Forward[0].Group = known(f.tg.ID)
		f.alb.Groups, f.server.Groups = ids(f.albSG), ids(f.appSG)
		f.server.LoadBalancers[0].Group = known(f.tg.ID)
		f.server.Name = topology.Opt[string]{}
		f.endpoint().DiscoveryName = known(fmt.Sprintf("app-%d", b))
		f.albSG.Ingress = []topology.Rule{tcp(80, 80, cidr("10.0.0.0/16"))}
		f.albSG.Egress = []topology.Rule{tcp(80, 80, group(f.appSG))}
		members := f.clientSG
		if shared {
			members = all
		}
		f.appSG.Ingress = []topology.Rule{tcp(80, 80, group(f.albSG)), tcp(8080, 8080, group(members))}
		if b%8 == 7 {
			f.appSG.Ingress[1] = tcp(80, 80, group(members))
		}
		t.SecurityGroups = append(t.SecurityGroups, f.albSG, f.appSG, f.clientSG)
		t.TargetGroups = append(t.TargetGroups, f.tg)
		t.LoadBalancers = append(t.LoadBalancers, f.alb)
		t.Roles = append(t.Roles, f.role)
		t.Services = append(t.Services, f.server)
		for c := 0; c < 3; c++ {
			s, task := *f.client, *f.client.Task
			s.ID, task.ID = topology.ID(fmt.Sprintf("Main/Client-%d-%d", b, c)), topology.ID(fmt.Sprintf("Main/ClientTask-%d-%d", b, c))
			s.Name, s.Groups, s.After, s.Task = topology.Opt[string]{}, ids(members), []topology.ID{f.server.ID}, &task
			t.Services = append(t.Services, &s)
		}
	}
	return t
}

// BenchmarkCheck shows the cost of a check by the number of resources; it must
// grow linearly. Reading templates is not in it.
func BenchmarkCheck(b *testing.B) {
	for _, shared := range []bool{false, true} {
		for _, n := range []int{500, 2000, 5000, 20000} {
			b.Run(fmt.Sprintf("resources=%d/shared=%v", n, shared), func(b *testing.B) {
				t := generated(n, shared)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Check(t, Options{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestCostGrowsLinearly counts allocations, which do not depend on the
// machine's mood: eight times the resources may cost at most ten times.
func TestCostGrowsLinearly(t *testing.T) {
	for _, shared := range []bool{false, true} {
		cost := func(n int) float64 {
			top := generated(n, shared)
			return testing.AllocsPerRun(1, func() {
				if _, err := Check(top, Options{}); err != nil {
					t.Fatal(err)
				}
			})
		}
		// Both sizes are above MaxPairs, so both use hints alone.
		small, large := cost(2000), cost(16000)
		if large > 10*small {
			t.Errorf("shared=%v: %.0f allocations for 2000 resources, %.0f for 16000: %.1f times", shared, small, large, large/small)
		}
	}
}

func TestGeneratedFindings(t *testing.T) {
	top := generated(3600, false) // 200 blocks, 25 of them closed
	fs, err := Check(top, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(ofRule(fs, "ingress-port-closed")); n != 25 {
		t.Errorf("%d ingress ports are closed, want 25", n)
	}
}
