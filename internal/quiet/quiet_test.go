package quiet

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain lets the test binary stand in for the hidden spin command.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "spin" {
		cpu, _ := strconv.Atoi(os.Args[2])
		if err := Spin(cpu, os.Stdin); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestParseStat(t *testing.T) {
	some := func(core int) bool { return core != 1 }
	a, err := parseStat([]byte("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 60 10 30 500 5 1 4 30 0 0\ncpu1 1 2 3 4 5 6 7 8 0 0\ncpu2 40 0 20 300 0 0 0 0 0 0\nintr 7\n"), some)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseStat([]byte("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 110 90 40 520 5 1 14 40 0 0\ncpu1 9 9 9 9 9 9 9 9 0 0\ncpu2 50 0 20 310 0 0 0 0 0 0\n"), some)
	if err != nil {
		t.Fatal(err)
	}
	s := between(a, b, time.Unix(0, 0), time.Unix(1, 0))
	// On cores 0 and 2, 200 ticks passed: user 60, nice 80, system 10, idle 30, softirq 10, steal 10.
	if s.Busy != 0.4 || s.Softirq != 0.05 || s.Steal != 0.05 {
		t.Errorf("got busy %v softirq %v steal %v; want 0.4 0.05 0.05 (nice and core 1 apart)", s.Busy, s.Softirq, s.Steal)
	}
	for _, bad := range []string{"", "cpu 1 2 3 4 5 6 7 8\n", "cpu0 1 2 3\n", "intr 1 2 3 4 5 6 7 8\n",
		"cpu0 a 2 3 4 5 6 7 8\n", "cpu1 1 2 3 4 5 6 7 8\n"} {
		if _, err := parseStat([]byte(bad), some); err == nil {
			t.Errorf("parseStat(%q) gave no error", bad)
		}
	}
}

// TestOneCore shows that children started meanwhile are confined too, and that
// the process has its cores back afterwards.
func TestOneCore(t *testing.T) {
	layer.Full(t, "starts processes")
	spread, status := OneCore()
	defer spread()
	if runtime.GOOS != "linux" {
		if status != "not available on "+runtime.GOOS {
			t.Errorf("got status %q", status)
		}
		return
	}
	var core int
	if _, err := fmt.Sscanf(status, "core %d", &core); err != nil {
		t.Fatalf("got status %q; want a core", status)
	}
	if out, err := exec.Command("nproc").Output(); err != nil || string(out) != "1\n" {
		t.Errorf("a child counts %q cores, error %v; want 1", out, err)
	}
	if counts := mine(); !counts(core) || counts(core+1) {
		t.Errorf("%s: counting other cores", status)
	}
	spread()
	if out, err := exec.Command("nproc").Output(); err != nil || string(out) != fmt.Sprintln(runtime.NumCPU()) {
		t.Errorf("afterwards a child counts %q cores, error %v; want %d", out, err, runtime.NumCPU())
	}
}

func TestKeepAwakeStartsAndStops(t *testing.T) {
	layer.Full(t, "starts processes")
	if runtime.GOOS != "linux" {
		if _, status := KeepAwake([]string{os.Args[0]}); status != "not available on "+runtime.GOOS {
			t.Errorf("got status %q", status)
		}
		return
	}
	stop, status := KeepAwake([]string{os.Args[0], "spin"})
	if status != "on" {
		t.Fatalf("got status %q; want on", status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
	defer cancel()
	if slices := Sample(ctx); len(slices) == 0 {
		t.Error("no CPU slices in 600 ms")
	}
	done := make(chan struct{})
	go func() { stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the spinners did not end within 5 s of being stopped")
	}
}

func TestSpinEndsWithItsStdin(t *testing.T) {
	layer.Full(t, "starts processes")
	if runtime.GOOS != "linux" {
		return
	}
	r, w := io.Pipe()
	c := exec.Command(os.Args[0], "spin", "0")
	c.Stdin = r
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := c.Wait(); err != nil {
		t.Errorf("spin ended with %v; want a clean exit", err)
	}
}

func TestSpinRefusesACoreThatIsNotThere(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	if err := exec.Command(os.Args[0], "spin", "1000").Run(); err == nil {
		t.Error("spinning on core 1000 gave no error")
	}
}
