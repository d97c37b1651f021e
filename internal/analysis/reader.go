package analysis

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// reader is one generator's file, one record ahead.
type reader struct {
	path  string
	order int // of its file, for a fixed order of equal starts
	file  *os.File
	r     *samplefile.Reader
	rec   samplefile.Record
	start time.Duration
	proof []proof    // by class
	count [][2]int64 // by class: requests of the warm-up, measured requests
}

// openReaders opens every generator's file and refuses what does not belong together.
func openReaders(p *plan.Plan, hash string, rep run.Replicate) ([]*reader, error) {
	paths, err := rep.Samples()
	if err != nil {
		return nil, err
	}
	if len(paths) != p.Generators {
		return nil, fail.Newf(fail.Usage, "copy the missing files there, or finish the run with hoplab run --resume",
			"replicate %d has %d sample files; the plan has %d load generators", rep.Index, len(paths), p.Generators)
	}
	var out []*reader
	for _, path := range paths {
		r, err := openReader(path)
		if err == nil {
			out = append(out, r)
			err = r.belongs(p, hash, rep.Index, out[0])
		}
		if err != nil {
			for _, o := range out {
				o.file.Close()
			}
			return nil, err
		}
	}
	return out, nil
}

func openReader(path string) (*reader, error) {
	f, err := run.OpenSamples(path)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "check the path and its permissions", "cannot read the samples: %w", err)
	}
	r, err := samplefile.NewReader(f)
	if err != nil {
		f.Close()
		return nil, damaged(path, err)
	}
	return &reader{path: path, file: f, r: r}, nil
}

func damaged(path string, err error) error {
	hint := "restore the file, or measure the replicate again with hoplab run --resume"
	return fail.Newf(fail.Usage, hint, "%s: %w", shortPath(path), err)
}

// shortPath names a sample file without the place where its run lies.
func shortPath(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}

// measuredS is the measured time of one replicate in seconds.
func measuredS(p *plan.Plan) float64 {
	if p.Design == plan.DesignArticle {
		return p.ReplicateS * float64(len(p.Arms)) // each arm has the replicate's time to itself
	}
	return p.ReplicateS
}

// belongs checks the file's header against the plan and the first generator's.
func (r *reader) belongs(p *plan.Plan, hash string, index int, first *reader) error {
	h := r.r.Header()
	l := &h.Load
	for _, c := range []struct {
		field     string
		got, want any
	}{
		{"target", l.Target, p.Target},
		{"design", l.Design, p.Design},
		{"replicate", l.Replicate, index},
		{"generators", l.Generators, p.Generators},
		{"number of arms", len(l.Arms), len(p.Arms)},
		{"rate_per_s", l.RatePerS, p.RatePerS},
		{"warmup_s", l.WarmupS, p.WarmupS},
		{"duration_s", l.DurationS, measuredS(p)},
		{"window_s", l.WindowS, p.WindowS},
		{"timeout_s", l.TimeoutS, p.TimeoutS},
		{"plan_hash", l.PlanHash, hash},
	} {
		if c.got != c.want {
			return fail.Newf(fail.Usage, "keep the files of one run together", "%s does not belong to this run: %s is %v; the plan says %v",
				shortPath(r.path), c.field, c.got, c.want)
		}
	}
	for i, a := range l.Arms {
		if a.Name != p.Arms[i].Name {
			return fail.Newf(fail.Usage, "keep the files of one run together", "%s does not belong to this run: arm %d is %q; the plan says %q",
				shortPath(r.path), i+1, a.Name, p.Arms[i].Name)
		}
	}
	if r == first {
		return nil
	}
	if err := samplefile.SameReplicate(first.r.Header(), h); err != nil {
		return fail.Newf(fail.Usage, "keep the files of one replicate together", "%s and %s: %w", shortPath(first.path), shortPath(r.path), err)
	}
	return nil
}

// next reads one record; ok is false at the end of the file.
func (r *reader) next(p *plan.Plan, load *samplefile.Load) (ok bool, err error) {
	err = r.r.Next(&r.rec)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, damaged(r.path, err)
	}
	for len(r.proof) <= r.rec.Class {
		arm, o := r.r.Class(len(r.proof))
		if e := p.Arms[arm].Endpoint; e != nil {
			r.proof = append(r.proof, proveEndpoint(p.Arms[arm].Expect, e.Proof, load, o))
		} else {
			r.proof = append(r.proof, prove(p.Arms[arm].Expect, load.Arms[arm].From, p.ResponseBytes, o))
		}
		r.count = append(r.count, [2]int64{})
	}
	r.start = load.Start(&r.rec)
	return true, nil
}

// byStart is a heap of readers by the planned start of their next record.
type byStart []*reader

func (h byStart) Len() int { return len(h) }
func (h byStart) Less(i, j int) bool {
	if h[i].start != h[j].start {
		return h[i].start < h[j].start
	}
	return h[i].order < h[j].order
}
func (h byStart) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byStart) Push(x any)   { *h = append(*h, x.(*reader)) }
func (h *byStart) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
