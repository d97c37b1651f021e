package plan

// Contrast is a difference of arms that the plan asks for: the sum of their
// quantiles with weights that add up to 0.
type Contrast struct {
	Of      string    // "agent - bypass"
	Weights []float64 // by arm
	Twin    bool      // the A/A comparison: the truth is 0
}

// Contrasts lists what the plan compares, the primary one first and the A/A
// comparison last: each arm with the baseline, and mesh-tls with mesh, which
// says what TLS adds. The baseline and its twin are the same path twice and count
// half each: that costs nothing beyond what the A/A comparison costs anyhow, and
// takes a quarter of the variance away (1 + 1/2 shares instead of 1 + 1).
func (p *Plan) Contrasts() []Contrast {
	base, twin := p.Baseline(), p.TwinIndex()
	if base < 0 {
		return nil
	}
	baseline := make([]float64, len(p.Arms))
	baseline[base] = 1
	if twin >= 0 {
		baseline[base], baseline[twin] = 0.5, 0.5
	}
	var out []Contrast
	for i, a := range p.Arms {
		if a.TwinOf != "" || i == base {
			continue
		}
		sign, of := 1.0, a.Name+" - "+p.Arms[base].Name
		if a.Name == ArmDirect {
			// The floor: what the baseline adds to it is the question.
			sign, of = -1, p.Arms[base].Name+" - "+a.Name
		}
		w := make([]float64, len(p.Arms))
		w[i] = sign
		for k, b := range baseline {
			w[k] -= sign * b
		}
		out = append(out, Contrast{Of: of, Weights: w})
	}
	if plain, secure := p.ArmIndex(ArmMesh), p.ArmIndex(ArmMeshTLS); plain >= 0 && secure >= 0 && plain != base {
		w := make([]float64, len(p.Arms))
		w[secure], w[plain] = 1, -1
		out = append(out, Contrast{Of: ArmMeshTLS + " - " + ArmMesh, Weights: w})
	}
	if twin >= 0 {
		w := make([]float64, len(p.Arms))
		w[base], w[twin] = 1, -1
		out = append(out, Contrast{Of: p.Arms[base].Name + " - " + p.Arms[twin].Name, Weights: w, Twin: true})
	}
	return out
}
