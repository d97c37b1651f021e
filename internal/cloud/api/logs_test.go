package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/hoplab/hoplab/internal/cloud/account"
)

func logs(t *testing.T, d *deployed) {
	c := cloudwatchlogs.NewFromConfig(d.config)
	groups := get[*cloudwatchlogs.DescribeLogGroupsOutput](t)(c.DescribeLogGroups(t.Context(),
		&cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/hoplab/app-")})).LogGroups
	if len(groups) != 2 || !strings.HasSuffix(aws.ToString(groups[0].Arn), ":log-group:"+*groups[0].LogGroupName+":*") {
		t.Fatalf("log groups %+v", groups)
	}
	group := groups[0].LogGroupName
	streams := get[*cloudwatchlogs.DescribeLogStreamsOutput](t)(c.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group})).LogStreams
	if len(streams) != 1 || !strings.HasPrefix(*streams[0].LogStreamName, "app/App/0000") || streams[0].LastEventTimestamp == nil {
		t.Fatalf("log streams %+v; want prefix, container and task", streams)
	}
	d.call(t, 80)
	var events []string
	eventually(t, "the app has logged the call", func() bool {
		out := get[*cloudwatchlogs.FilterLogEventsOutput](t)(c.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group,
			FilterPattern: aws.String(`access -ELB-HealthChecker`), LogStreamNames: []string{*streams[0].LogStreamName}}))
		events = nil
		for _, e := range out.Events {
			events = append(events, *e.Message)
		}
		return len(events) > 0
	})
	if !strings.Contains(events[0], `"msg":"access"`) || strings.Contains(strings.Join(events, ""), "ELB-HealthChecker") {
		t.Errorf("events %q", events)
	}
	// A page at a time, forward, as who follows a log does.
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: streams[0].LogStreamName,
		StartFromHead: aws.Bool(true), Limit: aws.Int32(1)}
	first := get[*cloudwatchlogs.GetLogEventsOutput](t)(c.GetLogEvents(t.Context(), in))
	in.NextToken = first.NextForwardToken
	second := get[*cloudwatchlogs.GetLogEventsOutput](t)(c.GetLogEvents(t.Context(), in))
	if len(first.Events) != 1 || len(second.Events) != 1 || !strings.Contains(*first.Events[0].Message, `"listening"`) ||
		*first.Events[0].Message == *second.Events[0].Message || *first.NextForwardToken == *second.NextForwardToken {
		t.Errorf("two pages of one event: %+v, %+v", first, second)
	}
	if age := time.Since(time.UnixMilli(*first.Events[0].Timestamp)); age < 0 || age > time.Hour {
		t.Errorf("the first event is %s old", age)
	}
	_, err := c.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("/none"), LogStreamName: aws.String("x")})
	if code(err) != "ResourceNotFoundException" || !strings.Contains(err.Error(), "The specified log group does not exist.") {
		t.Errorf("a group that is not there: %v", err)
	}
	_, err = c.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group,
		FilterPattern: aws.String(`{ $.a = 1 }`)})
	if code(err) != "InvalidParameterException" {
		t.Errorf("a pattern over JSON: %v; want it refused, not passed over", err)
	}
}

// metricsOf holds the counters against what was sent: through the load balancer
// and the agent of one arm, and past the agent of the other.
func metricsOf(t *testing.T, d *deployed) {
	c := cloudwatch.NewFromConfig(d.config)
	sum := func(namespace, name string, dims map[string]string) float64 {
		in := &cloudwatch.GetMetricStatisticsInput{Namespace: aws.String(namespace), MetricName: aws.String(name), Period: aws.Int32(60),
			StartTime: aws.Time(time.Now().Add(-time.Hour)), EndTime: aws.Time(time.Now().Add(time.Minute)),
			Statistics: []cwtypes.Statistic{cwtypes.StatisticSum}}
		for k, v := range dims {
			in.Dimensions = append(in.Dimensions, cwtypes.Dimension{Name: aws.String(k), Value: aws.String(v)})
		}
		total := 0.0
		for _, p := range get[*cloudwatch.GetMetricStatisticsOutput](t)(c.GetMetricStatistics(t.Context(), in)).Datapoints {
			total += *p.Sum
		}
		return total
	}
	agentOf := func(name string) float64 {
		return sum("AWS/ECS", "RequestCount", map[string]string{"DiscoveryName": name, "ServiceName": "sample-ecs-" + name,
			"ClusterName": "hoplab"})
	}
	balancer := map[string]string{}
	for _, r := range d.cloud.Resources() {
		switch r.LogicalID {
		case "Alb16C2F182":
			balancer["LoadBalancer"] = account.Text(r.Attributes, "LoadBalancerFullName")
		case "AgentAppTargetGroup0B9721E2":
			balancer["TargetGroup"] = account.Text(r.Attributes, "TargetGroupFullName")
		}
	}
	const calls = 20
	for range calls {
		d.call(t, 80)
		d.call(t, 81)
	}
	sent := float64(d.calls[80])
	eventually(t, "the load balancer's counter has the calls", func() bool { return sum("AWS/ApplicationELB", "RequestCount", balancer) >= sent })
	if got := sum("AWS/ApplicationELB", "RequestCount", balancer); got != sent {
		t.Errorf("the load balancer has counted %v for the target group; want %v", got, sent)
	}
	if got := agentOf("app-agent"); got < sent {
		t.Errorf("the agent of the agent arm has counted %v; want the %v calls and health checks", got, sent)
	}
	if got := agentOf("app-bypass"); got != 0 {
		t.Errorf("the agent of the bypass arm has counted %v; the load balancer goes past it", got)
	}
	list := get[*cloudwatch.ListMetricsOutput](t)(c.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: aws.String("AWS/ApplicationELB"),
		MetricName: aws.String("HealthyHostCount"), Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("TargetGroup")}}})).Metrics
	if len(list) != 2 {
		t.Errorf("metrics %+v; want HealthyHostCount of two groups", list)
	}
	data := func(stat string, period int32) (*cloudwatch.GetMetricDataOutput, error) {
		return c.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{StartTime: aws.Time(time.Now().Add(-time.Hour)),
			EndTime: aws.Time(time.Now().Add(time.Minute)),
			MetricDataQueries: []cwtypes.MetricDataQuery{{Id: aws.String("m"),
				MetricStat: &cwtypes.MetricStat{Metric: &list[0], Period: aws.Int32(period), Stat: aws.String(stat)}}}})
	}
	healthy := get[*cloudwatch.GetMetricDataOutput](t)(data("Maximum", 5)).MetricDataResults
	if len(healthy) != 1 || len(healthy[0].Values) == 0 || healthy[0].Values[0] != 1 {
		t.Errorf("healthy hosts %+v; want 1 at most in each period", healthy)
	}
	for stat, period := range map[string]int32{"p99": 60, "Sum": 7} {
		if _, err := data(stat, period); code(err) != "InvalidParameterValue" {
			t.Errorf("%s over %d s: %v; want it refused", stat, period, err)
		}
	}
}
