package api

import (
	"fmt"
	"maps"
	"strings"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/metrics"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/agent"
	"github.com/hoplab/hoplab/internal/lab/alb"
)

// Namespaces of the metrics; section 5 of the semantics says who counts what.
const (
	connectMetrics  = "AWS/ECS"
	balancerMetrics = "AWS/ApplicationELB"
)

// counters are what agents and load balancers say now, as CloudWatch's metrics.
func (v *view) counters() []metrics.Sample {
	var b readings
	for _, r := range v.of(typeService) {
		now := v.service(r.ID)
		if now == nil || r.Replaced {
			continue
		}
		for _, t := range now.Tasks {
			if t.Agent != nil {
				b.agent(r, t)
			}
		}
	}
	for _, r := range v.of(typeLoadBalancer) {
		for i := range v.status.LoadBalancers {
			if lb := &v.status.LoadBalancers[i]; lb.ID == r.ID && lb.Error == "" {
				b.balancer(v, r, lb)
			}
		}
	}
	return b.samples
}

// readings are samples in the making.
type readings struct{ samples []metrics.Sample }

// add adds a counter under each set of dimensions that it is kept under.
func (b *readings) add(sets []map[string]string, s metrics.Sample) {
	for _, d := range sets {
		s.Dimensions = d
		b.samples = append(b.samples, s)
	}
}

// agent reads a task's Service Connect agent.
func (b *readings) agent(r account.Resource, t lab.TaskStatus) {
	more := map[string]string{"ServiceName": nameOf(r), "ClusterName": clusterOf(r)}
	sets := func(dimension, name string) []map[string]string {
		all := maps.Clone(more)
		all[dimension] = name
		return []map[string]string{{dimension: name}, all}
	}
	sample := func(source, name, unit string, value int64) metrics.Sample {
		return metrics.Sample{Metric: metrics.Metric{Namespace: connectMetrics, Name: name}, Unit: unit, Source: source, Value: float64(value)}
	}
	for i, e := range t.Agent.Ingress {
		under, from := sets("DiscoveryName", e.Discovery), fmt.Sprintf("%s/in/%d", t.ID, i)
		b.add(under, sample(from, "RequestCount", "Count", e.Requests))
		b.add(under, sample(from, "GrpcRequestCount", "Count", e.GRPCRequests))
		b.add(under, sample(from, "NewConnectionCount", "Count", e.NewConnections))
		b.add(under, sample(from, "ProcessedBytes", "Bytes", e.BytesIn+e.BytesOut))
		active := sample(from, "ActiveConnectionCount", "Count", e.ActiveConnections)
		active.Gauge = true
		b.add(under, active)
	}
	for i, e := range t.Agent.Egress {
		under, from := sets("TargetDiscoveryName", e.Discovery), fmt.Sprintf("%s/out/%d", t.ID, i)
		for _, class := range []string{"2", "3", "4", "5"} {
			b.add(under, sample(from, "HTTPCode_Target_"+class+"XX_Count", "Count", e.Codes[class+"xx"]))
		}
		b.add(under, sample(from, "TargetProcessedBytes", "Bytes", e.BytesIn+e.BytesOut))
		b.add(under, perTarget(from, e))
		took := sample(from, "TargetResponseTime", "Milliseconds", 0)
		took.Value, took.Of = e.ResponseMs, float64(answered(e))
		b.add(under, took)
	}
}

// perTarget is the mean number of requests of the targets that an agent knows.
func perTarget(from string, e agent.EndpointStatus) metrics.Sample {
	return metrics.Sample{Metric: metrics.Metric{Namespace: connectMetrics, Name: "RequestCountPerTarget"}, Unit: "Count", Source: from,
		Value: float64(e.Requests) / float64(max(1, len(e.PerTarget)))}
}

func answered(e agent.EndpointStatus) (n int64) {
	for _, c := range e.Codes {
		n += c
	}
	return n
}

// balancer reads a load balancer.
func (b *readings) balancer(v *view, r account.Resource, lb *lab.LoadBalancerStatus) {
	ofAll := map[string]string{"LoadBalancer": metricName(r)}
	sample := func(source, name string, value int64) metrics.Sample {
		return metrics.Sample{Metric: metrics.Metric{Namespace: balancerMetrics, Name: name}, Unit: "Count",
			Source: fmt.Sprintf("%d/%s", lb.PID, source), Value: float64(value)}
	}
	for _, l := range lb.Listeners {
		from := fmt.Sprintf("listener %d", l.Port)
		add := func(name string, n int64) { b.add([]map[string]string{ofAll}, sample(from, name, n)) }
		add("RequestCount", l.Requests)
		add("NewConnectionCount", l.Connections)
		add("ProcessedBytes", l.BytesIn+l.BytesOut)
		add("HTTP_Redirect_Count", l.Redirects)
		add("HTTP_Fixed_Response_Count", l.Fixed)
		for class, n := range l.Target {
			add("HTTPCode_Target_"+strings.ToUpper(class)+"_Count", n)
		}
		ownCodes(l, add)
		took := sample(from, "TargetResponseTime", 0)
		took.Unit, took.Value = "Seconds", l.ResponseS
		for _, n := range l.Target {
			took.Of += float64(n)
		}
		b.add([]map[string]string{ofAll}, took)
	}
	for i := range lb.Groups {
		b.group(v, ofAll, &lb.Groups[i], sample)
	}
}

// ownCodes adds the responses that the load balancer made itself, by class and,
// of some, by code.
func ownCodes(l alb.ListenerStatus, add func(name string, n int64)) {
	classes := map[int]int64{}
	for code, n := range l.ELB {
		classes[code/100] += n
		if code >= 500 && code <= 504 && code != 501 { // those that have a metric of their own
			add(fmt.Sprintf("HTTPCode_ELB_%d_Count", code), n)
		}
	}
	for class, n := range classes {
		if class >= 3 {
			add(fmt.Sprintf("HTTPCode_ELB_%dXX_Count", class), n)
		}
	}
}

// group reads a target group at a load balancer.
func (b *readings) group(v *view, ofAll map[string]string, g *alb.GroupStatus,
	sample func(source, name string, value int64) metrics.Sample) {
	arn := v.groupARN(g.ID)
	under := maps.Clone(ofAll)
	under["TargetGroup"] = metricName(account.Resource{PhysicalID: arn})
	both := []map[string]string{under}
	b.add(both, sample(g.ID, "RequestCount", g.Requests))
	targets, errors := map[bool]int64{}, int64(0)
	for _, t := range g.Targets {
		if t.State == alb.Healthy || t.State == alb.Unhealthy {
			targets[t.State == alb.Healthy]++
		}
		errors += t.ConnectionErrors
	}
	b.add(both, sample(g.ID, "TargetConnectionErrorCount", errors))
	for name, n := range map[string]int64{"HealthyHostCount": targets[true], "UnHealthyHostCount": targets[false]} {
		hosts := sample(g.ID, name, n)
		hosts.Gauge = true
		b.add(both, hosts)
	}
}
