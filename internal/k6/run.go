package k6

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/loadtest"
	hop "github.com/hoplab/hoplab/loadtest/samplefile"
)

// Options of Run. The zero value is usable with Dir set.
type Options struct {
	// Dir receives load.json, script.js and k6.log; it must exist. The sample
	// file goes to Load.Out, or to samples.hop in Dir when that is empty.
	Dir string
	// GCPercent and MemoryLimitMiB are k6's GOGC and GOMEMLIMIT. Zero means
	// the defaults: no collection below the limit, which keeps its pauses out
	// of a short run, and a limit of 256 MiB and 4 MiB for each virtual user.
	GCPercent, MemoryLimitMiB int
	// Grace is how long an interrupted k6 may take to close its file; 0 means 10 s.
	Grace time.Duration
	// Env is added to k6's environment, e.g. SSL_CERT_FILE. Nothing else of
	// the caller's environment reaches k6 that could change the load.
	Env []string
	// Files are open in k6 from descriptor FirstFile on, in their order: the
	// network namespaces that the load's arms name.
	Files []*os.File
	// Start, if not nil, starts the process in the place of its Start method,
	// e.g. inside a network namespace.
	Start func(*exec.Cmd) error
	// Started, if not nil, is called with k6's process id.
	Started func(pid int)
}

// FirstFile is the descriptor of the first of Options.Files in k6.
const FirstFile = 3

// Outcome is what one k6 process left.
type Outcome struct {
	Samples string // path of the sample file; it may be partial when Run failed
	Trailer hop.Trailer
	// Complete is whether the sample file has a valid trailer.
	Complete bool
	// Records is the number of intact records, with or without a trailer.
	Records int64
	// Missing counts planned requests of this generator that have neither a
	// record nor were dropped or aborted: k6 fell behind and never started
	// them. It is 0 for the closed loop, which plans none.
	Missing int64
	Exit    int    // k6's exit code; -1 when a signal ended it
	Stderr  string // the end of what k6 wrote
	Wall    time.Duration
}

// Run sends one load and returns when k6 has ended. It is safe for concurrent
// use with different directories.
//
// When ctx ends, k6 gets SIGINT, closes its sample file, and is killed after
// the grace period; the error is then ctx's, and the outcome holds what was
// recorded. A k6 that fails or dies is an error with fail.Environment that
// names it; its partial file is kept.
func Run(ctx context.Context, k6 Binary, load hop.Load, o Options) (Outcome, error) {
	if load.Out == "" {
		load.Out = filepath.Join(o.Dir, "samples.hop")
	}
	out, err := filepath.Abs(load.Out)
	if err != nil {
		return Outcome{}, err
	}
	load.Out = out
	result := Outcome{Samples: out, Exit: -1}
	if err := load.Validate(); err != nil {
		return result, fail.Newf(fail.Usage, "", "%w", err)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return result, err
	}
	args, err := prepare(dir, load)
	if err != nil {
		return result, err
	}
	if err := ctx.Err(); err != nil {
		return result, err
	}
	began := time.Now()
	runErr := execute(ctx, k6, load, dir, args, o, &result)
	result.Wall = time.Since(began)
	readErr := read(load, &result)
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case runErr != nil:
		return result, runErr
	}
	return result, readErr
}

// prepare writes load.json and the script, and returns k6's arguments.
func prepare(dir string, load hop.Load) ([]string, error) {
	text, err := json.MarshalIndent(load, "", "  ")
	if err != nil {
		return nil, err
	}
	script := loadtest.Main
	if load.Design == hop.DesignArticle {
		script = loadtest.Article
	}
	for name, data := range map[string][]byte{"load.json": append(text, '\n'), "script.js": script} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return nil, fail.Newf(fail.Environment, "choose a folder that can be written", "preparing k6: %w", err)
		}
	}
	args := []string{
		"run", "--quiet", "--no-color", "--no-usage-report",
		"--summary-mode=disabled", "--no-thresholds", // or k6 keeps every value of every metric
		"--address", "", // no REST API: no port to collide on
		"--out", "hoplab=" + load.Out,
	}
	if load.Generators > 1 {
		args = append(args, segment(load.Generator, load.Generators)...)
	}
	return append(args, filepath.Join(dir, "script.js")), nil
}

// segment asks k6 for one of n equal shares. Iteration numbers stay global, so
// every generator knows the arms of its own requests.
func segment(i, n int) []string {
	var marks []string
	for k := range n + 1 {
		switch k {
		case 0:
			marks = append(marks, "0")
		case n:
			marks = append(marks, "1")
		default:
			marks = append(marks, fmt.Sprintf("%d/%d", k, n))
		}
	}
	return []string{
		"--execution-segment", marks[i] + ":" + marks[i+1],
		"--execution-segment-sequence", strings.Join(marks, ","),
	}
}

// startup is what k6 may take beside the planned time, before it counts as hung.
const startup = time.Minute

// execute runs k6 and waits for it. It fills Exit and Stderr of result.
func execute(ctx context.Context, k6 Binary, load hop.Load, dir string, args []string, o Options, result *Outcome) error {
	logFile, err := os.Create(filepath.Join(dir, "k6.log"))
	if err != nil {
		return fail.Newf(fail.Environment, "choose a folder that can be written", "k6's log: %w", err)
	}
	defer logFile.Close()
	tail := &tailBuffer{max: 8 << 10}
	grace := o.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	bounded, cancel := context.WithTimeout(ctx, load.Total()+hop.Seconds(load.TimeoutS)+startup)
	defer cancel()
	cmd := exec.CommandContext(bounded, k6.Path, args...)
	cmd.Dir = dir
	cmd.Env = append(environment(os.Environ(), dir), collector(load, o)...)
	cmd.Env = append(cmd.Env, "HOPLAB_LOAD="+filepath.Join(dir, "load.json"), "HOPLAB_BUILD="+k6.Build)
	cmd.Env = append(cmd.Env, o.Env...)
	cmd.Stdout = io.MultiWriter(tail, &spareLog{to: logFile})
	cmd.Stderr = cmd.Stdout
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	cmd.ExtraFiles = o.Files
	isolate(cmd)
	start := (*exec.Cmd).Start
	if o.Start != nil {
		start = o.Start
	}

	// The kernel ends k6 when the thread that started it ends, so that thread
	// must be ours for as long.
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := start(cmd); err != nil {
			done <- err
			return
		}
		if o.Started != nil {
			o.Started(cmd.Process.Pid)
		}
		done <- cmd.Wait()
	}()
	err = <-done
	result.Stderr = tail.String()
	if cmd.ProcessState != nil {
		result.Exit = cmd.ProcessState.ExitCode()
	}
	return explain(err, bounded.Err() != nil && ctx.Err() == nil, k6, result.Stderr, filepath.Join(dir, "k6.log"))
}

// explain turns the end of k6 into an error that says what to do.
func explain(err error, hung bool, k6 Binary, stderr, log string) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case hung:
		return fail.Newf(fail.Environment, "see "+log, "k6 did not end in the time its plan takes and was stopped")
	case errors.As(err, &exit) && !exit.Exited():
		return fail.Newf(fail.Environment, "run again with --resume; if it was killed for want of memory, lower the rate or the number of users",
			"k6 died: %v", exit)
	case errors.As(err, &exit) && strings.Contains(stderr, syscall.ENOSPC.Error()):
		return fail.Newf(fail.Environment, "free some space there", "k6 failed (%v)%s", exit, reason(stderr))
	case errors.As(err, &exit):
		return fail.Newf(fail.Environment, "see "+log, "k6 failed (%v)%s", exit, reason(stderr))
	}
	return fail.Newf(fail.Environment, "check the file with `"+k6.Path+" version`", "k6 could not be started: %w", err)
}

// reason returns k6's last error with a colon before it, or "". k6 logs in
// logfmt: the cause is in the field error where there is one, else in msg.
func reason(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if !strings.Contains(lines[i], " level=error ") {
			continue
		}
		for _, field := range []string{" error=", " msg="} {
			if _, text, ok := strings.Cut(lines[i], field); ok {
				return ": " + firstSentence(text)
			}
		}
	}
	return ""
}

// firstSentence unquotes a logfmt value and leaves out the stack of a script's exception.
func firstSentence(value string) string {
	if quoted, err := strconv.QuotedPrefix(value); err == nil {
		value, _ = strconv.Unquote(quoted)
	} else {
		value, _, _ = strings.Cut(value, " ")
	}
	value, _, _ = strings.Cut(value, "\n")
	value, _, _ = strings.Cut(value, "\tat ")
	return fmt.Sprintf("%.300s", strings.TrimPrefix(value, "GoError: "))
}

// collector sets k6's garbage collector.
func collector(load hop.Load, o Options) []string {
	gc := "off"
	if o.GCPercent > 0 {
		gc = fmt.Sprint(o.GCPercent)
	}
	limit := o.MemoryLimitMiB
	if limit <= 0 {
		limit = 256 + 4*load.VUs
	}
	return []string{"GOGC=" + gc, fmt.Sprintf("GOMEMLIMIT=%dMiB", limit)}
}

// environment keeps of env what a program needs to run at all. K6_ variables
// and proxies would change the load, and k6's own configuration file too:
// home moves its search for that to a folder without one.
func environment(env []string, home string) []string {
	keep := map[string]bool{"PATH": true, "TMPDIR": true, "TMP": true, "TEMP": true, "SYSTEMROOT": true,
		"GOMAXPROCS": true, "SSL_CERT_FILE": true, "SSL_CERT_DIR": true}
	kept := []string{"K6_AUTO_EXTENSION_RESOLUTION=false"} // never fetch another k6
	if home != "" {
		kept = append(kept, "HOME="+home, "XDG_CONFIG_HOME="+home, "APPDATA="+home)
	}
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if keep[strings.ToUpper(name)] {
			kept = append(kept, kv)
		}
	}
	return kept
}

// read checks the sample file from front to back.
func read(load hop.Load, result *Outcome) error {
	f, err := os.Open(result.Samples)
	if err != nil {
		return fail.Newf(fail.Environment, "see k6.log beside load.json", "k6 left no sample file: %w", err)
	}
	defer f.Close()
	r, err := hop.NewReader(f)
	var rec hop.Record
	for err == nil {
		err = r.Next(&rec)
	}
	if r != nil {
		result.Records = r.Records()
	}
	if err != io.EOF {
		return fail.Newf(fail.Environment, "run this replicate again", "%s: %w", result.Samples, err)
	}
	result.Trailer, result.Complete = r.Trailer(), true
	if load.Period() > 0 {
		result.Missing = load.Share() - result.Records - result.Trailer.Dropped - result.Trailer.Aborted
	}
	return nil
}

// spareLog writes as long as it can. A log that a full disk does not take must
// not close the pipe under k6, which would die of it before it could say why.
type spareLog struct {
	to  io.Writer
	err error
}

func (l *spareLog) Write(p []byte) (int, error) {
	if l.err == nil {
		_, l.err = l.to.Write(p)
	}
	return len(p), nil
}

// tailBuffer keeps the last max bytes written to it.
type tailBuffer struct {
	max int
	buf []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string { return string(bytes.ToValidUTF8(t.buf, nil)) }
