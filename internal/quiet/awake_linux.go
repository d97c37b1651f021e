package quiet

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxSpin bounds a spinner even when nobody stops it.
const maxSpin = 2 * time.Hour

// KeepAwake starts one idle-priority spinner per core, pinned to it, as child
// processes of the given command (the hoplab binary with its hidden "spin"
// command). An idle core of a virtual machine is halted, and waking it costs
// each request a trip to the host; a spinner keeps it running, and the
// scheduler takes it away whenever anything else wants to run.
//
// The spinners end with stop, with this process, or after two hours. When the
// machine does not allow them, status says why and stop does nothing.
func KeepAwake(command []string) (stop func(), status string) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return func() {}, "not available: " + err.Error()
	}
	var children []*exec.Cmd
	var pipes []io.Closer
	stop = func() {
		for _, p := range pipes {
			p.Close()
		}
		for _, c := range children {
			_ = c.Wait()
		}
	}
	for cpu := 0; cpu < len(set)*64; cpu++ {
		if !set.IsSet(cpu) {
			continue
		}
		c := exec.Command(command[0], append(append([]string{}, command[1:]...), strconv.Itoa(cpu))...)
		c.Env = append(os.Environ(), "GOMAXPROCS=2", "GOGC=off")
		stdin, err := c.StdinPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			stop()
			return func() {}, "not available: " + err.Error()
		}
		children, pipes = append(children, c), append(pipes, stdin)
	}
	return stop, "on"
}

// Spin is the body of the hidden "spin" command: it burns the given core at
// idle priority until stdin ends or two hours have passed.
func Spin(cpu int, stdin io.Reader) error {
	var done atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		done.Store(true)
	}()
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pinning to core %d: %w", cpu, err)
	}
	// A niceness of 19 moves the spinner's time to the "nice" column of
	// /proc/stat, where the sampler can tell it from work.
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19); err != nil {
		return fmt.Errorf("lowering the priority: %w", err)
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: 19}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("asking for SCHED_IDLE: %w", err)
	}
	end := time.Now().Add(maxSpin)
	parent := syscall.Getppid()
	for !done.Load() && time.Now().Before(end) && syscall.Getppid() == parent {
		for i := 0; i < 1<<20 && !done.Load(); i++ {
		}
	}
	return nil
}
