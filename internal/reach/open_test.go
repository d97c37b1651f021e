package reach

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/hoplab/hoplab/internal/topology"
)

// scrambled returns the fixture with security-group rules that a careless
// person might have left: some missing, some on other ports, some for ranges
// instead of groups.
func scrambled(seed uint64) *fixture {
	r := rand.New(rand.NewPCG(seed, 1))
	f := healthy()
	if r.IntN(2) == 0 {
		f.defaultMode()
	}
	if r.IntN(4) == 0 {
		f.tg.Health.Port = known("8080")
	}
	ports := []int{80, 80, 8080, 443, 9000}
	peers := []topology.Peer{group(f.albSG), group(f.clientSG), group(f.appSG), cidr("10.0.0.0/16"), cidr("10.9.0.0/16"), cidr("0.0.0.0/0")}
	for _, g := range f.SecurityGroups {
		for _, rules := range []*[]topology.Rule{&g.Ingress, &g.Egress} {
			var out []topology.Rule
			for _, rule := range *rules {
				switch r.IntN(4) {
				case 0:
					continue
				case 1:
					rule.Protocol, rule.From = "tcp", ports[r.IntN(len(ports))]
					rule.To = rule.From
				case 2:
					rule.Peer = peers[r.IntN(len(peers))]
				}
				out = append(out, rule)
			}
			*rules = out
		}
	}
	return f
}

// add writes the rule into the topology.
func (f *fixture) add(t *testing.T, r OpenRule) {
	t.Helper()
	g := f.SecurityGroup(r.Group)
	if g == nil {
		t.Fatalf("rule for group %s, which does not exist", r.Group)
	}
	rule := topology.Rule{Protocol: r.Protocol, From: r.Port, To: r.Port, Peer: topology.Peer{Group: r.Peer}}
	if r.Peer == "" {
		p, err := netip.ParsePrefix(r.PeerCIDR)
		if err != nil {
			p = netip.MustParsePrefix("0.0.0.0/0") // "its callers"
		}
		rule.Peer = topology.Peer{CIDR: p}
	}
	if r.Direction == Ingress {
		g.Ingress = append(g.Ingress, rule)
	} else {
		g.Egress = append(g.Egress, rule)
	}
}

// blocks reports whether p is blocked where b says.
func blocks(p *Prediction, b Block) bool {
	return slices.ContainsFunc(p.Blocks, func(c Block) bool { return c.At.ID == b.At.ID && *c.Open == *b.Open })
}

// TestTheRuleToAddOpensThePath adds the rules that a blocked prediction names
// and predicts again: the path is open then, and it would not be without any one of them.
func TestTheRuleToAddOpensThePath(t *testing.T) {
	blocked := 0
	for seed := range uint64(300) {
		for _, p := range scrambled(seed).predict(t, Options{}).Predictions {
			if len(p.Blocks) == 0 {
				continue
			}
			blocked++
			f := scrambled(seed)
			for _, b := range p.Blocks {
				f.add(t, *b.Open)
			}
			after := f.predict(t, Options{}).Find(p.ID)
			// A path may be blocked again one hop further on; the hops that were
			// named must be open.
			for _, b := range p.Blocks {
				if blocks(after, b) {
					t.Errorf("seed %d, %s: still blocked after adding %v", seed, p.ID, b.Open)
				}
			}
			for i := range p.Blocks {
				f := scrambled(seed)
				for _, b := range slices.Delete(slices.Clone(p.Blocks), i, i+1) {
					f.add(t, *b.Open)
				}
				if q := f.predict(t, Options{}).Find(p.ID); !blocks(q, p.Blocks[i]) {
					t.Errorf("seed %d, %s: open without %v", seed, p.ID, p.Blocks[i].Open)
				}
			}
		}
	}
	if blocked < 500 {
		t.Errorf("only %d blocked paths in 300 deployments", blocked)
	}
}

// TestFindingsGoAwayWithTheirFix adds the rule of every finding that has one,
// until none is left; the same finding never comes back.
func TestFindingsGoAwayWithTheirFix(t *testing.T) {
	mended := 0
	for seed := range uint64(100) {
		f := scrambled(seed)
		seen := map[string]bool{}
		for round := 0; ; round++ {
			var next *Finding
			for _, g := range check(t, f, Options{}) {
				if g.Add != nil {
					next = &g
					break
				}
			}
			if next == nil {
				break
			}
			k := next.Rule + next.Add.String()
			if seen[k] || round > 20 {
				t.Fatalf("seed %d: %s is found again after adding %s", seed, next.Rule, next.Add)
			}
			seen[k] = true
			f.add(t, *next.Add)
			mended++
		}
	}
	if mended < 100 {
		t.Errorf("only %d findings mended", mended)
	}
}
