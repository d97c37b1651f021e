package awsrun

import (
	"strings"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
)

// measured is a run of the quick plan on both arms, one replicate of which has sent
// 100 requests to each and lost one.
func measured(t *testing.T) (*runner, *counts) {
	t.Helper()
	p, err := plan.New(plan.ProfileQuick)
	if err != nil {
		t.Fatal(err)
	}
	p.ForAWS()
	r := &runner{plan: &p, o: Options{Pace: Pace{Period: time.Minute}}, site: &site{balancer: "app/Alb/1", albZones: 2,
		load: load{cluster: "c"}, services: []*service{
			{Arm: plan.ArmAgent, Name: "s-agent", Discovery: "agent", group: "targetgroup/agent/1", tasks: 1, intervalS: 30},
			{Arm: plan.ArmBypass, Name: "s-bypass", Discovery: "bypass", Override: 8080, group: "targetgroup/bypass/1", tasks: 1, intervalS: 30},
		}}}
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	c := &counts{start: noon.Add(time.Second).UnixNano(), end: noon.Add(40 * time.Second).UnixNano()}
	for range p.Arms {
		c.sent, c.answered = append(c.sent, 100), append(c.answered, 99)
	}
	return r, c
}

// of returns the metric of a service or target group.
func of(t *testing.T, ms []run.MetricCount, namespace, end string) *run.MetricCount {
	t.Helper()
	for i := range ms {
		if ms[i].Namespace == namespace && strings.Contains(dimension(&ms[i]), end) {
			return &ms[i]
		}
	}
	t.Fatalf("no metric of %s in %s: %+v", end, namespace, ms)
	return nil
}

func TestWhatMetricsMayBe(t *testing.T) {
	r, c := measured(t)
	twins := 0.0 // of the bypass arm, with itself
	for _, a := range r.plan.Arms {
		if base(a) == plan.ArmBypass {
			twins++
		}
	}
	ms := r.expect(c, 0)
	// Health checks: of 2 minutes, every 30 s and one more, from two nodes in each of two zones.
	const checks = 5 * 4
	for _, x := range []struct {
		namespace, of string
		low, high     float64
	}{
		{ecsMetrics, "agent", 99, 100 + checks},
		{albMetrics, "targetgroup/agent/1", 99, 100},
		{ecsMetrics, "bypass", 0, 0},
		{albMetrics, "targetgroup/bypass/1", 99 * twins, 100 * twins},
	} {
		m := of(t, ms, x.namespace, x.of)
		if m.Low != x.low || m.High != x.high {
			t.Errorf("%s of %s: %g to %g; want %g to %g", x.namespace, x.of, m.Low, m.High, x.low, x.high)
		}
		if from, to := time.Unix(0, m.FromUnixNs).UTC(), time.Unix(0, m.ToUnixNs).UTC(); from.Minute() != 0 || from.Second() != 0 || to.Sub(from) != 2*time.Minute {
			t.Errorf("%s of %s: from %s to %s; want its minute and one more", x.namespace, x.of, from, to)
		}
	}
	// A generator that was started again may have sent its share twice more, in no file.
	again := of(t, r.expect(c, 1), albMetrics, "targetgroup/agent/1")
	if again.Low != 99 || again.High != 100+float64(r.perGenerator(0)) {
		t.Errorf("with a generator that was started again: %g to %g", again.Low, again.High)
	}
	r.local = &local{scale: 20} // the lab's health checks keep its pace
	if m := of(t, r.expect(c, 0), ecsMetrics, "agent"); m.High != 100+(80+1)*4 {
		t.Errorf("in the lab an agent counts up to %g", m.High)
	}
}

func TestWhatContradictsTheSamples(t *testing.T) {
	r, c := measured(t)
	set := func(change func(ms []run.MetricCount)) []run.MetricCount {
		ms := r.expect(c, 0)
		for i := range ms {
			ms[i].Sum, ms[i].Points = ms[i].Low, 1
		}
		change(ms)
		return ms
	}
	if ms := set(func([]run.MetricCount) {}); contradiction(1, ms) != "" || missing(ms) != nil || !complete(ms) || exceeded(ms) {
		t.Errorf("metrics that agree: %q", contradiction(1, ms))
	}
	silent := set(func(ms []run.MetricCount) { of(t, ms, ecsMetrics, "bypass").Sum = 1 })
	if got := contradiction(3, silent); !exceeded(silent) || !strings.HasPrefix(got, "CloudWatch contradicts the samples of replicate 3: RequestCount of DiscoveryName bypass is 1 (12:00:00 to 12:02:00 UTC)") {
		t.Errorf("an agent that must be silent has counted: %q", got)
	}
	short := set(func(ms []run.MetricCount) { of(t, ms, albMetrics, "targetgroup/agent/1").Sum-- })
	if got := contradiction(1, short); complete(short) || !strings.Contains(got, "TargetGroup targetgroup/agent/1 is 98") {
		t.Errorf("a load balancer has counted too little: %q", got)
	}
	none := set(func(ms []run.MetricCount) {
		m := of(t, ms, ecsMetrics, "agent")
		m.Sum, m.Points = 0, 0
	})
	if m := missing(none); m == nil || m.Dimensions["DiscoveryName"] != "agent" {
		t.Errorf("an agent's metric has no data, and %+v is missing", m)
	}
}
