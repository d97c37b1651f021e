package samplefile

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func header() Header {
	return Header{
		Build:       "k6 v1.8.1, xk6-hoplab 0123456789ab",
		StartUnixNs: 1_700_000_000_000_000_000,
		Load: Load{
			Schema: LoadSchema, PlanHash: "9f2c", Run: "r1", Target: "lab", Replicate: 1, Seed: 7,
			Arms: []LoadArm{
				{Name: "agent", URL: "http://127.0.0.1:8080/", Weight: 1},
				{Name: "bypass", URL: "http://127.0.0.1:8081/", Weight: 1},
			},
			Design: DesignRandom, RatePerS: 500, WarmupS: 1, DurationS: 10, WindowS: 2,
			KeepAlive: true, TimeoutS: 5, Client: ClientNative, Generators: 1, VUs: 20, Out: "samples.hop",
		},
	}
}

// records makes n records as a run makes them: finished slightly out of order,
// mostly ordinary, sometimes extreme.
func records(rng *rand.Rand, n int) []Record {
	outcomes := []Outcome{
		{Status: 200, AgentHeaders: 1, Peer: "127.0.0.1", Via: "app-1", HeaderBytes: 218, BodyBytes: 11, ServiceMs: 1, Reused: true},
		{Status: 200, Peer: "10.0.0.7", Via: "app-2", HeaderBytes: 169, BodyBytes: 11, ServiceMs: -1, Reused: true},
		{Status: 504, AgentHeaders: -1, HeaderBytes: 99, BodyBytes: 24, ServiceMs: -1},
		{Error: "reset", ServiceMs: -1},
		{Error: "other: \"quotes\", <angles> and \u2192 arrows", ServiceMs: -1},
	}
	recs := make([]Record, n)
	for i := range recs {
		k := 0
		if rng.IntN(50) == 0 {
			k = rng.IntN(len(outcomes))
		}
		recs[i] = Record{
			Arm:       rng.IntN(2),
			Iteration: max(0, int64(i)+rng.Int64N(9)-4),
			Late:      time.Duration(rng.Int64N(2000)) * time.Microsecond,
			Latency:   time.Duration(rng.Int64N(50_000)) * 100,
			Blocked:   time.Duration(rng.Int64N(20)) * time.Microsecond,
			Outcome:   outcomes[k],
		}
		if rng.IntN(1000) == 0 {
			recs[i].Latency = maxUnits / 100 * 100
			recs[i].Late = maxUnits / 1000 * 1000
			recs[i].Blocked = maxUnits / 1000 * 1000
			recs[i].Iteration = rng.Int64N(maxUnits)
		}
	}
	return recs
}

func write(t testing.TB, recs []Record, tr Trailer) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, header())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(tr); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// read returns the records before the first error, and that error; nil for a whole file.
func read(data []byte) ([]Record, Trailer, error) {
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, Trailer{}, err
	}
	var recs []Record
	for {
		var rec Record
		switch err := r.Next(&rec); err {
		case nil:
			recs = append(recs, rec)
		case io.EOF:
			return recs, r.Trailer(), nil
		default:
			return recs, r.Trailer(), err
		}
	}
}

func equal(t *testing.T, got, want []Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		g := got[i]
		g.Class = want[i].Class
		if !reflect.DeepEqual(g, want[i]) {
			t.Fatalf("record %d:\n got %+v\nwant %+v", i, g, want[i])
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		want := records(rng, rng.IntN(30_000))
		tr := Trailer{Dropped: 3, CPUSeconds: 1.5, MaxRSSBytes: 1 << 26, Connections: 40, EndUnixNs: 9, Interrupted: true}
		got, gotTr, err := read(write(t, want, tr))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		equal(t, got, want)
		tr.Records = int64(len(want))
		if gotTr != tr {
			t.Errorf("trailer %+v, want %+v", gotTr, tr)
		}
	}
}

func TestHeaderSurvives(t *testing.T) {
	r, err := NewReader(bytes.NewReader(write(t, nil, Trailer{})))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.Header(), header()) {
		t.Errorf("got %+v, want %+v", r.Header(), header())
	}
}

func TestRoundsToStatedResolution(t *testing.T) {
	in := Record{Late: 1499, Latency: 150, Blocked: 16_500}
	got, _, err := read(write(t, []Record{in}, Trailer{}))
	if err != nil {
		t.Fatal(err)
	}
	if g := got[0]; g.Late != 1000 || g.Latency != 200 || g.Blocked != 17_000 {
		t.Errorf("late %d, latency %d, blocked %d; want 1000, 200, 17000 ns", g.Late, g.Latency, g.Blocked)
	}
}

// An ordinary request of a run at 500/s costs at most 5.5 bytes.
func TestBytesPerRequest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var recs []Record
	for i := range 100_000 {
		recs = append(recs, Record{
			Arm: rng.IntN(2), Iteration: int64(i), Late: time.Duration(rng.IntN(150)) * time.Microsecond,
			Latency: time.Duration(1000+rng.IntN(5000)) * 100, Blocked: time.Duration(rng.IntN(5)) * time.Microsecond,
			Outcome: Outcome{Status: 200, AgentHeaders: 1, Peer: "127.0.0.1", ServiceMs: rng.IntN(3)},
		})
	}
	if per := float64(len(write(t, recs, Trailer{}))) / 100_000; per > 5.5 {
		t.Errorf("%.2f bytes per request, want at most 5.5", per)
	} else {
		t.Logf("%.2f bytes per request", per)
	}
}

func TestClassesNameArmAndOutcome(t *testing.T) {
	a := Outcome{Status: 200, Via: "a"}
	b := Outcome{Status: 504}
	data := write(t, []Record{{Arm: 0, Outcome: a}, {Arm: 1, Outcome: a}, {Arm: 0, Outcome: b}, {Arm: 1, Outcome: a}}, Trailer{})
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	var rec Record
	for r.Next(&rec) == nil {
		ids = append(ids, rec.Class)
		if arm, o := r.Class(rec.Class); arm != rec.Arm || o != rec.Outcome {
			t.Errorf("class %d is arm %d %+v, the record says arm %d %+v", rec.Class, arm, o, rec.Arm, rec.Outcome)
		}
	}
	if !reflect.DeepEqual(ids, []int{0, 1, 2, 1}) || r.Classes() != 3 {
		t.Errorf("classes %v of %d, want [0 1 2 1] of 3", ids, r.Classes())
	}
}

func TestConcurrentWriters(t *testing.T) {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, header())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const workers, each = 8, 5000
	for k := range workers {
		wg.Go(func() {
			for i := range each {
				o := Outcome{Status: 200, ServiceMs: i % 7}
				if err := w.Write(Record{Arm: k % 2, Iteration: int64(i*workers + k), Outcome: o}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	recs, _, err := read(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for _, r := range recs {
		seen[r.Iteration] = true
	}
	if len(recs) != workers*each || len(seen) != workers*each {
		t.Errorf("%d records with %d iterations, want %d", len(recs), len(seen), workers*each)
	}
}

// forge builds a file from payloads whose checksums are right.
func TestWriterRefuses(t *testing.T) {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, header())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{{Arm: 2}, {Arm: -1}, {Iteration: -1}, {Late: -1}, {Latency: -1}, {Blocked: -1}, {Latency: maxUnits + 1}} {
		if w.Write(r) == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
	if err := w.Write(Record{}); err != nil {
		t.Errorf("the file is unusable after a refusal: %v", err)
	}
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	if w.Write(Record{}) == nil {
		t.Error("a record was accepted after Close")
	}
	if recs, _, err := read(buf.Bytes()); err != nil || len(recs) != 1 {
		t.Errorf("%d records, error %v; want the one sound record", len(recs), err)
	}
	if _, err := NewWriter(io.Discard, Header{}); err == nil {
		t.Error("a header without arms was accepted")
	}
}

type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestFullDiskIsReported(t *testing.T) {
	w, err := NewWriter(&failing{left: 40_000}, header())
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for i := range 100_000 {
		if failed = w.Write(Record{Iteration: int64(i)}); failed != nil {
			break
		}
	}
	if failed == nil || !strings.Contains(failed.Error(), "no space") {
		t.Errorf("Write: %v, want the disk's error", failed)
	}
	if err := w.Close(Trailer{}); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("Close: %v, want the disk's error", err)
	}
}

func TestLongAndBrokenTextsAreCut(t *testing.T) {
	long := "other: " + strings.Repeat("\u00e4", 400)
	got, _, err := read(write(t, []Record{{Outcome: Outcome{Error: long, Peer: "\xff\xfe"}},
		{Outcome: Outcome{Error: long + "2"}}}, Trailer{}))
	if err != nil {
		t.Fatal(err)
	}
	if e := got[0].Outcome.Error; len(e) > maxError || !strings.HasPrefix(long, e) {
		t.Errorf("error of %d bytes: %q", len(e), e)
	}
	if got[0].Outcome.Peer != "\uFFFD" {
		t.Errorf("peer %q", got[0].Outcome.Peer)
	}
}

func TestTooManyOutcomes(t *testing.T) {
	w, err := NewWriter(io.Discard, header())
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxClasses {
		if err := w.Write(Record{Outcome: Outcome{BodyBytes: i}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(Record{Outcome: Outcome{BodyBytes: -1}}); err == nil || !strings.Contains(err.Error(), "distinct outcomes") {
		t.Errorf("error %v", err)
	}
}

func TestGoldenVersion1(t *testing.T) {
	want := records(rand.New(rand.NewPCG(11, 11)), 500)
	path := filepath.Join("testdata", "version1.hop")
	if *update {
		if err := os.WriteFile(path, write(t, want, Trailer{Dropped: 2, CPUSeconds: 0.25}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, tr, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, want)
	if want := (Trailer{Records: 500, Dropped: 2, CPUSeconds: 0.25}); tr != want {
		t.Errorf("trailer %+v, want %+v", tr, want)
	}
	if now := write(t, want, Trailer{Dropped: 2, CPUSeconds: 0.25}); !bytes.Equal(now, data) {
		t.Error("the writer's bytes changed: raise the format version, or undo the change")
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	data := write(t, records(rand.New(rand.NewPCG(6, 6)), 50_000), Trailer{})
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	for range 10_000 { // classes and the buffer settle
		if err := r.Next(&rec); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(30_000, func() {
		if err := r.Next(&rec); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per record, want 0", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	recs := records(rand.New(rand.NewPCG(9, 9)), 1<<16)
	w, err := NewWriter(io.Discard, header())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := w.Write(recs[i&(1<<16-1)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkNext counts one record as one operation.
func BenchmarkNext(b *testing.B) {
	data := write(b, records(rand.New(rand.NewPCG(10, 10)), 1<<20), Trailer{})
	b.SetBytes(int64(len(data)) >> 20)
	b.ReportAllocs()
	var r *Reader
	var rec Record
	for b.Loop() {
		if r == nil {
			var err error
			if r, err = NewReader(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
		if err := r.Next(&rec); err == io.EOF {
			r = nil
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleReader() {
	var file bytes.Buffer
	w, _ := NewWriter(&file, header())
	_ = w.Write(Record{Arm: 0, Iteration: 0, Latency: 250 * time.Microsecond, Outcome: Outcome{Status: 200}})
	_ = w.Close(Trailer{})

	r, err := NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	arms := r.Header().Load.Arms
	var rec Record
	for err = r.Next(&rec); err == nil; err = r.Next(&rec) {
		fmt.Println(arms[rec.Arm].Name, rec.Outcome.Status, rec.Latency)
	}
	fmt.Println(err == io.EOF, r.Trailer().Records)
	// Output:
	// agent 200 250µs
	// true 1
}
