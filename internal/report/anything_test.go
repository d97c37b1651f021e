package report_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/report"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// Whatever stands in a result, even values that no analysis writes, every
// rendering ends, gives no error, and gives well-formed pictures.
func TestAnyResultRenders(t *testing.T) {
	layer.Full(t, "renders thousands of results")
	random := rand.New(rand.NewPCG(1, 2))
	pictures := 0
	for n := range 40 {
		var r summary.Result
		fill(reflect.ValueOf(&r).Elem(), random)
		order(&r)
		doc := string(page(t, &r))
		checkPictures(t, doc)
		pictures += strings.Count(doc, "<svg")
		checkIDs(t, doc)
		checkLoadsNothing(t, doc)
		markdown(t, &r)
		junit(t, &r.Summary)
		text(t, &r.Summary, report.TextOptions{Width: random.IntN(200), Color: true})
		if t.Failed() {
			t.Fatalf("result %d", n)
		}
	}
	if pictures < 150 {
		t.Errorf("only %d pictures were drawn", pictures)
	}
}

// fill puts random values into everything: ordinary ones and the worst.
func fill(v reflect.Value, random *rand.Rand) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), random)
		}
	case reflect.Slice:
		n := []int{0, 1, 2, 5, 30}[random.IntN(5)]
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), random)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range random.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, random)
			fill(value, random)
			v.SetMapIndex(key, value)
		}
	case reflect.Pointer:
		if random.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), random)
		}
	case reflect.String:
		words := []string{"", "", "agent", "bypass", "agent - bypass", "p99", "run", "different", "within", "0", "1",
			"client → alb → agent → app",
			"<b onload=x>&\"'</svg>", "\x1b[2J\x00\xff\ufffe", "日本語",
			"a very long name that goes on and on without ever coming to its end", "| * ` _"}
		v.SetString(words[random.IntN(len(words))])
	case reflect.Float64:
		v.SetFloat(anyFloat(random))
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{-1, 0, 1, 3, 7, 15_000, math.MaxInt64}[random.IntN(7)])
	case reflect.Uint64:
		v.SetUint(random.Uint64())
	case reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	default:
		panic("a result holds a " + v.Kind().String() + ", for which fill has no value")
	}
}

func anyFloat(random *rand.Rand) float64 {
	switch random.IntN(40) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1 - 2*random.IntN(2))
	case 2, 3, 4:
		return 0
	case 5:
		return math.MaxFloat64 * (1 - 2*float64(random.IntN(2)))
	}
	return random.NormFloat64() * math.Pow(10, float64(random.IntN(14)-3))
}

// order makes curves rise and lets windows meet their replicates, most of the
// time, so that there is something to draw.
func order(r *summary.Result) {
	for i := range r.Summary.Differences {
		r.Summary.Differences[i].Quantile = float64(i%4+1) / 5
		r.Summary.Differences[i].Level = float64(i % 3)
	}
	for i := range r.Detail.Difference {
		r.Detail.Difference[i].Q = (float64(i) + 0.5) / float64(len(r.Detail.Difference))
	}
	for _, c := range r.Detail.Curves {
		for i := range c.Points {
			c.Points[i].Q = (float64(i) + 0.5) / float64(len(c.Points))
			c.Points[i].Us = math.Abs(c.Points[i].Us)
		}
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
		first := [][]byte{page(t, r), []byte(markdown(t, r)), junit(t, &r.Summary), jsonOf(t, &r.Summary),
			[]byte(text(t, &r.Summary, report.TextOptions{}))}
		for range 3 {
			again := [][]byte{page(t, r), []byte(markdown(t, r)), junit(t, &r.Summary), jsonOf(t, &r.Summary),
				[]byte(text(t, &r.Summary, report.TextOptions{}))}
			for i := range first {
				if !bytes.Equal(first[i], again[i]) {
					t.Errorf("%s: rendering %d changed", f.name, i)
				}
			}
		}
	}
}
