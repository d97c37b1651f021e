package envoybin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// limits bound a client in time.
type limits struct {
	whole time.Duration // of one client
	stall time.Duration // without a byte written
}

// order is a command that writes below dir.
type order struct {
	argv   []string
	env    []string // beside our own environment
	dir    string   // also its working and temporary directory
	most   int64    // bytes that it may write there
	silent bool     // it may write nothing for as long as it likes
}

// run carries out an order. It ends the command and all that it started when
// it takes too long or writes too much. The error says why in one line.
func (f *finder) run(ctx context.Context, o order) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(f.limits.whole, func() { cancel(fmt.Errorf("not done after %s", f.limits.whole)) })
	defer timer.Stop()

	cmd := exec.CommandContext(ctx, o.argv[0], o.argv[1:]...)
	cmd.Dir = o.dir
	cmd.Env = append(append(os.Environ(), "TMPDIR="+o.dir), o.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	group(cmd)

	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		f.watch(ctx, o, done, cancel)
	}()
	err := cmd.Run()
	close(done)
	<-watched
	switch {
	case err == nil:
		return nil
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	}
	return errors.New(why(out.Bytes(), err))
}

// watch measures what the command has written and ends it at a limit.
func (f *finder) watch(ctx context.Context, o order, done <-chan struct{}, end context.CancelCauseFunc) {
	tick := time.NewTicker(min(500*time.Millisecond, f.limits.stall/4))
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := written(o.dir)
		f.written.Store(n)
		switch {
		case n > o.most:
			end(fmt.Errorf("it wrote %d MB, expected at most %d", n>>20, o.most>>20))
		case n != last:
			last, since = n, time.Now()
		case !o.silent && time.Since(since) > f.limits.stall:
			end(fmt.Errorf("no byte in %s", f.limits.stall))
		}
	}
}

// written is the size of all files below dir, as far as they can be seen.
func written(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// unreachable are the words of the clients for an index that does not answer.
var unreachable = regexp.MustCompile(`(?i)NewConnectionError|NameResolutionError|name resolution|no such host|dns error|` +
	`network is unreachable|connection refused|ConnectTimeout|connect timeout|error sending request|error trying to connect|i/o timeout|dial tcp`)

// why makes one line of a client's output.
func why(out []byte, err error) string {
	if unreachable.Match(out) {
		return "its index cannot be reached from here"
	}
	line := lastLine(out)
	for l := range strings.Lines(string(out)) { // the first error is the cause, unless it only repeats
		if s, ok := strings.CutPrefix(strings.TrimSpace(l), "ERROR: "); ok {
			line = fmt.Sprintf("%.160s", s)
			break
		}
	}
	if line == "" {
		return err.Error()
	}
	return line
}
