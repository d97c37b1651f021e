// Package run is the run directory: one experiment on disk, from its plan to
// its samples and evidence. Everything that a report says follows from this
// directory and nothing else.
//
//	DIR/plan.json                    the plan (hoplab/plan/v1)
//	DIR/environment.json             machine and versions, as they were
//	DIR/state.json                   running, complete or interrupted, and why
//	DIR/replicates/01/load.json      what the load generator was told
//	DIR/replicates/01/samples.hop    one record per request; samples-K.hop for generator K of several
//	DIR/replicates/01/evidence.json  counters read beside the requests; written last
//	DIR/summary.json, report.html, report.md   what analysis and report make of the rest
//
// A replicate counts only when its evidence.json is there and says complete.
// One process writes a directory (Lock); reading is safe meanwhile.
package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// Names of the files of a run directory.
const (
	PlanFile        = "plan.json"
	EnvironmentFile = "environment.json"
	StateFile       = "state.json"
	EvidenceFile    = "evidence.json"
	LoadFile        = "load.json"
	SummaryFile     = "summary.json"
	HTMLFile        = "report.html"
	MarkdownFile    = "report.md"
	replicatesDir   = "replicates"
)

// Status of a run.
const (
	Running     = "running"
	Complete    = "complete"
	Interrupted = "interrupted"
)

// State says how far a run came.
type State struct {
	Status string `json:"status"`
	Why    string `json:"why,omitempty"` // for Interrupted: one line
	// Refused is set when a guard outside the samples contradicts the plan.
	Refused string `json:"refused,omitempty"`
}

// Dir is an open run directory.
type Dir struct {
	Path string
	Plan plan.Plan
	Env  Environment
}

// Free fails when path already holds a run. It asks early, before anything
// that takes long; Create asks again.
func Free(path string) error {
	if _, err := os.Stat(filepath.Join(path, PlanFile)); err == nil {
		return fail.Newf(fail.Usage, "choose another --out, or finish that run with --resume "+path,
			"%s already holds a run", path)
	}
	return nil
}

// Create makes a run directory and writes its plan and environment. It fails
// when path already holds a run, or cannot be written.
func Create(path string, p plan.Plan, env Environment) (*Dir, error) {
	if err := Free(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(path, replicatesDir), 0o755); err != nil {
		return nil, writeError("run directory", err)
	}
	unlock, err := lock(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := Free(path); err != nil { // somebody was faster
		return nil, err
	}
	d := &Dir{Path: path, Plan: p, Env: env}
	if err := d.write(PlanFile, p); err != nil {
		return nil, err
	}
	if err := d.write(EnvironmentFile, env); err != nil {
		return nil, err
	}
	return d, d.SetState(State{Status: Running})
}

// ErrNoRun is what Open finds in a directory that no run was written to.
var ErrNoRun = errors.New("it has no " + PlanFile)

// Open reads the plan and environment of a run directory.
func Open(path string) (*Dir, error) {
	d := &Dir{Path: path}
	if err := d.read(PlanFile, &d.Plan); err != nil {
		const hint = "give the directory that hoplab run printed"
		if info, serr := os.Stat(path); serr == nil && !info.IsDir() {
			return nil, fail.Newf(fail.Usage, hint, "%s is not a run directory: it is a file", path)
		}
		if _, serr := os.Stat(path); errors.Is(serr, fs.ErrNotExist) {
			return nil, fail.Newf(fail.Usage, hint, "%s is not a run directory: it does not exist", path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fail.Newf(fail.Usage, hint, "%s is not a run directory: %w", path, ErrNoRun)
		}
		return nil, err
	}
	if d.Plan.Schema != plan.Schema {
		return nil, fail.Newf(fail.Usage, "use the hoplab version that wrote it", "%s: schema %q, expected %q",
			filepath.Join(path, PlanFile), d.Plan.Schema, plan.Schema)
	}
	if err := d.Plan.Validate(); err != nil {
		return nil, fail.Newf(fail.Usage, "restore the file, or start a new run", "%s: %w", filepath.Join(path, PlanFile), err)
	}
	if err := d.read(EnvironmentFile, &d.Env); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fail.Newf(fail.Usage, "restore the file, or start a new run", "%s is damaged: it has no %s", path, EnvironmentFile)
		}
		return nil, err
	}
	return d, nil
}

// Name is the run's name: the directory's own.
func (d *Dir) Name() string {
	if d.Env.Run != "" {
		return d.Env.Run
	}
	return filepath.Base(d.Path)
}

// State reads the state; a directory without one counts as interrupted.
func (d *Dir) State() (State, error) {
	var s State
	err := d.read(StateFile, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return State{Status: Interrupted, Why: "the run never said how it ended"}, nil
	}
	return s, err
}

// SetState replaces the state.
func (d *Dir) SetState(s State) error { return d.write(StateFile, s) }

// Replicate is one replicate's folder.
type Replicate struct {
	Index int // from 1
	Path  string
}

// Replicate returns replicate i (from 1), whether or not it exists yet.
func (d *Dir) Replicate(i int) Replicate {
	return Replicate{Index: i, Path: filepath.Join(d.Path, replicatesDir, fmt.Sprintf("%02d", i))}
}

// Replicates lists the replicate folders in order, complete or not.
func (d *Dir) Replicates() ([]Replicate, error) {
	entries, err := os.ReadDir(filepath.Join(d.Path, replicatesDir))
	if err != nil {
		return nil, readError(filepath.Join(d.Path, replicatesDir), err)
	}
	var out []Replicate
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 && e.IsDir() {
			out = append(out, Replicate{Index: n, Path: filepath.Join(d.Path, replicatesDir, e.Name())})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Index < out[j].Index })
	return out, nil
}

// Left is how many replicates of the plan are still to be measured: those
// without complete evidence, or none once the plan's stopping rule ended the run.
func (d *Dir) Left() int {
	if s, err := d.State(); err == nil && s.Status == Complete && d.Plan.StopAt != nil {
		return 0
	}
	left := d.Plan.Replicates
	for i := 1; i <= d.Plan.Replicates; i++ {
		if _, ok, _ := d.Replicate(i).Evidence(); ok { // what cannot be read is measured again
			left--
		}
	}
	return left
}

// Reset makes the folder anew, dropping what an earlier, broken attempt left.
func (r Replicate) Reset() error {
	if err := os.RemoveAll(r.Path); err != nil {
		return writeError(r.Path, err)
	}
	return writeError(r.Path, os.MkdirAll(r.Path, 0o755))
}

// LoadPath is where the load generator's instructions go.
func (r Replicate) LoadPath() string { return filepath.Join(r.Path, LoadFile) }

// SamplesPath is the sample file of one generator (from 0) of n.
func (r Replicate) SamplesPath(generator, n int) string {
	if n <= 1 {
		return filepath.Join(r.Path, "samples.hop")
	}
	return filepath.Join(r.Path, fmt.Sprintf("samples-%03d.hop", generator))
}

// Samples lists the sample files that are there, in order.
func (r Replicate) Samples() ([]string, error) {
	entries, err := os.ReadDir(r.Path)
	if err != nil {
		return nil, readError(r.Path, err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "samples") && strings.HasSuffix(e.Name(), ".hop") {
			out = append(out, filepath.Join(r.Path, e.Name()))
		}
	}
	return out, nil
}

// Evidence reads the replicate's evidence, in today's form or in that of
// earlier versions. ok is false when there is none: the replicate did not
// finish.
func (r Replicate) Evidence() (e Evidence, ok bool, err error) {
	path := filepath.Join(r.Path, EvidenceFile)
	err = r.read(path, &e)
	if errors.Is(err, fs.ErrNotExist) {
		return Evidence{}, false, nil
	}
	if err == nil && e.Addresses == nil {
		var old struct {
			Addresses map[string]string `json:"doors"` // the key of earlier versions
		}
		err = r.read(path, &old)
		e.Addresses = old.Addresses
	}
	return e, err == nil && e.Complete, err
}

// Finish writes the evidence, which makes the replicate count if e.Complete.
func (r Replicate) Finish(e Evidence) error {
	return writeJSON(filepath.Join(r.Path, EvidenceFile), e)
}

func (d *Dir) write(name string, v any) error { return writeJSON(filepath.Join(d.Path, name), v) }
func (d *Dir) read(name string, v any) error  { return readJSON(d.Path, filepath.Join(d.Path, name), v) }

// read reads a file of the replicate, which lies two levels below the run directory.
func (r Replicate) read(path string, v any) error {
	return readJSON(filepath.Dir(filepath.Dir(r.Path)), path, v)
}

// OpenSamples opens a sample file that Samples has listed, if it is a regular
// file of the run directory; a link out of it is not followed.
func OpenSamples(path string) (*os.File, error) {
	return bounded.OpenBelow(filepath.Dir(filepath.Dir(filepath.Dir(path))), path)
}

// maxFile bounds a JSON file of a run directory, in bytes. The evidence of a
// long run has some 100 KiB.
const maxFile = 64 << 20

// WriteFile replaces a file of the directory through a temporary one, so that
// a reader never sees half of it.
func (d *Dir) WriteFile(name string, data []byte) error {
	return writeFile(filepath.Join(d.Path, name), data)
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	return writeFile(path, append(data, '\n'))
}

func writeFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return writeError(path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return writeError(path, err)
}

func readJSON(dir, path string, v any) error {
	data, err := bounded.ReadBelow(dir, path, maxFile)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return readError(path, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			err = fmt.Errorf("%s holds a %s", kind.Field, kind.Value)
		}
		return fail.Newf(fail.Usage, "the file is damaged; restore it or run the experiment again", "reading %s: %w", path, err)
	}
	return nil
}

func writeError(what string, err error) error {
	if err == nil {
		return nil
	}
	hint := "choose a directory that you can write to"
	if errors.Is(err, syscall.ENOSPC) {
		hint = "free some space there"
	}
	return fail.Newf(fail.Environment, hint, "cannot write %s: %w", what, err)
}

func readError(what string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the path is what could not be read
	}
	return fail.Newf(fail.Usage, "check the path and its permissions", "cannot read %s: %w", what, err)
}
