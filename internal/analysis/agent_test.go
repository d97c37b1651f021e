package analysis_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/analysis"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// TestLabAgentIsSaid: a run with the lab's own agent says so in its first
// words, in its warnings and in its data; so does one of a time when a plan
// did not name the agent.
func TestLabAgentIsSaid(t *testing.T) {
	for _, agent := range []string{plan.AgentLab, ""} {
		rec := recording(t)
		rec.Plan.Agent = agent
		d := write(t, rec)
		d.Env.Agent = &run.Agent{Name: "lab", Why: "no Envoy to be had: uv: not on PATH"}
		r, err := analysis.Analyze(d)
		if err != nil {
			t.Fatal(err)
		}
		s := &r.Summary
		if !strings.HasPrefix(s.Sentences[0], "The lab's own agent, not Envoy, adds 1") {
			t.Errorf("agent %q: sentences %q", agent, s.Sentences)
		}
		if len(s.Warnings) != 1 || s.Warnings[0].Code != "not-envoy" || !strings.Contains(s.Warnings[0].Text, "not Envoy (no Envoy to be had: uv: not on PATH): ") {
			t.Errorf("agent %q: warnings %+v", agent, s.Warnings)
		}
		if s.Agent == nil || *s.Agent != (summary.Agent{Name: "the lab's own agent, not Envoy"}) {
			t.Errorf("agent %q: summary has the agent %+v", agent, s.Agent)
		}
	}
	rec := recording(t)
	rec.Plan.Agent = plan.AgentLab
	if err := rec.Plan.SetArms([]string{plan.ArmBypass, plan.ArmDirect}, true); err != nil {
		t.Fatal(err)
	}
	for _, w := range analyze(t, write(t, rec)).Summary.Warnings {
		if w.Code == "not-envoy" {
			t.Errorf("no arm has an agent: %+v", w)
		}
	}
}

// TestEnvoyIsSaid: version and digest are in the data and on the page.
func TestEnvoyIsSaid(t *testing.T) {
	d := write(t, recording(t))
	d.Env.Agent = &run.Agent{Name: "Envoy", Version: "1.40.0", SHA256: "8aa1", From: "PATH"}
	r, err := analysis.Analyze(d)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Summary.Agent; a == nil || *a != (summary.Agent{Name: "Envoy", Version: "1.40.0", SHA256: "8aa1"}) {
		t.Errorf("summary has the agent %+v", a)
	}
	for _, want := range []summary.KeyValue{{Key: "agent", Value: "Envoy 1.40.0"}, {Key: "agent's binary", Value: "8aa1"}} {
		if !slices.Contains(r.Detail.Machine, want) {
			t.Errorf("the machine's table lacks %+v: %+v", want, r.Detail.Machine)
		}
	}
	if len(r.Summary.Warnings) > 0 {
		t.Errorf("warnings %+v", r.Summary.Warnings)
	}
}

// TestUnlikeAgentsAreNotCompared: neither Envoy with the lab's own nor two versions.
func TestUnlikeAgentsAreNotCompared(t *testing.T) {
	recorded := func(agent, version string) *run.Dir {
		rec := recording(t)
		rec.Plan.Agent, rec.Plan.Replicates, rec.Plan.ReplicateS = agent, 2, 2
		d := write(t, rec)
		d.Env.Agent = &run.Agent{Name: "Envoy", Version: version}
		return d
	}
	a := recorded(plan.AgentEnvoy, "1.40.0")
	for want, b := range map[string]*run.Dir{
		"agent is Envoy 1.40.0 in A and the lab's own agent, not Envoy in B": recorded(plan.AgentLab, ""),
		"agent is Envoy 1.40.0 in A and Envoy 1.36.4 in B":                   recorded(plan.AgentEnvoy, "1.36.4"),
	} {
		if _, err := analysis.Runs(a, b, nil); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := analysis.Runs(a, recorded(plan.AgentEnvoy, "1.40.0"), nil); err != nil {
		t.Errorf("like agents: %v", err)
	}
}

// TestUnlikeLoadsAreNotCompared: what requests carry, and what the lab did
// beyond the templates, is part of what was measured.
func TestUnlikeLoadsAreNotCompared(t *testing.T) {
	recorded := func(change func(*plan.Plan)) *run.Dir {
		rec := recording(t)
		rec.Plan.Replicates, rec.Plan.ReplicateS, rec.Plan.EnvoyWorkers = 2, 2, 2
		change(&rec.Plan)
		return write(t, rec)
	}
	a := recorded(func(*plan.Plan) {})
	for want, change := range map[string]func(*plan.Plan){
		"request_bytes is 0 in A and 1024 in B":   func(p *plan.Plan) { p.RequestBytes = 1024 },
		"response_bytes is 0 in A and 16384 in B": func(p *plan.Plan) { p.ResponseBytes = 16384 },
		"app_protocol is  in A and http2 in B":    func(p *plan.Plan) { p.AppProtocol = "http2" },
		"access_log is  in A and JSON in B":       func(p *plan.Plan) { p.AccessLog = "JSON" },
		"envoy_workers is 2 in A and 1 in B":      func(p *plan.Plan) { p.EnvoyWorkers = 1 },
	} {
		if _, err := analysis.Runs(a, recorded(change), nil); fail.CodeOf(err) != fail.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestBodySizeIsProved: a response body of another size than the plan's
// contradicts the plan.
func TestBodySizeIsProved(t *testing.T) {
	rec := recording(t)
	rec.Plan.Replicates, rec.Plan.ReplicateS, rec.Plan.ResponseBytes = 2, 2, 16384
	if s := analyze(t, write(t, rec)).Summary; s.Verdict == summary.Refused || s.Plan.ResponseBytes != 16384 {
		t.Errorf("verdict %s, %v", s.Verdict, s.Contradictions)
	}
	rec.Each = func(_ int, r *samplefile.Record) {
		if r.Iteration == 1200 {
			r.Outcome.BodyBytes = 11
		}
	}
	s := analyze(t, write(t, rec)).Summary
	if s.Verdict != summary.Refused || len(s.Contradictions) != 2 || s.Contradictions[0].Requests != 1 ||
		!strings.Contains(s.Contradictions[0].Text, "a body of another size") {
		t.Errorf("verdict %s, %+v", s.Verdict, s.Contradictions)
	}
}
