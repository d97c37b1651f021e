package analysis

import (
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/summary"
)

// ledger splits the median of the agent arm, or of the mesh arm when there is
// no other, into what ablation and the agent's own clock can tell apart. The
// entries and the remainder add up to the total by construction; the remainder
// is what nothing here measures.
func (s *study) ledger() *summary.Ledger {
	median := s.point(0.5)
	if median < 0 || len(s.used) == 0 || s.plan.Target == plan.TargetEndpoints { // names are free there, and say nothing
		return nil
	}
	arm := s.plan.ArmIndex(plan.ArmAgent)
	if arm < 0 {
		arm = s.plan.ArmIndex(plan.ArmMesh)
	}
	if arm < 0 {
		return nil
	}
	value := func(i int) float64 {
		var sum float64
		for _, r := range s.used {
			sum += r.value[i][median]
		}
		return sum / float64(len(s.used))
	}
	l := &summary.Ledger{Arm: s.plan.Arms[arm].Name, Quantile: 0.5, TotalUs: value(arm)}
	s.ablate(l, arm, median)
	if direct := s.plan.ArmIndex(plan.ArmDirect); direct >= 0 {
		l.Entries = append(l.Entries, summary.LedgerEntry{Part: "client, network and app", Us: value(direct), By: "direct"})
	}
	if len(l.Entries) == 0 {
		return nil
	}
	l.RemainderUs = l.TotalUs
	for _, e := range l.Entries {
		l.RemainderUs -= e.Us
	}
	return l
}

// ablate adds what taking a hop away changes.
func (s *study) ablate(l *summary.Ledger, arm, median int) {
	mean := func(of string) (float64, bool) {
		for i := range s.contrasts {
			c := &s.contrasts[i]
			if c.Of != of {
				continue
			}
			var sum float64
			for _, d := range c.replicates(s.used, median) {
				sum += d
			}
			return sum / float64(len(s.used)), true
		}
		return 0, false
	}
	if s.plan.Arms[arm].Name == plan.ArmAgent {
		if hop, ok := mean(plan.ArmAgent + " - " + plan.ArmBypass); ok {
			s.splitAgent(l, arm, hop)
		}
		if alb, ok := mean(plan.ArmBypass + " - " + plan.ArmDirect); ok {
			l.Entries = append(l.Entries, summary.LedgerEntry{Part: "load balancer", Us: alb, By: plan.ArmBypass + " - " + plan.ArmDirect})
		}
		return
	}
	if direct := s.plan.ArmIndex(plan.ArmDirect); direct >= 0 {
		c := contrast{plan.Contrast{Weights: make([]float64, len(s.plan.Arms))}}
		c.Weights[arm], c.Weights[direct] = 1, -1
		var sum float64
		for _, d := range c.replicates(s.used, median) {
			sum += d
		}
		l.Entries = append(l.Entries, summary.LedgerEntry{Part: "both agents", Us: sum / float64(len(s.used)),
			By: plan.ArmMesh + " - " + plan.ArmDirect})
	}
}

// splitAgent enters the agent hop, split into the agent's own work and the
// rest (its connections, and waiting for a core) when the agent kept time.
func (s *study) splitAgent(l *summary.Ledger, arm int, hop float64) {
	name := s.plan.Arms[arm].Name
	by := plan.ArmAgent + " - " + plan.ArmBypass
	var busy float64
	var requests int64
	for _, r := range s.used {
		for _, a := range r.evidence.Agents {
			if a.Arm == name && a.Role == "ingress" && a.BusyUs >= 0 {
				busy += a.BusyUs
				requests += a.Requests + a.HealthChecks
			}
		}
	}
	if requests == 0 || busy <= 0 {
		l.Entries = append(l.Entries, summary.LedgerEntry{Part: "agent", Us: hop, By: by})
		return
	}
	own := busy / float64(requests)
	l.Entries = append(l.Entries,
		summary.LedgerEntry{Part: "agent, its own work", Us: own, By: "the agent's clock, mean"},
		summary.LedgerEntry{Part: "agent, one more connection to wait on", Us: hop - own, By: by + ", less its own work"})
}
