package report_test

import (
	"bytes"
	"math"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"testing/quick"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
)

// Whatever stands in a result, even values that no analysis writes, every
// rendering ends, gives no error, and gives well-formed pictures.
func TestAnyResultRenders(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	pictures := 0
	for n := range 200 {
		v, ok := quick.Value(reflect.TypeFor[summary.Result](), random)
		if !ok {
			t.Fatal("a result cannot be drawn at random")
		}
		r := v.Interface().(summary.Result)
		tame(&r, random)
		doc := string(page(t, &r))
		checkPictures(t, doc)
		pictures += strings.Count(doc, "<svg")
		checkIDs(t, doc)
		checkLoadsNothing(t, doc)
		markdown(t, &r)
		junit(t, &r.Summary)
		text(t, &r.Summary, report.TextOptions{Width: random.Intn(200), Color: true})
		if t.Failed() {
			t.Fatalf("result %d", n)
		}
	}
	if pictures < 400 {
		t.Errorf("only %d pictures were drawn", pictures)
	}
}

// tame puts values of all sizes where random ones are all huge, so that the
// pictures have something to draw.
func tame(r *summary.Result, random *rand.Rand) {
	value := func() float64 {
		switch random.Intn(12) {
		case 0:
			return math.NaN()
		case 1:
			return math.Inf(1 - 2*random.Intn(2))
		case 2:
			return 0
		}
		return random.NormFloat64() * math.Pow(10, float64(random.Intn(14)-3))
	}
	for i := range r.Summary.Differences {
		d := &r.Summary.Differences[i]
		d.Quantile = random.Float64()
		d.EstimateUs, d.LowUs, d.HighUs, d.Level = value(), value(), value(), random.Float64()
	}
	q := 0.0
	for i := range r.Detail.Difference {
		q += random.Float64() / float64(len(r.Detail.Difference))
		r.Detail.Difference[i] = summary.CurvePoint{Q: q, EstimateUs: value(), LowUs: value(), HighUs: value(), AAHalfUs: value()}
	}
	for i := range r.Detail.Curves {
		q = 0
		for k := range r.Detail.Curves[i].Points {
			q += random.Float64() / float64(len(r.Detail.Curves[i].Points))
			r.Detail.Curves[i].Points[k] = summary.QuantileUs{Q: q, Us: value()}
		}
	}
	for i := range r.Detail.Windows {
		w := &r.Detail.Windows[i]
		w.DiffUs, w.Replicate = value(), random.Intn(4)
		if random.Intn(2) == 0 {
			w.Void = ""
		}
	}
	for i := range r.Detail.Replicates {
		rep := &r.Detail.Replicates[i]
		rep.DiffUs, rep.Index = value(), i
		if random.Intn(2) == 0 {
			rep.Missing = ""
		}
	}
	if len(r.Summary.Differences) > 0 && random.Intn(2) == 0 {
		r.Detail.Primary = r.Summary.Differences[0].Of
	}
}

// The same value gives the same bytes, whatever the order of its maps.
func TestRenderingsArePure(t *testing.T) {
	for _, f := range fixtures() {
		if f.name == "many" {
			continue
		}
		r := f.build()
		for i := range r.Summary.Arms {
			hops := &r.Summary.Arms[i].Evidence.AgentHops
			for k := range 9 {
				if *hops != nil {
					(*hops)[string(rune('3'+k))] = int64(k)
				}
			}
		}
		first := [][]byte{page(t, r), []byte(markdown(t, r)), junit(t, &r.Summary), jsonOf(t, &r.Summary), []byte(text(t, &r.Summary, report.TextOptions{}))}
		for range 3 {
			again := [][]byte{page(t, r), []byte(markdown(t, r)), junit(t, &r.Summary), jsonOf(t, &r.Summary), []byte(text(t, &r.Summary, report.TextOptions{}))}
			for i := range first {
				if !bytes.Equal(first[i], again[i]) {
					t.Errorf("%s: rendering %d changed", f.name, i)
				}
			}
		}
	}
}
