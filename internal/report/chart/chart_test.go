package chart

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/summary"
)

func TestRoundTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		most      int
		want      []float64
	}{
		{-250, 600, 7, []float64{-200, 0, 200, 400, 600}},
		{0, 100, 6, []float64{0, 20, 40, 60, 80, 100}},
		{-0.4, 0.4, 5, []float64{-0.4, -0.2, 0, 0.2, 0.4}},
		{3, 3, 5, nil},
		{0, 1, 0, nil},
	} {
		got := roundTicks(c.low, c.high, c.most)
		if len(got) > c.most || fmt.Sprintf("%.3f", got) != fmt.Sprintf("%.3f", c.want) {
			t.Errorf("roundTicks(%v, %v, %d) = %v, want %v", c.low, c.high, c.most, got, c.want)
		}
	}
}

// Whatever the range: never more ticks than wanted, all inside, at least two.
func TestTicksForAnyRange(t *testing.T) {
	for e := -1.0; e < 7; e += 0.37 {
		for _, width := range []float64{0.01, 0.5, 1, 3, 1000} {
			low := math.Pow(10, e)
			high := low * (1 + width)
			for most := 3; most < 11; most++ {
				for name, ticks := range map[string][]float64{"round": roundTicks(-low, high, most), "log": logTicks(low, high, most)} {
					if len(ticks) > most || len(ticks) < 1 {
						t.Errorf("%s(%g, %g, %d) gave %v", name, low, high, most, ticks)
					}
					for _, v := range ticks {
						if v > high*(1+1e-6) || v < -low*(1+1e-6) || name == "log" && v < low*(1-1e-6) {
							t.Errorf("%s(%g, %g, %d): %v lies outside", name, low, high, most, v)
						}
					}
				}
			}
		}
	}
}

func TestScales(t *testing.T) {
	p := probability(0.01, 0.99, 0, 100)
	for q, want := range map[float64]float64{0.01: 0, 0.5: 50, 0.99: 100} {
		if got := p(q); math.Abs(got-want) > 1e-6 {
			t.Errorf("probability(%v) = %v, want %v", q, got, want)
		}
	}
	// The 97.5th percentile of the standard normal distribution, from tables.
	if got := probit(0.975); math.Abs(got-1.959964) > 1e-6 {
		t.Errorf("probit(0.975) = %v", got)
	}
	l := logarithmic(1, 100, 0, 2)
	if got := l(10); math.Abs(got-1) > 1e-9 {
		t.Errorf("logarithmic(10) = %v, want 1", got)
	}
}

func TestTickLabels(t *testing.T) {
	if got, want := signedLabels([]float64{-200, 0, 200}), []string{"−200 µs", "0", "+200 µs"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := signedLabels([]float64{-500, 0, 1000, 1500}), []string{"−0.5 ms", "0", "+1 ms", "+1.5 ms"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for us, want := range map[float64]string{300: "300 µs", 1500: "1.5 ms", 2e6: "2 s", 0.5: "0.5 µs"} {
		if got := latencyLabel(us); got != want {
			t.Errorf("latencyLabel(%v) = %q, want %q", us, got, want)
		}
	}
}

func TestStyles(t *testing.T) {
	s := Styles([]string{"agent", "bypass", "agent-twin"}, map[string]string{"agent-twin": "agent"})
	if s["agent"].Color != "#D55E00" || s["bypass"].Color != "#0072B2" || s["agent-twin"].Color != "#D55E00" || !s["agent-twin"].Twin {
		t.Errorf("got %+v", s)
	}
	other := Styles([]string{"main", "bypass", "branch", "x", "y", "z", "more", "still more"}, nil)
	seen := map[string]string{}
	for _, name := range []string{"main", "bypass", "branch", "x", "y", "z"} {
		if before, taken := seen[other[name].Color]; taken {
			t.Errorf("%s and %s share %s", name, before, other[name].Color)
		}
		seen[other[name].Color] = name
	}
	if other["bypass"].Color != "#0072B2" || other["still more"].Color == "" {
		t.Errorf("got %+v", other)
	}
}

func TestColumnOrderMergesPaths(t *testing.T) {
	row := func(names ...string) PathRow {
		var r PathRow
		for _, n := range names {
			r.Boxes = append(r.Boxes, summary.Box{Name: n})
		}
		return r
	}
	got := columnOrder([]PathRow{row("client", "alb", "app"), row("client", "alb", "agent", "app"),
		row("client", "client agent", "agent", "app"), row("client", "app", "app")})
	want := []string{"client#0", "client agent#0", "alb#0", "agent#0", "app#0", "app#1"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSpreadKeepsLabelsApart(t *testing.T) {
	got := spread([]label{{y: 100}, {y: 101}, {y: 50}, {y: 102}}, 16, 40, 120)
	for i := 1; i < len(got); i++ {
		if got[i].y-got[i-1].y < 16 {
			t.Errorf("labels at %v", got)
		}
	}
	if got[len(got)-1].y > 120 {
		t.Errorf("the last label at %v is beyond 120", got[len(got)-1].y)
	}
}

// The tail leaves the frame only when it would flatten the rest, and says so.
func TestDifferenceRangeAndItsEdge(t *testing.T) {
	points := []summary.CurvePoint{
		{Q: 0.05, EstimateUs: 100, LowUs: 90, HighUs: 110}, {Q: 0.5, EstimateUs: 100, LowUs: 90, HighUs: 110},
		{Q: 0.95, EstimateUs: 100, LowUs: 90, HighUs: 110}, {Q: 0.999, EstimateUs: 500, LowUs: -4000, HighUs: 5000},
	}
	low, high := differenceRange(points)
	if low > 0 || high < 110 || high-low > 4*110 {
		t.Errorf("the frame is [%v, %v]", low, high)
	}
	svg := DrawDifference(Difference{Name: "a − b", Points: points}, Figure{ID: "x", Title: "t", Desc: "d"}, Wide)
	for _, want := range []string{"goes on to +5.0 ms", "goes on to −4.0 ms"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
	calm := points[:3]
	if low, high := differenceRange(calm); low > 0 || high < 110 || high > 130 {
		t.Errorf("without a tail the frame is [%v, %v]", low, high)
	}
}

func TestNothingToDraw(t *testing.T) {
	f := Figure{ID: "x", Title: "t", Desc: "d"}
	nan := summary.CurvePoint{Q: 0.5, EstimateUs: math.NaN()}
	for _, form := range []Form{Wide, Narrow} {
		for name, svg := range map[string]string{
			"difference": DrawDifference(Difference{Points: []summary.CurvePoint{nan, nan}}, f, form),
			"latencies":  DrawLatencies(Latencies{Curves: []Curve{{Points: []summary.QuantileUs{{Q: 0.5, Us: math.Inf(1)}}}}}, f, form),
			"windows":    DrawWindows(Windows{}, f, form),
			"ledger":     DrawWaterfall(Waterfall{}, f, form),
			"paths":      DrawPaths(nil, f, form),
		} {
			if svg != "" {
				t.Errorf("%s drew something out of nothing: %.100s", name, svg)
			}
		}
	}
}

func TestThinKeepsEnds(t *testing.T) {
	var items []int
	for i := range 1000 {
		items = append(items, i)
	}
	got := thin(items, 240)
	if len(got) > 241 || got[0] != 0 || got[len(got)-1] != 999 {
		t.Errorf("%d items from %d to %d", len(got), got[0], got[len(got)-1])
	}
	windows, every := Thin(make([]summary.Window, 10_000))
	if len(windows) > MostWindows || every != 20 {
		t.Errorf("%d windows, one in %d", len(windows), every)
	}
}
