package lab

import (
	"time"

	"github.com/hoplab/hoplab/internal/fail"
)

// Timing is how long AWS takes over what a lab does at once, in modelled time.
// It shapes an outage: what callers see between a task's end and the first
// answer of the one that takes its place. The first deployment of a lab does
// not wait for it.
type Timing struct {
	// TaskStart is from the decision to start a task until its containers run.
	TaskStart time.Duration `json:"task_start,omitempty"`
	// AgentReady is what the agent takes after that until all of its clusters
	// are there; the containers wait for it.
	AgentReady time.Duration `json:"agent_ready,omitempty"`
	// Register is from a running task until the agents of its callers know it.
	Register time.Duration `json:"register,omitempty"`
	// Deregister is from the order to stop a task until the agents of its
	// callers know; the task serves them until then.
	Deregister time.Duration `json:"deregister,omitempty"`
}

// Fargate is the profile with times as they were seen on Fargate. They are
// single measurements, not promises of AWS.
const Fargate = "fargate"

// Profile returns the timing of that name: "" for none, or "fargate", whose
// values are observations 56 (39 s from the decision to a healthy target), 23
// (6.0 s until all clusters are initialized) and 35 (served for 15 s after
// StopTask; first answer 14 s after the steady state) of docs/observed.md.
func Profile(name string) (Timing, error) {
	switch name {
	case "":
		return Timing{}, nil
	case Fargate:
		return Timing{TaskStart: 39 * time.Second, AgentReady: 6 * time.Second, Register: 14 * time.Second, Deregister: 15 * time.Second}, nil
	}
	return Timing{}, fail.Newf(fail.Usage, "use fargate, or leave it out", "there is no profile %q", name)
}
