package samplefile

import "fmt"

// MismatchError names the header field that keeps two sample files from being
// counted together, and its two values.
type MismatchError struct {
	Field string // as in the file's JSON, e.g. "load.plan_hash"
	A, B  string
}

func (e *MismatchError) Error() string {
	if e.A == e.B {
		return fmt.Sprintf("the sample files do not belong together: %s is %s in both, so the same requests would count twice", e.Field, e.A)
	}
	return fmt.Sprintf("the sample files do not belong together: %s is %s in one and %s in the other", e.Field, e.A, e.B)
}

// SameExperiment reports whether the samples of a and b may be analysed
// together as replicates of one experiment: made under the same plan, by the
// same build, against the same kind of target. Ports, and with them the arms'
// URLs, are drawn anew for each replicate and may differ. The error is a
// *MismatchError.
func SameExperiment(a, b Header) error {
	la, lb := &a.Load, &b.Load
	fields := []field{
		{"load.plan_hash", la.PlanHash, lb.PlanHash},
		{"build", a.Build, b.Build},
		{"load.target", la.Target, lb.Target},
		{"load.seed", la.Seed, lb.Seed},
		{"load.design", la.Design, lb.Design},
		{"load.rate_per_s", la.RatePerS, lb.RatePerS},
		{"load.warmup_s", la.WarmupS, lb.WarmupS},
		{"load.duration_s", la.DurationS, lb.DurationS},
		{"load.window_s", la.WindowS, lb.WindowS},
		{"load.keep_alive", la.KeepAlive, lb.KeepAlive},
		{"load.request_bytes", la.RequestBytes, lb.RequestBytes},
		{"load.timeout_s", la.TimeoutS, lb.TimeoutS},
		{"load.client", la.Client, lb.Client},
		{"load.generators", la.Generators, lb.Generators},
		{"load.arms", len(la.Arms), len(lb.Arms)},
	}
	for i := range min(len(la.Arms), len(lb.Arms)) {
		at := fmt.Sprintf("load.arms[%d].", i)
		fields = append(fields,
			field{at + "name", la.Arms[i].Name, lb.Arms[i].Name},
			field{at + "weight", la.Arms[i].Weight, lb.Arms[i].Weight})
	}
	return firstMismatch(fields)
}

// SameReplicate reports whether a and b are the shares of two load generators
// in one replicate: the same experiment, run, replicate and addresses, and two
// different shares. The error is a *MismatchError, also when both are the same
// share, which would count it twice.
func SameReplicate(a, b Header) error {
	if err := SameExperiment(a, b); err != nil {
		return err
	}
	la, lb := &a.Load, &b.Load
	fields := []field{
		{"load.run", la.Run, lb.Run},
		{"load.replicate", la.Replicate, lb.Replicate},
		{"load.block_arms", fmt.Sprint(la.BlockArms), fmt.Sprint(lb.BlockArms)},
	}
	for i := range la.Arms {
		at := fmt.Sprintf("load.arms[%d].", i)
		fields = append(fields,
			field{at + "url", la.Arms[i].URL, lb.Arms[i].URL},
			field{at + "dial", la.Arms[i].Dial, lb.Arms[i].Dial},
			field{at + "from", la.Arms[i].From, lb.Arms[i].From})
	}
	if err := firstMismatch(fields); err != nil {
		return err
	}
	if la.Generator == lb.Generator {
		share := fmt.Sprint(la.Generator)
		return &MismatchError{"load.generator", share, share}
	}
	return nil
}

type field struct {
	name string
	a, b any // comparable
}

func firstMismatch(fields []field) error {
	for _, f := range fields {
		if f.a != f.b {
			return &MismatchError{f.name, fmt.Sprintf("%#v", f.a), fmt.Sprintf("%#v", f.b)}
		}
	}
	return nil
}
