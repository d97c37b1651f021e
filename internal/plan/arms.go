package plan

import (
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
)

// ArmNames lists the arms that NewArm knows, in reading order.
func ArmNames() []string { return []string{ArmAgent, ArmBypass, ArmMesh, ArmMeshTLS, ArmDirect} }

// NewArm returns the arm of that name with weight 1, the path it must take and
// the evidence that proves it: an agent adds Envoy's two response headers
// (server, x-envoy-upstream-service-time), and the last agent calls the app
// over the loopback address of the task's own network namespace. TLS between
// agents shows in what they count.
func NewArm(name string) (Arm, error) {
	a := Arm{Name: name, Weight: 1, Expect: Expect{Status: 200}}
	switch name {
	case ArmAgent:
		a.Path = []string{"client", "alb", "agent", "app"}
		a.Expect.AgentHeaders, a.Expect.PeerLoopback, a.Expect.AgentHops = 1, true, 1
	case ArmBypass:
		a.Path = []string{"client", "alb", "app"}
	case ArmMesh, ArmMeshTLS:
		a.Path = []string{"client", "agent", "agent", "app"}
		a.Expect.AgentHeaders, a.Expect.PeerLoopback, a.Expect.AgentHops = 1, true, 2
		a.Expect.TLS = name == ArmMeshTLS
	case ArmDirect:
		a.Path = []string{"client", "app"}
	default:
		return Arm{}, fail.Newf(fail.Usage, "choose from "+strings.Join(ArmNames(), ", "), "unknown arm %q", name)
	}
	return a, nil
}

// LabAgent reports whether the agents under measurement are the lab's own and
// not Envoy.
func (p *Plan) LabAgent() bool { return p.Target == TargetLab && p.Agent != AgentEnvoy }

// Twin returns the A/A twin of a: the same path, weight and evidence, with
// processes of its own in the lab.
func Twin(a Arm) Arm {
	t := a
	t.Name = a.Name + TwinSuffix
	t.TwinOf = a.Name
	t.Path = append([]string(nil), a.Path...)
	return t
}

// SetArms replaces the arms by the named ones, each with an equal share. When
// twin is set, the baseline (see Baseline) gets an A/A twin.
func (p *Plan) SetArms(names []string, twin bool) error {
	arms := make([]Arm, 0, len(names)+1)
	for _, n := range names {
		a, err := NewArm(n)
		if err != nil {
			return err
		}
		arms = append(arms, a)
	}
	p.Arms = arms
	if twin && len(arms) > 0 {
		p.Arms = append(p.Arms, Twin(arms[p.Baseline()]))
	}
	return nil
}

// Baseline is the index of the arm that the others are compared with: bypass
// when there is one, else direct, else mesh when there is mesh-tls, else the
// last arm that is no twin. It is -1 for a plan without arms.
func (p *Plan) Baseline() int {
	for _, name := range []string{ArmBypass, ArmDirect} {
		if i := p.ArmIndex(name); i >= 0 {
			return i
		}
	}
	if i := p.ArmIndex(ArmMesh); i >= 0 && p.ArmIndex(ArmMeshTLS) >= 0 {
		return i
	}
	for i := len(p.Arms) - 1; i >= 0; i-- {
		if p.Arms[i].TwinOf == "" {
			return i
		}
	}
	return -1
}

// TwinIndex is the index of the first A/A twin, or -1.
func (p *Plan) TwinIndex() int {
	for i, a := range p.Arms {
		if a.TwinOf != "" {
			return i
		}
	}
	return -1
}

// ArmIndex is the index of the arm of that name, or -1.
func (p *Plan) ArmIndex(name string) int {
	for i, a := range p.Arms {
		if a.Name == name {
			return i
		}
	}
	return -1
}

// Share is arm i's expected share of the requests, in [0,1].
func (p *Plan) Share(i int) float64 {
	var sum float64
	for _, a := range p.Arms {
		sum += a.Weight
	}
	if sum <= 0 {
		return 0
	}
	return p.Arms[i].Weight / sum
}
