package samplefile

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	l := header().Load // 500/s, warm-up 1 s, 10 s in windows of 2 s
	if got, want := l.Period(), 2*time.Millisecond; got != want {
		t.Errorf("period %v, want %v", got, want)
	}
	if got := l.Iterations(); got != 5500 {
		t.Errorf("%d iterations, want 5500", got)
	}
	for i, want := range map[int64]int{0: -1, 499: -1, 500: 0, 1499: 0, 1500: 1, 5499: 4, 5500: -1} {
		if got := l.Window(l.Planned(i)); got != want {
			t.Errorf("iteration %d is in window %d, want %d", i, got, want)
		}
	}
}

// Every planned start lies within the load, and the next one does not.
func TestIterationsFillTheLoad(t *testing.T) {
	l := header().Load
	for _, rate := range []float64{0.5, 1, 3, 7.3, 333.3, 500, 999.9, 12345.6} {
		l.RatePerS = rate
		n := l.Iterations()
		if l.Planned(n-1) >= l.Total() || l.Planned(n) < l.Total() {
			t.Errorf("rate %v: %d iterations from %v to %v do not fill %v", rate, n, l.Planned(0), l.Planned(n-1), l.Total())
		}
		if exact := rate * 11; math.Abs(float64(n)-exact) > 1+exact*1e-4 {
			t.Errorf("rate %v: %d iterations, expected about %v", rate, n, exact)
		}
	}
}

func TestSharesAddUp(t *testing.T) {
	l := header().Load
	for _, n := range []int{1, 2, 3, 7} {
		l.Generators = n
		var sum int64
		for l.Generator = range n {
			sum += l.Share()
		}
		if sum != l.Iterations() {
			t.Errorf("%d generators share %d of %d iterations", n, sum, l.Iterations())
		}
	}
}

func TestClosedLoopStartsWhenItStarts(t *testing.T) {
	l := header().Load
	l.Design = DesignArticle
	r := Record{Iteration: 77, Late: 3 * time.Second}
	if got := l.Start(&r); got != 3*time.Second {
		t.Errorf("start %v, want the actual one", got)
	}
	if l.Arm(3) != -1 {
		t.Error("the closed loop drew an arm")
	}
}

func TestBlocksFollowTheTable(t *testing.T) {
	l := header().Load
	l.Design = DesignBlocks
	l.BlockArms = []int{1, 0, 0, 1, 0}
	for i, want := range map[int64]int{0: 1, 499: 1, 500: 1, 1499: 1, 1500: 0, 3500: 1, 5499: 0, 9999: 0} {
		if got := l.Arm(i); got != want {
			t.Errorf("iteration %d goes to arm %d, want %d", i, got, want)
		}
	}
}

func TestPlacesNeedAnAddressAndTheNativeClient(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Load)
		want   string // "" when the load is sound
	}{
		"sound":       {func(*Load) {}, ""},
		"no address":  {func(l *Load) { l.Arms[0].From = "eth0" }, `"eth0" is not an IP address`},
		"a name":      {func(l *Load) { l.Arms[0].Dial = "app:80" }, `not "app:80"`},
		"no dial":     {func(l *Load) { l.Arms[0].Dial = "" }, "needs an address and port in dial"},
		"http client": {func(l *Load) { l.Client = ClientHTTP }, `client "http" cannot choose`},

		"a namespace":   {func(l *Load) { l.Arms[0].From, l.Arms[0].Namespace = "", 3 }, ""},
		"both":          {func(l *Load) { l.Arms[0].Namespace = 3 }, ""},
		"no descriptor": {func(l *Load) { l.Arms[0].Namespace = -1 }, "namespace -1 is not a descriptor"},
		"a namespace and a name": {func(l *Load) {
			l.Arms[0] = LoadArm{URL: "http://a/", Dial: "a:80", Weight: 1, Namespace: 3}
		}, `namespace 3 needs an address`},
		"a namespace, http client": {func(l *Load) {
			l.Client, l.Arms[0].From, l.Arms[0].Namespace = ClientHTTP, "", 3
		}, `namespace 3: client "http"`},
	} {
		l := header().Load
		l.Arms[0].Dial, l.Arms[0].From = "127.18.0.3:80", "127.18.0.2"
		l.Client = ClientNative
		c.change(&l)
		err := l.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func TestDrawKeepsItsWeights(t *testing.T) {
	weights := []float64{1, 0, 3}
	const n = 200_000
	var count [3]float64
	for i := range int64(n) {
		count[Draw(42, 3, i, weights)]++
	}
	// Five standard deviations of a binomial share.
	for k, want := range []float64{0.25, 0, 0.75} {
		if got, tol := count[k]/n, 5*math.Sqrt(want*(1-want)/n); math.Abs(got-want) > tol {
			t.Errorf("arm %d got %.4f of the requests, want %.4f ± %.4f", k, got, want, tol)
		}
	}
	if Draw(1, 1, 0, []float64{0, 0, 1}) != 2 {
		t.Error("an arm of weight 0 was drawn")
	}
}

// The draw is part of the file format: a reader repeats it. The expected digits
// come from an implementation in another language.
func TestDrawIsFixed(t *testing.T) {
	var got strings.Builder
	for i := range int64(40) {
		got.WriteByte(byte('0' + Draw(1, 1, i, []float64{1, 1})))
	}
	if want := "0101011000110110110010110011001011010000"; got.String() != want {
		t.Errorf("Draw(1, 1, 0..39) is %s, want %s", got.String(), want)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for want, change := range map[string]func(*Load){
		"schema":        func(l *Load) { l.Schema = "hoplab/load/v9" },
		"arms":          func(l *Load) { l.Arms = nil },
		"URL":           func(l *Load) { l.Arms[1].URL = "/relative" },
		"weight":        func(l *Load) { l.Arms[1].Weight = -1 },
		"weights":       func(l *Load) { l.Arms[0].Weight, l.Arms[1].Weight = 0, 0 },
		"rate_per_s":    func(l *Load) { l.RatePerS = math.NaN() },
		"design":        func(l *Load) { l.Design = "parallel" },
		"client":        func(l *Load) { l.Client = "curl" },
		"warmup_s":      func(l *Load) { l.WarmupS = -1 },
		"duration_s":    func(l *Load) { l.DurationS = 0 },
		"window_s":      func(l *Load) { l.WindowS = 0 },
		"timeout_s":     func(l *Load) { l.TimeoutS = 0 },
		"request_bytes": func(l *Load) { l.RequestBytes = MaxRequestBytes + 1 },
		"vus":           func(l *Load) { l.VUs = 0 },
		"generator":     func(l *Load) { l.Generator = 1 },
		"block_arms":    func(l *Load) { l.Design, l.BlockArms = DesignBlocks, []int{0, 2} },
	} {
		l := header().Load
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&l)
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not name it", want, err)
		}
	}
}

func TestParseLoad(t *testing.T) {
	text, err := json.Marshal(header().Load)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseLoad(text); err != nil {
		t.Error(err)
	}
	if _, err := ParseLoad(text[:len(text)/2]); err == nil {
		t.Error("half a load was accepted")
	}
}

func TestMergeRefusesByField(t *testing.T) {
	for _, c := range []struct {
		field      string
		change     func(*Header)
		experiment bool // SameExperiment refuses too
	}{
		{"load.plan_hash", func(h *Header) { h.Load.PlanHash = "other" }, true},
		{"build", func(h *Header) { h.Build = "k6 v1.8.2" }, true},
		{"load.target", func(h *Header) { h.Load.Target = "aws" }, true},
		{"load.seed", func(h *Header) { h.Load.Seed++ }, true},
		{"load.rate_per_s", func(h *Header) { h.Load.RatePerS++ }, true},
		{"load.request_bytes", func(h *Header) { h.Load.RequestBytes = 1024 }, true},
		{"load.arms", func(h *Header) { h.Load.Arms = h.Load.Arms[:1] }, true},
		{"load.arms[1].name", func(h *Header) { h.Load.Arms[1].Name = "mesh" }, true},
		{"load.arms[1].weight", func(h *Header) { h.Load.Arms[1].Weight = 2 }, true},
		{"load.run", func(h *Header) { h.Load.Run = "r2" }, false},
		{"load.replicate", func(h *Header) { h.Load.Replicate = 2 }, false},
		{"load.arms[0].url", func(h *Header) { h.Load.Arms[0].URL = "http://127.0.0.1:9/" }, false},
		{"load.generator", func(h *Header) { h.Load.Generator = 0 }, false},
	} {
		a, b := header(), header()
		a.Load.Generators, b.Load.Generators = 2, 2
		b.Load.Generator = 1
		if err := SameReplicate(a, b); err != nil {
			t.Fatal(err)
		}
		c.change(&b)
		var m *MismatchError
		if err := SameReplicate(a, b); !errors.As(err, &m) || m.Field != c.field {
			t.Errorf("SameReplicate: %v, want a mismatch of %s", err, c.field)
		}
		err := SameExperiment(a, b)
		if (err != nil) != c.experiment {
			t.Errorf("%s: SameExperiment: %v", c.field, err)
		}
	}
}
