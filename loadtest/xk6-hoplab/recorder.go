package hoplab

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// maxOtherErrors bounds the distinct texts behind "other: ", and those of
// watched headers with them. A server could otherwise make a new outcome of
// every request.
const maxOtherErrors = 100

// moreSeen stands for what watched headers say beyond that. No plan expects it.
const moreSeen = "(more)"

// recorder owns the sample file and what must be counted beside it. Its
// methods are safe for concurrent use.
type recorder struct {
	connections, dropped, aborted atomic.Int64
	closedLoop                    atomic.Int64 // next iteration of the closed loop

	mu      sync.Mutex
	load    *samplefile.Load // nil until configure
	weights []float64
	file    *os.File
	writer  *samplefile.Writer
	start   time.Time // of the first scenario; zero until begin
	cpu     float64   // at start
	others  map[string]bool
	failed  error
	stop    func(error) // stops the run; nil without an output

	started atomic.Pointer[started]
}

// started is what every request needs, once the load has begun.
type started struct {
	load       *samplefile.Load
	writer     *samplefile.Writer
	at         time.Time
	iterations int64
}

func newRecorder() *recorder { return &recorder{others: map[string]bool{}} }

// configure reads the load named by HOPLAB_LOAD. Later calls return the same one.
func (r *recorder) configure(lookup func(string) (string, bool)) (*samplefile.Load, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.load != nil {
		return r.load, nil
	}
	path, ok := lookup("HOPLAB_LOAD")
	if !ok || path == "" {
		return nil, errors.New("HOPLAB_LOAD is not set; it names the JSON file that says what to send")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("HOPLAB_LOAD: %w", err)
	}
	load, err := samplefile.ParseLoad(data)
	if err != nil {
		return nil, fmt.Errorf("HOPLAB_LOAD=%s: %w", path, err)
	}
	r.load, r.weights = &load, load.Weights()
	return r.load, nil
}

// open creates the sample file. An existing one is not overwritten.
func (r *recorder) open(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("sample file %s exists; remove it or choose another name", path)
	}
	if err != nil {
		return fmt.Errorf("sample file: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.file = f
	return nil
}

// begin returns the state of the load that began when the scenario did; the
// first call writes the header.
func (r *recorder) begin(scenario time.Time) (*started, error) {
	if s := r.started.Load(); s != nil {
		return s, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.started.Load(); s != nil {
		return s, nil
	}
	if r.file == nil {
		return nil, errors.New("no sample file; start k6 with --out hoplab=FILE")
	}
	if r.load == nil {
		return nil, errors.New("the script did not ask for the load; call load() of k6/x/hoplab first")
	}
	w, err := samplefile.NewWriter(r.file, r.header(scenario))
	if err != nil {
		return nil, err
	}
	r.writer, r.start, r.cpu = w, scenario, cpuSeconds()
	s := &started{load: r.load, writer: w, at: scenario, iterations: r.load.Iterations()}
	r.started.Store(s)
	return s, nil
}

// header describes the load without the place of its file, which is no part of
// what was measured and names a folder of this machine, and without the form of
// its requests, which is in the plan and may be long; r.mu is held.
func (r *recorder) header(start time.Time) samplefile.Header {
	load := *r.load
	load.Out, load.Request = "", nil
	return samplefile.Header{Load: load, Build: build(), StartUnixNs: start.UnixNano()}
}

// arm is the arm that iteration i was dealt to.
func (r *recorder) arm(load *samplefile.Load, i int64) int {
	if load.Design == samplefile.DesignRandom {
		return samplefile.Draw(load.Seed, load.Replicate, i, r.weights)
	}
	return load.Arm(i)
}

// write records one request. When the file cannot be written any more it stops the run.
func (r *recorder) write(s *started, rec samplefile.Record) error {
	if text, ok := strings.CutPrefix(rec.Outcome.Error, "other: "); ok && !r.knownOther(text) {
		rec.Outcome.Error = "other: (more kinds of errors)"
	}
	if seen := rec.Outcome.Seen; seen != "" && !r.knownOther("seen: "+seen) {
		rec.Outcome.Seen = moreSeen
	}
	err := s.writer.Write(rec)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
		if r.stop != nil {
			r.stop(err)
		}
	}
	return err
}

func (r *recorder) knownOther(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.others[text] {
		return true
	}
	if len(r.others) >= maxOtherErrors {
		return false
	}
	r.others[text] = true
	return true
}

// close ends the sample file with its trailer.
func (r *recorder) close(interrupted bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	if r.writer == nil { // nothing was sent; the file still says so
		if r.load == nil {
			return errors.Join(r.file.Close(), errors.New("the script did not use k6/x/hoplab; nothing was recorded"))
		}
		w, err := samplefile.NewWriter(r.file, r.header(time.Now()))
		if err != nil {
			return errors.Join(err, r.file.Close())
		}
		r.writer, r.cpu = w, cpuSeconds()
	}
	dropped := r.dropped.Load()
	if r.load.Period() > 0 { // k6 also drops iterations beyond the plan's end
		dropped = max(0, min(dropped, r.load.Share()-r.writer.Records()-r.aborted.Load()))
	}
	err := r.writer.Close(samplefile.Trailer{
		Dropped:     dropped,
		Aborted:     r.aborted.Load(),
		CPUSeconds:  cpuSeconds() - r.cpu,
		MaxRSSBytes: maxRSS(),
		Connections: r.connections.Load(),
		EndUnixNs:   time.Now().UnixNano(),
		Interrupted: interrupted,
	})
	return errors.Join(err, r.file.Close())
}

// build names this program: HOPLAB_BUILD if it is set, or k6's version.
func build() string {
	if b := os.Getenv("HOPLAB_BUILD"); b != "" {
		return b
	}
	name := "k6"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == "go.k6.io/k6" {
				name += " " + m.Version
			}
		}
	}
	return name + ", xk6-hoplab"
}
