package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// What TLS adds is asked for wherever both arms are there, whatever the
// baseline, and once.
func TestMeshTLSIsComparedWithMesh(t *testing.T) {
	for arms, want := range map[string]string{
		"agent,bypass,mesh,mesh-tls": "agent - bypass, mesh - bypass, mesh-tls - bypass, mesh-tls - mesh, bypass - bypass-twin",
		"mesh,mesh-tls":              "mesh-tls - mesh, mesh - mesh-twin",
		"mesh-tls,mesh":              "mesh-tls - mesh, mesh - mesh-twin",
		"bypass,mesh-tls":            "mesh-tls - bypass, bypass - bypass-twin",
		"mesh,mesh-tls,direct":       "mesh - direct, mesh-tls - direct, mesh-tls - mesh, direct - direct-twin",
	} {
		p := mustNew(t, plan.ProfileStandard)
		if err := p.SetArms(strings.Split(arms, ","), true); err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", arms, err)
		}
		var got []string
		for _, c := range p.Contrasts() {
			got = append(got, c.Of)
			var sum float64
			for _, w := range c.Weights {
				sum += w
			}
			if sum != 0 {
				t.Errorf("%s: the weights of %s add up to %v", arms, c.Of, sum)
			}
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s: %s; want %s", arms, s, want)
		}
	}
}

// The arm of TLS expects what mesh expects, and TLS.
func TestMeshTLSExpects(t *testing.T) {
	mesh, err := plan.NewArm(plan.ArmMesh)
	if err != nil {
		t.Fatal(err)
	}
	secure, err := plan.NewArm(plan.ArmMeshTLS)
	if err != nil {
		t.Fatal(err)
	}
	if mesh.Expect.TLS || !secure.Expect.TLS || !slices.Equal(mesh.Path, secure.Path) {
		t.Errorf("%+v and %+v", mesh, secure)
	}
	if secure.Expect.TLS = false; secure.Expect != mesh.Expect {
		t.Errorf("%+v and %+v", mesh.Expect, secure.Expect)
	}
}

func TestMeshTLSIsOfTheLab(t *testing.T) {
	p := mustNew(t, plan.ProfileStandard)
	p.ForAWS()
	if err := p.SetArms([]string{plan.ArmBypass, plan.ArmMeshTLS}, true); err != nil {
		t.Fatal(err)
	}
	err := p.Validate()
	if fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), "private CA") || fail.HintOf(err) == "" {
		t.Errorf("%v; want a usage error that names the private CA and a next step", err)
	}
}
