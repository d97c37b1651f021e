package awsrun

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
)

// Namespaces and metrics; section 5 of the semantics says who counts what.
const (
	ecsMetrics = "AWS/ECS"
	albMetrics = "AWS/ApplicationELB"
	requests   = "RequestCount"
	answers    = "HTTPCode_Target_2XX_Count"
)

// expect lists the metrics that count a replicate's requests, with what the
// samples allow each to be. again is the number of generators that were
// started again: what their first attempts sent is in no sample file.
func (r *runner) expect(c *counts, again int) []run.MetricCount {
	from := time.Unix(0, c.start).Truncate(r.o.Pace.Period)
	to := c.until(r.o.Pace.Period)
	add := func(out []run.MetricCount, arms []string, low, high int64, namespace, metric string,
		dimensions map[string]string) []run.MetricCount {
		return append(out, run.MetricCount{Arm: strings.Join(arms, "+"), Namespace: namespace, Metric: metric, Dimensions: dimensions,
			FromUnixNs: from.UnixNano(), ToUnixNs: to.UnixNano(), Low: float64(low), High: float64(high)})
	}
	var out []run.MetricCount
	for _, svc := range r.services {
		agent, lb, mesh := r.tally(c, svc, again)
		if len(agent.arms)+len(lb.arms) == 0 {
			continue
		}
		ofService := map[string]string{"DiscoveryName": svc.Discovery, "ServiceName": svc.Name, "ClusterName": r.load.cluster}
		checks := int64(0)
		if svc.Override == 0 {
			checks = r.healthChecks(svc, to.Sub(from))
		}
		all := agent.arms
		if len(all) == 0 {
			all = lb.arms // an agent that must stay silent
		}
		out = add(out, all, agent.low, agent.high+checks, ecsMetrics, requests, ofService)
		if len(lb.arms) > 0 {
			out = add(out, lb.arms, lb.low, lb.high, albMetrics, requests, map[string]string{"LoadBalancer": r.balancer, "TargetGroup": svc.group})
		}
		if len(mesh.arms) > 0 { // counted on the caller's side, under the calling service
			out = add(out, mesh.arms, mesh.low, mesh.high, ecsMetrics, answers,
				map[string]string{"TargetDiscoveryName": svc.Discovery, "ServiceName": r.load.meshService, "ClusterName": r.load.cluster})
		}
	}
	return out
}

// expectation is what one counter must have seen.
type expectation struct {
	arms      []string
	low, high int64
}

func (t *expectation) add(arm string, low, high int64) {
	t.arms = append(t.arms, arm)
	t.low += low
	t.high += high
}

// tally adds up the arms that pass a service's agent, the load balancer on the
// way to it, and a client's agent on the way to it.
func (r *runner) tally(c *counts, svc *service, again int) (agent, lb, mesh expectation) {
	for i, a := range r.plan.Arms {
		if r.serves(a) != svc {
			continue
		}
		low := c.answered[i]
		high := c.sent[i] + c.aborted + int64(again)*r.perGenerator(i)
		if a.Expect.AgentHops > 0 {
			agent.add(a.Name, low, high)
		}
		if base(a) == plan.ArmMesh {
			mesh.add(a.Name, low, high)
		} else {
			lb.add(a.Name, low, high)
		}
	}
	return agent, lb, mesh
}

// perGenerator is what one generator sends to an arm at most. The engine tries
// an item three times, so a generator that was started again may have sent
// its share twice beyond what its file holds.
func (r *runner) perGenerator(arm int) int64 {
	all := r.plan.RatePerS * (r.plan.WarmupS + r.plan.ReplicateS)
	return int64(math.Ceil(2 * all / float64(r.plan.Generators)))
}

// healthChecks bounds the load balancer's own requests to an agent: one per
// node, target and interval. The number of nodes is not published; there is
// one in each zone, and twice as many while the load balancer grows.
func (r *runner) healthChecks(svc *service, span time.Duration) int64 {
	if svc.intervalS <= 0 {
		return 0
	}
	interval := svc.intervalS
	if r.local != nil {
		interval /= r.local.scale
	}
	rounds := math.Ceil(span.Seconds()/interval) + 1
	return int64(rounds) * int64(2*max(1, r.albZones)) * int64(max(1, svc.tasks))
}

// metricsOfAll waits for the metrics of every complete replicate and notes
// them. It returns how they contradict the samples, or "".
func (r *runner) metricsOfAll(ctx context.Context) (refused string, err error) {
	reps, err := r.dir.Replicates()
	if err != nil {
		return "", err
	}
	for _, rep := range reps {
		ev, ok, err := rep.Evidence()
		if err != nil {
			return "", err
		}
		if !ok {
			continue
		}
		if !settled(ev.CloudWatch) {
			if err := r.settle(ctx, rep.Index, ev.CloudWatch); err != nil {
				return "", err
			}
			r.clientAgents(&ev)
			if err := rep.Finish(ev); err != nil {
				return "", err
			}
		}
		if refused == "" {
			refused = contradiction(rep.Index, ev.CloudWatch)
		}
	}
	return refused, nil
}

func settled(ms []run.MetricCount) bool {
	for _, m := range ms {
		if !m.Settled {
			return false
		}
	}
	return true
}

// settle reads metrics until they can be believed: the last period is long
// enough ago, two readings agree, and none is below what was answered. At the
// end of its patience it takes what is there, unless a metric that must have
// data has none.
func (r *runner) settle(ctx context.Context, replicate int, ms []run.MetricCount) error {
	end := time.Unix(0, 0)
	for _, m := range ms {
		if t := time.Unix(0, m.ToUnixNs); t.After(end) {
			end = t
		}
	}
	giveUp := end.Add(r.o.Pace.Metrics)
	if least := time.Now().Add(2 * r.o.Pace.Period); giveUp.Before(least) {
		giveUp = least // of a run that is resumed late
	}
	r.say("waiting for the metrics of replicate %d to settle", replicate)
	if err := sleep(ctx, time.Until(end.Add(r.o.Pace.Settle))); err != nil {
		return err
	}
	for first := true; ; first = false {
		before := sums(ms)
		if err := r.sum(ctx, ms); err != nil {
			return err
		}
		late := time.Now().After(giveUp)
		if !first && (late || complete(ms)) && fmt.Sprint(before) == fmt.Sprint(sums(ms)) {
			break
		}
		if late && missing(ms) != nil {
			break
		}
		if err := sleep(ctx, r.o.Pace.Period/4); err != nil {
			return err
		}
	}
	if m := missing(ms); m != nil && !exceeded(ms) {
		return fail.Newf(fail.Environment, "nothing is lost, and nothing is sent again: only the metrics are missing",
			"CloudWatch has no %s of %s for replicate %d (%s), %s after its end", m.Metric, dimension(m), replicate, span(m), time.Since(end).Round(time.Second))
	}
	for i := range ms {
		ms[i].Settled = true
	}
	return nil
}

func sums(ms []run.MetricCount) []float64 {
	var out []float64
	for _, m := range ms {
		out = append(out, m.Sum)
	}
	return out
}

// complete reports whether nothing more has to come.
func complete(ms []run.MetricCount) bool {
	for _, m := range ms {
		if m.Sum < m.Low {
			return false
		}
	}
	return true
}

// missing is the first metric that counts answered requests and has no data.
func missing(ms []run.MetricCount) *run.MetricCount {
	for i := range ms {
		if ms[i].Low > 0 && ms[i].Points == 0 {
			return &ms[i]
		}
	}
	return nil
}

// exceeded reports whether a metric has more than it may: that contradicts the
// samples, whatever else is still to come.
func exceeded(ms []run.MetricCount) bool {
	for _, m := range ms {
		if m.Sum > m.High {
			return true
		}
	}
	return false
}

// sum reads every metric over its minutes.
func (r *runner) sum(ctx context.Context, ms []run.MetricCount) error {
	if len(ms) == 0 {
		return nil
	}
	in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(time.Unix(0, ms[0].FromUnixNs)), EndTime: aws.Time(time.Unix(0, ms[0].ToUnixNs))}
	for i, m := range ms {
		var dims []types.Dimension
		for k, v := range m.Dimensions {
			dims = append(dims, types.Dimension{Name: aws.String(k), Value: aws.String(v)})
		}
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: aws.String(fmt.Sprintf("m%d", i)),
			MetricStat: &types.MetricStat{
				Metric: &types.Metric{Namespace: aws.String(m.Namespace), MetricName: aws.String(m.Metric), Dimensions: dims},
				Period: aws.Int32(max(1, int32(r.o.Pace.Period/time.Second))), Stat: aws.String("Sum"),
			}})
		ms[i].Sum, ms[i].Points = 0, 0
	}
	pages := cloudwatch.NewGetMetricDataPaginator(r.metrics, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return r.explain("reading CloudWatch", err)
		}
		for _, res := range page.MetricDataResults {
			var i int
			if _, err := fmt.Sscanf(aws.ToString(res.Id), "m%d", &i); err != nil || i < 0 || i >= len(ms) {
				return fmt.Errorf("reading CloudWatch: an answer to a question that was not asked: %q", aws.ToString(res.Id))
			}
			for _, v := range res.Values {
				ms[i].Sum += v
			}
			ms[i].Points += len(res.Values)
		}
	}
	return nil
}

// clientAgents notes what the clients' agents counted as the analysis wants
// it: the proof of a second agent hop.
func (r *runner) clientAgents(ev *run.Evidence) {
	for _, m := range ev.CloudWatch {
		if name, ok := m.Dimensions["TargetDiscoveryName"]; ok {
			ev.Agents = append(ev.Agents, run.AgentCount{Arm: m.Arm, Role: "egress", Name: name, Requests: int64(m.Sum), BusyUs: -1})
		}
	}
}

// contradiction says how a replicate's metrics contradict its samples, or "".
func contradiction(replicate int, ms []run.MetricCount) string {
	for _, m := range ms {
		if m.Sum < m.Low || m.Sum > m.High {
			return fmt.Sprintf("CloudWatch contradicts the samples of replicate %d: %s of %s is %.0f (%s), and the requests of %s allow %.0f to %.0f.",
				replicate, m.Metric, dimension(&m), m.Sum, span(&m), m.Arm, m.Low, m.High)
		}
	}
	return ""
}

func dimension(m *run.MetricCount) string {
	for _, k := range []string{"DiscoveryName", "TargetDiscoveryName", "TargetGroup"} {
		if v, ok := m.Dimensions[k]; ok {
			return k + " " + v
		}
	}
	return m.Namespace
}

func span(m *run.MetricCount) string {
	return time.Unix(0, m.FromUnixNs).UTC().Format("15:04:05") + " to " + time.Unix(0, m.ToUnixNs).UTC().Format("15:04:05") + " UTC"
}
