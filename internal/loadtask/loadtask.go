// Package loadtask is the program of a load task: it sends one load with k6 and
// puts the sample file into a bucket. Command loadtest/entry is nothing else, and
// hoplab has it as a hidden command, for tasks of the local endpoint.
package loadtask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Run is the whole program; args are its arguments, getenv reads its environment,
// stdout takes JSON lines. It returns the exit code when the load has been sent
// and uploaded, or ctx has ended; with ctx it stops k6 and uploads what there is.
func Run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stdout, nil))
	err := send(ctx, args, getenv, log)
	if err != nil {
		log.Error("failed", "error", err.Error(), "hint", fail.HintOf(err))
	}
	if getenv("HOPLAB_HOLD") != "" && ctx.Err() == nil {
		log.Info("holding", "until", "SIGTERM")
		<-ctx.Done()
	}
	return int(fail.CodeOf(err))
}

// uploadGrace bounds the uploads after the load. With k6's own 10 s it stays
// below the 120 s for which the stacks let a stopped task go on.
const uploadGrace = 90 * time.Second

func send(ctx context.Context, args []string, getenv func(string) string, log *slog.Logger) error {
	load, text, err := readLoad(args, getenv)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hoplab-load-")
	if err != nil {
		return fail.Newf(fail.Environment, "give the container a writable TMPDIR", "no folder for the samples: %w", err)
	}
	defer os.RemoveAll(dir)
	load.Out = filepath.Join(dir, "samples.hop")

	to, err := openBucket(ctx, getenv)
	if err != nil {
		return err
	}
	// The load goes first: a bucket that refuses it would refuse the samples too.
	if err := to.put(ctx, key(&load, "load.json"), text); err != nil {
		return err
	}
	binary, err := k6.Check(ctx, or(getenv("HOPLAB_K6"), "/k6"))
	if err != nil {
		return err
	}
	log.Info("started", "run", load.Run, "replicate", load.Replicate, "generator", load.Generator,
		"build", binary.Build, "seconds", load.Total().Seconds())
	quiet := progress(ctx, log, load.Total())
	out, runErr := k6.Run(ctx, binary, load, k6.Options{Dir: dir, Files: namespaces(&load)})
	quiet()
	log.Info("finished", "records", out.Records, "dropped", out.Trailer.Dropped, "missing", out.Missing,
		"complete", out.Complete, "interrupted", out.Trailer.Interrupted, "exit", out.Exit)

	// What was measured is sent home also when the task is being stopped.
	upCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), uploadGrace)
	defer cancel()
	for _, name := range []string{"k6.log", "samples.hop"} { // the samples last: they say that all is there
		if err := to.putFile(upCtx, key(&load, name), filepath.Join(dir, name)); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue // k6 did not come that far, and runErr says why
			}
			return errors.Join(runErr, err)
		}
		log.Info("uploaded", "key", to.prefix+key(&load, name))
	}
	return runErr
}

// namespaces are the descriptors that the load's arms name: they are open here
// under the numbers that they have in k6.
func namespaces(load *samplefile.Load) (files []*os.File) {
	for _, a := range load.Arms {
		for n := k6.FirstFile + len(files); n <= a.Namespace; n++ {
			files = append(files, os.NewFile(uintptr(n), "namespace"))
		}
	}
	return files
}

func readLoad(args []string, getenv func(string) string) (samplefile.Load, []byte, error) {
	text := getenv("HOPLAB_LOAD_JSON")
	if len(args) > 0 {
		text = args[0]
	}
	if text == "" || len(args) > 1 {
		return samplefile.Load{}, nil, fail.Newf(fail.Usage, "give the load as the only argument, or in HOPLAB_LOAD_JSON",
			"%d arguments and no load", len(args))
	}
	load, err := samplefile.ParseLoad([]byte(text))
	if err != nil {
		return samplefile.Load{}, nil, fail.Newf(fail.Usage, "", "%w", err)
	}
	if load.Run == "" || path.Base(load.Run) != load.Run || load.Run == ".." || load.Run == "." {
		return samplefile.Load{}, nil, fail.Newf(fail.Usage, "", "load: run is %q; it becomes part of a key and must be a plain name", load.Run)
	}
	return load, []byte(text), nil
}

// key is where a file of this load goes, below the prefix.
func key(l *samplefile.Load, name string) string {
	if l.Generators > 1 {
		ext := path.Ext(name)
		name = fmt.Sprintf("%s-%03d%s", name[:len(name)-len(ext)], l.Generator, ext)
	}
	return fmt.Sprintf("%s/%02d/%s", l.Run, l.Replicate, name)
}

// progress logs a line every 5 s until the returned function is called.
func progress(ctx context.Context, log *slog.Logger, total time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	began := time.Now()
	go func() {
		t := time.NewTicker(5 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				log.Info("running", "elapsed_s", time.Since(began).Round(time.Second).Seconds(), "planned_s", total.Seconds())
			case <-ctx.Done():
				return
			}
		}
	}()
	return cancel
}

func or(v, fallback string) string {
	if v == "" {
		return fallback
	}
	return v
}
