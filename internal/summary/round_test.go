package summary_test

import (
	"encoding/json"
	"math"
	"regexp"
	"testing"

	"github.com/hoplab/hoplab/internal/summary"
)

func ptr(v float64) *float64 { return &v }

func measured() summary.Summary {
	return summary.Summary{
		Arms: []summary.Arm{{Latency: summary.LatencyUs{Min: 91.1, P50: 104.34166666666665, P90: 8530.989999999996,
			P95: 1e6 / 3, P99: 2e6 / 3, Max: 7200e6 - 0.1, Mean: 3915.927869459431}}},
		Differences: []summary.Difference{{EstimateUs: 171.26, LowUs: -0.04, HighUs: 177.95, WithinLowUs: 168.949999, WithinHighUs: -173.45,
			BetweenUs: 1.0 / 3, P: ptr(0.0312345), PHolm: ptr(0.000456789)}},
		NoiseFloorUs: map[string]float64{"p50": 4.16, "p99": 2.0 / 3},
		Budgets:      []summary.BudgetResult{{LimitUs: 123.00000000000001, EstimateUs: 1.0 / 3, LowUs: -1.0 / 3, HighUs: 2.0 / 3}},
		Ledger:       &summary.Ledger{TotalUs: 100.04, RemainderUs: 0.01, Entries: []summary.LedgerEntry{{Us: 33.34}, {Us: 33.34}, {Us: 33.35}}},
	}
}

func TestRoundingLeavesNoMoreDigitsThanWereMeasured(t *testing.T) {
	s := measured()
	s.Round()
	d := s.Differences[0]
	for name, c := range map[string][2]float64{
		"p50":      {s.Arms[0].Latency.P50, 104.3},
		"p90":      {s.Arms[0].Latency.P90, 8531},
		"max":      {s.Arms[0].Latency.Max, 7199999999.9},
		"estimate": {d.EstimateUs, 171.3},
		"within":   {d.WithinHighUs, -173.5},
		"between":  {d.BetweenUs, 0.3},
		"p":        {*d.P, 0.0312},
		"p Holm":   {*d.PHolm, 0.000457},
		"floor":    {s.NoiseFloorUs["p99"], 0.7},
		"limit":    {s.Budgets[0].LimitUs, 123},
		"low":      {s.Budgets[0].LowUs, -0.3},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %v; want %v", name, c[0], c[1])
		}
	}
	if math.Signbit(d.LowUs) || d.LowUs != 0 {
		t.Errorf("-0.04 became %v; want 0 without a sign", d.LowUs)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if long := regexp.MustCompile(`\d+\.\d{7,}`).Find(text); long != nil {
		t.Errorf("%s is left in %s", long, text)
	}
}

func TestARoundedLedgerAddsUp(t *testing.T) {
	s := measured()
	s.Round()
	sum := s.Ledger.RemainderUs
	for _, e := range s.Ledger.Entries {
		sum += e.Us
	}
	if math.Abs(sum-s.Ledger.TotalUs) > 1e-9 {
		t.Errorf("the parts add up to %v of %v", sum, s.Ledger.TotalUs)
	}
}

func TestRoundingTwiceIsLikeOnce(t *testing.T) {
	once, twice := measured(), measured()
	once.Round()
	twice.Round()
	twice.Round()
	a, _ := json.Marshal(once)
	b, _ := json.Marshal(twice)
	if string(a) != string(b) {
		t.Errorf("once  %s\ntwice %s", a, b)
	}
}
