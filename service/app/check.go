package app

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// check is one condition of a container health check.
type check struct {
	name string
	run  func(context.Context) error
}

const checkTimeout = 3 * time.Second // below the 5 s of a container health check's default timeout

// parseChecks reads the command line. No checks means: serve.
func parseChecks(args []string, stderr io.Writer) ([]check, error) {
	fs := flag.NewFlagSet("service", flag.ContinueOnError)
	fs.SetOutput(stderr)
	address := fs.String("healthcheck", "", "succeed when a GET of this `URL` answers 200 to 399")
	process := fs.String("check-process", "", "succeed when another process of this `name` runs (Linux)")
	socket := fs.String("check-socket", "", "succeed when this `path` is a socket; it need not answer")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "service: unexpected argument %q; it takes flags only\n", fs.Arg(0))
		return nil, errors.New("usage")
	}
	var checks []check
	if *address != "" {
		checks = append(checks, check{"healthcheck " + *address, func(ctx context.Context) error { return get(ctx, *address) }})
	}
	if *process != "" {
		checks = append(checks, check{"check-process " + *process, func(context.Context) error { return findProcess("/proc", *process) }})
	}
	if *socket != "" {
		checks = append(checks, check{"check-socket " + *socket, func(context.Context) error { return isSocket(*socket) }})
	}
	return checks, nil
}

// runChecks returns 0 when all checks hold, and 1 with one line per failure otherwise.
func runChecks(ctx context.Context, checks []check, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	code := 0
	for _, c := range checks {
		if err := c.run(ctx); err != nil {
			fmt.Fprintf(stderr, "service: %s: %v\n", c.name, err)
			code = 1
		}
	}
	return code
}

// findProcess looks for a live process whose program has this base name. The
// name must match as a whole: the looser match of pgrep -f also finds the
// editor that has the program's file open.
func findProcess(proc, name string) error {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return fmt.Errorf("cannot list processes: %w; this check needs Linux", err)
	}
	self := strconv.Itoa(os.Getpid())
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || e.Name() == self {
			continue
		}
		if zombie(proc, e.Name()) {
			continue
		}
		cmd, err := os.ReadFile(filepath.Join(proc, e.Name(), "cmdline"))
		if err != nil {
			continue // it ended meanwhile
		}
		program, _, _ := bytes.Cut(cmd, []byte{0})
		if len(program) > 0 && filepath.Base(string(program)) == name {
			return nil
		}
	}
	return errors.New("no such process")
}

// zombie reports whether a process has ended and only waits for its parent.
func zombie(proc, pid string) bool {
	stat, err := os.ReadFile(filepath.Join(proc, pid, "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(" ")) // the name before it may hold anything
	return bytes.HasPrefix(rest, []byte("Z"))
}

func isSocket(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("it exists, but is %v and not a socket", info.Mode().Type())
	}
	return nil
}
