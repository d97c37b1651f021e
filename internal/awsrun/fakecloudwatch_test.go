package awsrun_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// seriesKey names a metric in the fake: namespace, metric and dimensions.
func seriesKey(namespace, metric string, dims map[string]string) string {
	parts := []string{namespace, metric}
	var names []string
	for k := range dims {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		parts = append(parts, k+"="+dims[k])
	}
	return strings.Join(parts, "|")
}

func agentSeries(discovery, service string) string {
	return seriesKey("AWS/ECS", "RequestCount", map[string]string{"DiscoveryName": discovery, "ServiceName": service, "ClusterName": cluster})
}

func clientSeries(discovery string) string {
	return seriesKey("AWS/ECS", "HTTPCode_Target_2XX_Count", map[string]string{"TargetDiscoveryName": discovery,
		"ServiceName": meshName, "ClusterName": cluster})
}

func albSeries(group string) string {
	return seriesKey("AWS/ApplicationELB", "RequestCount", map[string]string{"LoadBalancer": balancer, "TargetGroup": group})
}

// count adds n to a metric, for something that happened at a time.
func (f *fakeAWS) count(key string, n float64, at time.Time) {
	if n == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if other, ok := f.alias[key]; ok {
		key = other
	}
	f.series[key] = append(f.series[key], point{at, n})
}

// cloudwatch answers GetMetricData in RPC v2 CBOR.
func (f *fakeAWS) cloudwatch(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
		return
	}
	v, err := cbor.Decode(body)
	if err != nil {
		f.t.Errorf("CBOR: %v", err)
		return
	}
	in := v.(cbor.Map)
	from, to := epoch(in["StartTime"]), epoch(in["EndTime"])
	results := cbor.List{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range in["MetricDataQueries"].(cbor.List) {
		query := q.(cbor.Map)
		stat := query["MetricStat"].(cbor.Map)
		metric := stat["Metric"].(cbor.Map)
		dims := map[string]string{}
		for _, d := range metric["Dimensions"].(cbor.List) {
			dims[word(d.(cbor.Map)["Name"])] = word(d.(cbor.Map)["Value"])
		}
		period := time.Duration(number(stat["Period"])) * time.Second
		sums := map[int64]float64{}
		for _, p := range f.series[seriesKey(word(metric["Namespace"]), word(metric["MetricName"]), dims)] {
			if !p.at.Before(from) && p.at.Before(to) {
				sums[p.at.Truncate(period).Unix()] += p.n
			}
		}
		times, values := cbor.List{}, cbor.List{}
		for at, n := range sums {
			times, values = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(at)}), append(values, cbor.Float64(n))
		}
		results = append(results, cbor.Map{"Id": query["Id"], "Label": query["Id"], "Timestamps": times, "Values": values,
			"StatusCode": cbor.String("Complete")})
	}
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	if _, err := w.Write(cbor.Encode(cbor.Map{"MetricDataResults": results})); err != nil {
		f.t.Log(err)
	}
}

func word(v cbor.Value) string {
	s, _ := v.(cbor.String)
	return string(s)
}

func number(v cbor.Value) float64 {
	switch n := v.(type) {
	case cbor.Uint:
		return float64(n)
	case cbor.Float64:
		return float64(n)
	case cbor.Float32:
		return float64(n)
	}
	return 0
}

func epoch(v cbor.Value) time.Time {
	if t, ok := v.(*cbor.Tag); ok {
		v = t.Value
	}
	return time.UnixMilli(int64(number(v) * 1000))
}
