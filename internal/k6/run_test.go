package k6

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
	hop "github.com/hoplab/hoplab/loadtest/samplefile"
)

// binary builds k6, or takes it from the cache. The first build takes a minute or two.
func binary(t testing.TB) Binary {
	t.Helper()
	layer.Full(t, "needs the built k6")
	r, err := repo.Find()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Build(t.Context(), r, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// server answers as the app does, and as an agent would when envoy is set.
func server(t testing.TB, envoy bool, wait time.Duration) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-r.Context().Done():
			}
		}
		h := w.Header()
		if envoy {
			h.Set("Server", "envoy")
			h.Set("X-Envoy-Upstream-Service-Time", "3")
		}
		peer, _, _ := net.SplitHostPort(r.RemoteAddr)
		h.Set("X-Hoplab-Peer", peer)
		h.Set("X-Hoplab-App", r.Host)
		_, _ = io.WriteString(w, "Hello World")
	}))
	t.Cleanup(s.Close)
	return s
}

func load(agent, bypass string) hop.Load {
	return hop.Load{
		Schema: hop.LoadSchema, PlanHash: "abc", Run: "test", Target: "lab", Replicate: 1, Seed: 11,
		Arms: []hop.LoadArm{
			{Name: "agent", URL: "http://app.example/", Dial: strings.TrimPrefix(agent, "http://"), Weight: 1},
			{Name: "bypass", URL: bypass + "/", Weight: 1},
		},
		Design: hop.DesignRandom, RatePerS: 200, WarmupS: 0.5, DurationS: 1.5, WindowS: 0.5,
		KeepAlive: true, TimeoutS: 5, Client: hop.ClientNative, Generators: 1, VUs: 60, // enough for stalls of 0.3 s on a busy machine
	}
}

func readAll(t *testing.T, path string) ([]hop.Record, hop.Header) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := hop.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var recs []hop.Record
	for {
		var rec hop.Record
		if err := r.Next(&rec); err == io.EOF {
			return recs, r.Header()
		} else if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
}

// Both clients send what the plan says, to the arms that the draw says, and
// read the same evidence and the same sizes.
func TestRunRecordsEveryRequest(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	agent, bypass := server(t, true, 0), server(t, false, 0)
	sizes := map[string]map[int]int{}
	for _, client := range []string{hop.ClientNative, hop.ClientHTTP} {
		t.Run(client, func(t *testing.T) {
			l := load(agent.URL, bypass.URL)
			l.Client = client
			out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			recs, head := readAll(t, out.Samples)
			if len(recs) != 400 || out.Records != 400 || out.Missing != 0 || out.Trailer.Dropped != 0 || !out.Complete || out.Exit != 0 {
				t.Errorf("outcome %+v with %d records, want all 400", out, len(recs))
			}
			if head.Build != k6.Build || head.Load.PlanHash != "abc" || head.Load.Out != "" || head.Load.Seed != l.Seed {
				t.Errorf("header %+v", head)
			}
			if age := time.Since(time.Unix(0, head.StartUnixNs)); age < 2*time.Second || age > time.Minute {
				t.Errorf("the scenario began %v ago", age)
			}
			if tr := out.Trailer; tr.CPUSeconds <= 0 || tr.MaxRSSBytes < 10<<20 || tr.Connections < 2 || tr.Connections > 2*60 || tr.Interrupted {
				t.Errorf("trailer %+v", tr)
			}
			seen := map[int64]bool{}
			bytes := map[int]int{}
			for _, r := range recs {
				if seen[r.Iteration] {
					t.Fatalf("iteration %d twice", r.Iteration)
				}
				seen[r.Iteration] = true
				if want := l.Arm(r.Iteration); r.Arm != want {
					t.Fatalf("iteration %d went to arm %d, drawn was %d", r.Iteration, r.Arm, want)
				}
				wantVia := "app.example"
				want := hop.Outcome{Status: 200, AgentHeaders: 1, Peer: "127.0.0.1", ServiceMs: 3, BodyBytes: 11}
				if r.Arm == 1 {
					want.AgentHeaders, want.ServiceMs = 0, -1
					wantVia = strings.TrimPrefix(bypass.URL, "http://")
				}
				want.Via, want.HeaderBytes, want.Reused = wantVia, r.Outcome.HeaderBytes, r.Outcome.Reused
				if r.Outcome != want {
					t.Fatalf("outcome %+v, want %+v", r.Outcome, want)
				}
				if r.Latency <= 0 || r.Latency > 5*time.Second || r.Late > 5*time.Second {
					t.Fatalf("times of %+v", r)
				}
				bytes[r.Arm] = r.Outcome.HeaderBytes
			}
			sizes[client] = bytes
		})
	}
	if n, h := sizes[hop.ClientNative], sizes[hop.ClientHTTP]; n[0] != h[0] || n[1] != h[1] || n[0] == 0 {
		t.Errorf("header bytes: native counts %v, k6/http %v", n, h)
	}
}

// The native client opens every connection in the warm-up, although its users
// come round too seldom to meet every arm there.
func TestNothingIsDialledInTheMeasuredTime(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	agent, bypass := server(t, true, 0), server(t, false, 0)
	l := load(agent.URL, bypass.URL)
	l.WarmupS = 0.6 // 120 requests of 60 users
	out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	recs, _ := readAll(t, out.Samples)
	fresh := 0
	for _, r := range recs {
		if l.Window(l.Start(&r)) >= 0 && !r.Outcome.Reused {
			fresh++
		}
	}
	if fresh > 0 || out.Trailer.Connections != 2*60 {
		t.Errorf("%d measured requests on new connections, %d connections; want none and 120", fresh, out.Trailer.Connections)
	}
}

func TestRunWithoutKeepAlive(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	for _, client := range []string{hop.ClientNative, hop.ClientHTTP} {
		l := load(s.URL, s.URL)
		l.Client, l.KeepAlive, l.RatePerS, l.DurationS = client, false, 50, 1
		out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		recs, _ := readAll(t, out.Samples)
		for _, r := range recs {
			if r.Outcome.Reused || r.Blocked <= 0 {
				t.Fatalf("%s: a connection was reused: %+v", client, r)
			}
		}
		if out.Trailer.Connections != int64(len(recs)) || len(recs) != 75 {
			t.Errorf("%s: %d connections for %d requests, want 75 each", client, out.Trailer.Connections, len(recs))
		}
	}
}

// TestRunWithRequestBodies: both clients send the body that the load asks for.
func TestRunWithRequestBodies(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	var whole, other atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil && n == 4096 && r.Method == http.MethodPost && r.Header.Get("Content-Type") == "text/plain" {
			whole.Add(1)
		} else {
			other.Add(1)
		}
	}))
	t.Cleanup(s.Close)
	for _, client := range []string{hop.ClientNative, hop.ClientHTTP} {
		whole.Store(0)
		l := load(s.URL, s.URL)
		l.Client, l.RequestBytes, l.RatePerS, l.DurationS = client, 4096, 50, 1
		out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if out.Records != 75 || whole.Load() != 75 || other.Load() != 0 {
			t.Errorf("%s: %d requests recorded, %d whole and %d others arrived; want 75, 75 and none",
				client, out.Records, whole.Load(), other.Load())
		}
	}
}

func TestRunBlocks(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	l := load(s.URL, s.URL)
	l.Design, l.BlockArms = hop.DesignBlocks, []int{1, 0, 1}
	out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	recs, _ := readAll(t, out.Samples)
	var n [3]int
	for _, r := range recs {
		if w := l.Window(l.Start(&r)); w >= 0 {
			n[w]++
			if r.Arm != l.BlockArms[w] {
				t.Fatalf("window %d holds a request to arm %d", w, r.Arm)
			}
		}
	}
	if n != [3]int{100, 100, 100} {
		t.Errorf("requests by window: %v, want 100 each", n)
	}
}

func TestRunArticle(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	l := load(s.URL, s.URL)
	l.Design, l.RatePerS, l.WarmupS, l.DurationS, l.VUs = hop.DesignArticle, 0, 0, 4, 5
	out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	recs, _ := readAll(t, out.Samples)
	for _, r := range recs {
		if half := int(l.Start(&r) / (2 * time.Second)); half != r.Arm {
			t.Errorf("arm %d at %v of %v", r.Arm, l.Start(&r), l.Total())
		}
	}
	if len(recs) < 18 || len(recs) > 20 || out.Missing != 0 {
		t.Errorf("%d requests of 5 users in 4 s, want 20; missing %d", len(recs), out.Missing)
	}
}

// Without enough users k6 cannot start what is planned: the trailer says so.
func TestRunCountsDrops(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	slow := server(t, false, 200*time.Millisecond)
	l := load(slow.URL, slow.URL)
	l.VUs = 2
	out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if out.Trailer.Dropped < 300 || out.Missing != 0 {
		t.Errorf("2 users of 5 requests/s each met 200/s, and the outcome is %+v", out)
	}
}

// Two and three generators send each iteration of the plan once.
func TestGeneratorsShareTheIterations(t *testing.T) {
	t.Parallel()
	k6 := binary(t)
	s := server(t, false, 0)
	for _, n := range []int{2, 3} {
		seen := map[int64]int{}
		var heads []hop.Header
		for g := range n {
			l := load(s.URL, s.URL)
			l.Generator, l.Generators, l.DurationS, l.RatePerS = g, n, 0.9, 100
			out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if out.Missing != 0 {
				t.Errorf("generator %d of %d misses %d", g, n, out.Missing)
			}
			recs, head := readAll(t, out.Samples)
			for _, r := range recs {
				seen[r.Iteration]++
				if r.Arm != l.Arm(r.Iteration) {
					t.Fatalf("iteration %d went to arm %d", r.Iteration, r.Arm)
				}
			}
			heads = append(heads, head)
		}
		for i := range int64(140) {
			if seen[i] != 1 {
				t.Fatalf("%d generators sent iteration %d %d times", n, i, seen[i])
			}
		}
		if len(seen) != 140 {
			t.Errorf("%d iterations, want 140", len(seen))
		}
		if err := hop.SameReplicate(heads[0], heads[1]); err != nil {
			t.Error(err)
		}
	}
}

// The user's environment and configuration must not change the load.
func TestRunIgnoresTheUsersK6Settings(t *testing.T) {
	k6 := binary(t)
	s := server(t, false, 0)
	for name, v := range map[string]string{"K6_DURATION": "1s", "K6_VUS": "1", "K6_OUT": "json=/dev/full",
		"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1", "K6_NO_CONNECTION_REUSE": "true"} {
		t.Setenv(name, v)
	}
	l := load(s.URL, s.URL)
	l.Client, l.DurationS = hop.ClientHTTP, 1
	out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir()})
	if err != nil || out.Records != 300 || out.Trailer.Connections > 2*60 {
		t.Errorf("outcome %+v, %v", out, err)
	}
	recs, _ := readAll(t, out.Samples)
	for _, r := range recs {
		if r.Outcome.Status != 200 {
			t.Fatalf("%+v", r)
		}
	}
}

// k6's memory must not grow with the number of requests: eight times the
// requests may cost at most 32 MiB more.
func TestMemoryStaysFlat(t *testing.T) {
	if os.Getenv("HOPLAB_LONG") == "" && os.Getenv("CI") != "true" {
		t.Skip("takes 30 s; set HOPLAB_LONG=1")
	}
	k6 := binary(t)
	s := server(t, false, 0)
	// rss is k6's memory, and why it says nothing if it does not.
	rss := func(rate float64, span time.Duration) (bytes int64, cannot string) {
		l := load(s.URL, s.URL)
		l.RatePerS, l.WarmupS, l.DurationS, l.VUs = rate, 1, span.Seconds(), 100
		out, err := Run(t.Context(), k6, l, Options{Dir: t.TempDir(), GCPercent: 100})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.0f/s: %d requests, %d dropped, %d MiB, %.1f CPU s", rate, out.Records, out.Trailer.Dropped, out.Trailer.MaxRSSBytes>>20, out.Trailer.CPUSeconds)
		if planned := l.Share(); out.Records < planned*3/4 {
			return 0, fmt.Sprintf("only %d of %d requests were sent", out.Records, planned)
		}
		return out.Trailer.MaxRSSBytes, ""
	}
	labtest.Conclusive(t, []time.Duration{12 * time.Second, 6 * time.Second}, func(span time.Duration) string {
		few, cannot := rss(1000, span)
		if cannot != "" {
			return cannot
		}
		many, cannot := rss(8000, span)
		if cannot != "" {
			return cannot
		}
		if many-few > 32<<20 {
			t.Errorf("over %s, %d MiB at 1000 requests/s, %d MiB at 8000", span, few>>20, many>>20)
		}
		return ""
	})
}
