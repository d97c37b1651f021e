package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/hoplab/hoplab/internal/cloud/metrics"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

func (a *API) registerMetrics(s *wire.Server) {
	wire.Handle(s, "monitoring", "GetMetricData", a.getMetricData)
	wire.Handle(s, "monitoring", "GetMetricStatistics", a.getMetricStatistics)
	wire.Handle(s, "monitoring", "ListMetrics", a.listMetrics)
}

// statistics are those that sums over periods can give.
var statistics = map[string]func(metrics.Point) float64{
	"Sum":         func(p metrics.Point) float64 { return p.Sum },
	"SampleCount": func(p metrics.Point) float64 { return p.Count },
	"Average":     func(p metrics.Point) float64 { return p.Sum / p.Count },
	"Minimum":     func(p metrics.Point) float64 { return p.Min },
	"Maximum":     func(p metrics.Point) float64 { return p.Max },
}

func invalidValue(format string, args ...any) error {
	return refusal("InvalidParameterValue", format, args...)
}

// statistic returns what a client calls by a name.
func statistic(name string) (func(metrics.Point) float64, error) {
	if f, ok := statistics[name]; ok {
		return f, nil
	}
	return nil, invalidValue("hoplab cloud has the statistics Sum, Average, Minimum, Maximum and SampleCount, and no %s", name)
}

// period is a period in seconds that counters are kept by.
func (a *API) period(seconds *int32) (time.Duration, error) {
	p, shortest := time.Duration(aws.ToInt32(seconds))*time.Second, a.series.Resolution()
	if p < shortest || p%shortest != 0 {
		return 0, invalidValue("a period of %s; hoplab cloud has periods that are a multiple of %s", p, shortest)
	}
	return p, nil
}

func metricOf(namespace, name *string, dims []types.Dimension) metrics.Metric {
	m := metrics.Metric{Namespace: aws.ToString(namespace), Name: aws.ToString(name), Dimensions: map[string]string{}}
	for _, d := range dims {
		m.Dimensions[aws.ToString(d.Name)] = aws.ToString(d.Value)
	}
	return m
}

func (a *API) getMetricData(_ context.Context, in *cloudwatch.GetMetricDataInput) (*cloudwatch.GetMetricDataOutput, error) {
	if in.StartTime == nil || in.EndTime == nil || !in.StartTime.Before(*in.EndTime) {
		return nil, refusal("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
	}
	out := &cloudwatch.GetMetricDataOutput{MetricDataResults: []types.MetricDataResult{}}
	for _, q := range in.MetricDataQueries {
		if q.MetricStat == nil || q.MetricStat.Metric == nil {
			return nil, refusal("ValidationError", "query %s: hoplab cloud computes no expressions; ask for a metric", aws.ToString(q.Id))
		}
		stat, err := statistic(aws.ToString(q.MetricStat.Stat))
		if err != nil {
			return nil, err
		}
		period, err := a.period(q.MetricStat.Period)
		if err != nil {
			return nil, err
		}
		m := q.MetricStat.Metric
		points, _ := a.series.Points(metricOf(m.Namespace, m.MetricName, m.Dimensions), *in.StartTime, *in.EndTime, period)
		if in.ScanBy != types.ScanByTimestampAscending {
			slices.Reverse(points)
		}
		result := types.MetricDataResult{Id: q.Id, Label: or(aws.ToString(q.Label), aws.ToString(m.MetricName)),
			StatusCode: types.StatusCodeComplete, Timestamps: []time.Time{}, Values: []float64{}}
		for _, p := range points {
			result.Timestamps, result.Values = append(result.Timestamps, p.At), append(result.Values, stat(p))
		}
		if q.ReturnData == nil || *q.ReturnData {
			out.MetricDataResults = append(out.MetricDataResults, result)
		}
	}
	return out, nil
}

func (a *API) getMetricStatistics(_ context.Context,
	in *cloudwatch.GetMetricStatisticsInput) (*cloudwatch.GetMetricStatisticsOutput, error) {
	if in.StartTime == nil || in.EndTime == nil || !in.StartTime.Before(*in.EndTime) {
		return nil, invalidValue("The parameter StartTime must be less than the parameter EndTime.")
	}
	period, err := a.period(in.Period)
	if err != nil {
		return nil, err
	}
	if len(in.ExtendedStatistics) > 0 {
		return nil, invalidValue("hoplab cloud keeps sums, and knows no %s", strings.Join(in.ExtendedStatistics, ", "))
	}
	if len(in.Statistics) == 0 {
		return nil, refusal("MissingRequiredParameter", "Must specify either Statistics or ExtendedStatistics")
	}
	points, unit := a.series.Points(metricOf(in.Namespace, in.MetricName, in.Dimensions), *in.StartTime, *in.EndTime, period)
	out := &cloudwatch.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []types.Datapoint{}}
	if in.Unit != "" && string(in.Unit) != unit {
		return out, nil // as in AWS: values in another unit are others
	}
	for _, p := range points {
		d := types.Datapoint{Timestamp: aws.Time(p.At), Unit: types.StandardUnit(unit)}
		for _, name := range in.Statistics {
			f, err := statistic(string(name))
			if err != nil {
				return nil, err
			}
			n := f(p)
			*map[types.Statistic]**float64{types.StatisticSum: &d.Sum, types.StatisticAverage: &d.Average, types.StatisticMinimum: &d.Minimum,
				types.StatisticMaximum: &d.Maximum, types.StatisticSampleCount: &d.SampleCount}[name] = &n
		}
		out.Datapoints = append(out.Datapoints, d)
	}
	return out, nil
}

func (a *API) listMetrics(_ context.Context, in *cloudwatch.ListMetricsInput) (*cloudwatch.ListMetricsOutput, error) {
	list := a.series.List(func(m *metrics.Metric) bool {
		if in.Namespace != nil && *in.Namespace != m.Namespace || in.MetricName != nil && *in.MetricName != m.Name {
			return false
		}
		for _, d := range in.Dimensions {
			v, ok := m.Dimensions[aws.ToString(d.Name)]
			if !ok || d.Value != nil && *d.Value != v {
				return false
			}
		}
		return true
	})
	var all []types.Metric
	for _, m := range list {
		x := types.Metric{Namespace: aws.String(m.Namespace), MetricName: aws.String(m.Name), Dimensions: []types.Dimension{}}
		for _, k := range sorted(m.Dimensions) {
			x.Dimensions = append(x.Dimensions, types.Dimension{Name: aws.String(k), Value: aws.String(m.Dimensions[k])})
		}
		all = append(all, x)
	}
	all, next := page(all, in.NextToken, 500, func(m types.Metric) string {
		text := *m.Namespace + "/" + *m.MetricName
		for _, d := range m.Dimensions {
			text += "/" + *d.Name + "=" + *d.Value
		}
		return text
	})
	return &cloudwatch.ListMetricsOutput{Metrics: there(all), NextToken: next}, nil
}
